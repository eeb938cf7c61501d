"""Inputs that tests of several rooms share."""

from __future__ import annotations

import functools
import itertools
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from lenetshift.c3_table import C3_TABLE
from lenetshift.data.dataset import Dataset
from lenetshift.data.load import load_mnist
from lenetshift.ops.activations import ACTIVATIONS
from lenetshift.shifts import ShiftGrid

T = TypeVar("T")

TABLES = {
    "1998": (C3_TABLE, 6),
    "dense": (((0, 1, 2),) * 5, 3),
    "one": (((0,),), 1),
    "ragged": (((3,), (0, 1, 2, 3), (0, 3)), 5),  # map 4 has no connection
}
"""Name -> connection table, number of input maps."""

SHIFTS = torch.tensor(
    [(0, 0), (3, 0), (-3, 0), (0, 5), (2, -4), (6, 0), (-7, 0), (0, 7), (100, -100)]
)
"""Shifts (dx, dy) of the tests of translate, some beyond the image."""

EVERY_SHIFT = torch.cat(
    [SHIFTS, torch.tensor([(2**63 - 1, -(2**63)), (-(2**63), 1), (1, 2**63 - 1)])]
)
"""The same, and the largest that int64 holds."""

SETTINGS: dict[str, Any] = {"epochs": 1, "learning_rate": 0.1, "batch_size": 32, "seed": 7}


def make_dataset(n: int) -> Dataset:
    """Noisy bars, which a model can learn: the label gives the row of an image's bar."""
    generator = torch.Generator().manual_seed(n)
    labels = torch.randint(0, 10, (n,), generator=generator)
    images = torch.zeros(n, 28, 28, dtype=torch.uint8)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[2 + 2 * label : 6 + 2 * label, 5:23] = torch.randint(
            100, 256, (4, 18), dtype=torch.uint8, generator=generator
        )
    return Dataset(images, labels)


def weights(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def make_foreign() -> nn.Module:
    """Not one of the package's models; it draws random numbers in training."""
    torch.manual_seed(3)
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(784, 16), nn.Dropout(0.5), nn.ReLU(), nn.Linear(16, 10))
    )


class Perceptron(nn.Module):
    """One hidden layer of any size, on pixels or on 4 x 4 means."""

    def __init__(self, name: str, n_hidden: int, activation: str) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(4) if name == "pooled_mlp" else nn.Identity()
        self.hidden = nn.Linear(49 if name == "pooled_mlp" else 784, n_hidden)
        self.activation = activation
        self.output = nn.Linear(n_hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        activate = ACTIVATIONS[self.activation]
        return self.output(activate(self.hidden(self.pool(x).flatten(1))))


def make_perceptron(name: str, n_hidden: int, activation: str) -> Perceptron:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(n_hidden)
        return Perceptron(name, n_hidden, activation)


def plain_c3(table: Sequence[Sequence[int]], input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``c3_conv`` as PyTorch's convolutions of the connected maps alone.

    A map without a connection has no effect; in a dense convolution it would: 0 * inf.
    """
    first, maps = 0, []
    for o, inputs in enumerate(table):
        kernels = weight[first : first + len(inputs)].unsqueeze(0)
        maps.append(conv2d(input[:, list(inputs)], kernels, bias[o : o + 1]))
        first += len(inputs)
    return torch.cat(maps, dim=1)


def with_gradients(
    function: Callable[..., Tensor], tensors: Iterable[Tensor], upstream: Tensor
) -> list[Tensor]:
    """The output of a function and the gradients of its tensors."""
    inputs = [tensor.clone().requires_grad_() for tensor in tensors]
    output = function(*inputs)
    return [output.detach(), *torch.autograd.grad(output, inputs, upstream)]


def run_c3(masks: list[int], *tensors: Tensor) -> list[Tensor]:
    """Input, weight, bias, upstream gradient -> output and the three gradients."""
    return with_gradients(
        lambda *inputs: torch.ops.lenetshift.c3_conv(*inputs, masks), tensors[:3], tensors[3]
    )


@functools.cache
def make_images(kind: str, n: int) -> Tensor:
    """Test images: "digits"; "dense" ones, with ink in every pixel, so that every shift pushes some out of
    the frame; "sparse" ones, a grid of single pixels; "pixels", a single pixel in each corner, at each
    edge's middle, in the centre, and nowhere; "blank" ones.
    """
    if kind == "digits":
        return load_mnist()[1].images[:n]
    if kind == "dense":
        generator = torch.Generator().manual_seed(n)
        return torch.randint(1, 256, (n, 28, 28), generator=generator, dtype=torch.uint8)
    images = torch.zeros(n, 28, 28, dtype=torch.uint8)
    if kind == "sparse":
        images[:, ::9, ::9] = make_images("dense", n)[:, ::9, ::9]
    elif kind == "pixels":
        places = itertools.product((0, 14, 27), repeat=2)
        for image, (y, x) in zip(images, places, strict=False):
            image[y, x] = 255
    return images


def predict(
    name: str, model: nn.Module, images: Tensor, grid: ShiftGrid, return_logits: bool = True
) -> tuple[Tensor, Tensor]:
    """Predictions and logits from a fused op."""
    op = getattr(torch.ops.lenetshift, f"predict_shifts_{name}")
    dx, dy = [grid.dx.start, grid.dx.stop], [grid.dy.start, grid.dy.stop]
    parameters = [parameter.detach() for parameter in model.parameters()]
    result: tuple[Tensor, Tensor] = op(images, dx, dy, parameters, model.activation, return_logits)
    return result


def check_clear_predictions(predictions: Tensor, exact: Tensor, gap: float | Tensor) -> None:
    """The predictions must be exact if the two largest logits differ by more than ``gap``."""
    best = exact.topk(2).values
    clear = best[..., 0] - best[..., 1] > gap
    assert clear.double().mean() > 0.98
    assert torch.equal(predictions[clear], exact.argmax(-1)[clear].to(torch.uint8))


def on_threads(counts: Iterable[int], call: Callable[[], T]) -> list[T]:
    """The results of a call with each number of torch's threads."""
    before, results = torch.get_num_threads(), []
    try:
        for n_threads in counts:
            torch.set_num_threads(n_threads)
            results.append(call())
    finally:
        torch.set_num_threads(before)
    return results


def same_bits(results: Sequence[Sequence[Tensor]]) -> bool:
    """Whether all results have the same tensors."""
    first, *others = results
    return all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))


@contextmanager
def memory_below(n_bytes: float) -> Iterator[None]:
    """Expects that Python and NumPy take less memory than that."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < n_bytes
    finally:
        tracemalloc.stop()


@contextmanager
def refused(complaint: str) -> Iterator[None]:
    """Expects a ValueError of one line that starts with ``complaint``."""
    with pytest.raises(ValueError) as error:  # noqa: PT011  the message is compared below
        yield
    assert str(error.value).startswith(complaint)
    assert "\n" not in str(error.value)
