"""The emulated kernels as ``Kernels`` of cuda_matrix.py: called with tensors."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from cuda_matrix import LENETS
from torch import Tensor, nn

from lenetshift.checks.choices import ACTIVATIONS
from lenetshift.shifts import ShiftGrid

from .emulator import Emulator


def unwritten(shape: torch.Size, dtype: torch.dtype) -> np.ndarray:
    """An output that a kernel must overwrite: NaN."""
    return torch.full(shape, torch.nan, dtype=dtype).numpy()


def suffix(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def first_numbers(name: str, model: nn.Module) -> list[int]:
    """Activation, and the C3 table or the number of hidden units, as the calls expect them."""
    size = LENETS.index(name) if name in LENETS else model.hidden.out_features
    return [ACTIVATIONS.index(model.activation), size]


def op_of(kind: str, name: str) -> str:
    return f"{kind}_{'lenet5' if name in LENETS else name}"


class EmulatedKernels:
    def __init__(self, emulator: Emulator, reverse: bool = False, replays: int = 1) -> None:
        self.emulator, self.reverse, self.replays = emulator, reverse, replays
        self.place: Callable[[Tensor], Tensor] = lambda tensor: tensor

    def run(
        self, op: str, numbers: list[int], inputs: list[Tensor], outputs: list[np.ndarray]
    ) -> list[Tensor]:
        """Calls an op of *_calls.cpp; returns its arrays."""
        arrays = [self.place(tensor.detach().contiguous()).numpy() for tensor in inputs]
        results = self.emulator(op, numbers, arrays + outputs, self.reverse, self.replays)
        return [torch.from_numpy(array) for array in results]

    def c3_conv(self, input: Tensor, weight: Tensor, bias: Tensor, masks: list[int]) -> Tensor:
        n, _, height, width = input.shape
        output = unwritten((n, len(masks), height - 4, width - 4), input.dtype)
        inputs = [torch.tensor(masks), input, weight, bias]
        return self.run(f"c3_conv_{suffix(input.dtype)}", list(input.shape), inputs, [output])[-1]

    def c3_conv_backward(
        self, upstream: Tensor, input: Tensor, weight: Tensor, masks: list[int], wanted: list[bool]
    ) -> list[Tensor]:
        inputs = [torch.tensor(masks), upstream, input, weight]
        shapes = (input.shape, weight.shape, (len(masks),))
        gradients = [
            unwritten(shape if want else (0,), input.dtype)
            for shape, want in zip(shapes, wanted, strict=True)
        ]
        op = f"c3_conv_backward_{suffix(input.dtype)}"
        return self.run(op, list(input.shape), inputs, gradients)[-3:]

    def translate(self, images: Tensor, shifts: Tensor) -> Tensor:
        n, *channels, height, width = images.shape
        output = torch.ones((n, len(shifts), *channels, height, width), dtype=images.dtype)
        numbers = [n, len(shifts), math.prod(channels), height, width, images.element_size()]
        return self.run("translate", numbers, [images, shifts], [output.numpy()])[-1]

    def shift_each(self, images: Tensor, shifts: Tensor) -> Tensor:
        n, *channels, height, width = images.shape
        output = torch.ones_like(images)
        numbers = [n, 1, math.prod(channels), height, width, images.element_size()]
        return self.run("shift_each", numbers, [images, shifts], [output.numpy()])[-1]

    def translate_backward(self, upstream: Tensor, shifts: Tensor) -> Tensor:
        n, n_shifts, *channels, height, width = upstream.shape
        numbers = [n, n_shifts, math.prod(channels), height, width, upstream.element_size()]
        gradient = unwritten((n, *channels, height, width), upstream.dtype)
        op = f"translate_backward_{suffix(upstream.dtype)}"
        return self.run(op, numbers, [upstream, shifts], [gradient])[-1]

    def predict(
        self,
        name: str,
        model: nn.Module,
        images: Tensor,
        grid: ShiftGrid,
        return_logits: bool = True,
    ) -> tuple[Tensor, Tensor]:
        predictions = np.full((len(images), *grid.shape), 255, np.uint8)
        logits = unwritten((*predictions.shape, 10) if return_logits else (0,), torch.float32)
        numbers = [len(images), grid.dx.start, grid.n_dx, grid.dy.start, grid.n_dy]
        results = self.run(
            op_of("predict_shifts", name),
            first_numbers(name, model) + numbers,
            [images, *model.parameters()],
            [predictions, logits],
        )
        return results[-2], results[-1]

    def train(
        self,
        name: str,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        permutation: Tensor,
        learning_rate: float,
        batch_size: int,
    ) -> list[Tensor]:
        n_steps = -(-len(permutation) // batch_size)
        parameters = list(model.parameters())
        results = self.run(
            op_of("train_epoch", name),
            [*first_numbers(name, model), len(permutation), batch_size],
            [images, labels, permutation, torch.tensor([learning_rate]), *parameters],
            [unwritten((n_steps,), torch.float32)],
        )
        return [results[-1], *results[4:-1]]
