"""What a model answers to every image under every shift: the one product of an evaluation.

The predictions, uint8 ``[N, n_dy, n_dx]``, are all that tables, figures and metrics need; nothing
downstream runs a model again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, overload

import torch
from torch import Tensor, nn

from .checks import check_batch_size, check_images, check_type, describe
from .data import as_input
from .fused import packed_parameters, sums_stay_finite
from .models import device_and_dtype, fused_name
from .shifts import ShiftGrid

MAX_CLASSES = 256
"""Most classes a model may tell apart: predictions are uint8."""

_asked: dict[int, tuple[int, bool]] = {}  # id of a module -> calls that now ask it, its own mode
_lock = threading.RLock()  # of _asked and the modes; an eval() of another's module may ask, too


@overload
def predict_shifts(
    model: nn.Module,
    images: Tensor,
    grid: ShiftGrid = ...,
    *,
    batch_size: int = ...,
    return_logits: Literal[False] = ...,
) -> Tensor: ...


@overload
def predict_shifts(
    model: nn.Module,
    images: Tensor,
    grid: ShiftGrid = ...,
    *,
    batch_size: int = ...,
    return_logits: Literal[True],
) -> tuple[Tensor, Tensor]: ...


def predict_shifts(
    model: nn.Module,
    images: Tensor,
    grid: ShiftGrid = ShiftGrid(),  # noqa: B008 (immutable)
    *,
    batch_size: int = 1024,
    return_logits: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Classify every image moved by every shift of the grid.

    Each answer is that of the translated 28x28 image: pixels that a move uncovers are 0, what
    leaves the frame is lost. The models of the package, unchanged, in float32 and with weights
    whose sums cannot overflow, go through their fused op; any other module is run in eval mode on
    batches of translated images, in its own floating dtype. Computed on the model's device.

    Args:
        model: takes ``[B, 1, 28, 28]`` in [0, 1] (pixel / 255), gives ``[B, K]`` with K <= 256.
            Left as it was, its training mode included. Several threads may ask one model, but
            not while another trains it: a module's mode is one for all threads.
        images: uint8 ``[N, 28, 28]``.
        grid: the shifts, in pixels.
        batch_size: most translated images a forward pass; of no effect on fused ops.
        return_logits: whether to return the model's outputs as well.

    Returns:
        ``predictions``, uint8 ``[N, n_dy, n_dx]``, the index of the largest output, of equal ones
        the first; or ``(predictions, logits)``, logits ``[N, n_dy, n_dx, K]`` in the dtype of the
        model's output. On the device of ``images``. (Without images, K is 0 for a model that
        has no fused op.)

    Raises:
        ValueError: ``images``, ``batch_size`` or the model's output is not as described.
    """
    check_type("model", model, nn.Module)
    check_images(images)
    check_type("grid", grid, ShiftGrid)
    batch_size = check_batch_size(batch_size)
    name = fused_name(model)
    packed = packed_parameters(model) if name else []
    if name and sums_stay_finite(packed):
        predictions, logits = _predict_fused(name, model, packed, images, grid, return_logits)
    else:
        predictions, logits = _predict_by_forward(model, images, grid, batch_size, return_logits)
    predictions = predictions.to(images.device)
    return (predictions, logits.to(images.device)) if return_logits else predictions


def _predict_fused(
    name: str,
    model: nn.Module,
    parameters: Sequence[Tensor],
    images: Tensor,
    grid: ShiftGrid,
    return_logits: bool,
) -> tuple[Tensor, Tensor]:
    predict = getattr(torch.ops.lenetshift, f"predict_shifts_{name}")
    predictions, logits = predict(
        images.to(parameters[0].device).contiguous(),
        [grid.dx.start, grid.dx.stop],
        [grid.dy.start, grid.dy.stop],
        parameters,
        activation=model.activation,
        return_logits=return_logits,
    )
    return predictions, logits


def _predict_by_forward(
    model: nn.Module, images: Tensor, grid: ShiftGrid, batch_size: int, return_logits: bool
) -> tuple[Tensor, Tensor]:
    device, dtype = device_and_dtype(model)
    shifts = grid.shifts().to(device)
    predictions = []
    logits = []
    with torch.inference_mode(), _eval_mode(model):
        for chunk in torch.split(images, max(1, batch_size // len(grid))):
            moved = torch.ops.lenetshift.translate(chunk.to(device), shifts)  # [b, S, 28, 28]
            for batch in torch.split(moved.flatten(0, 1), batch_size):
                output = model(as_input(batch, dtype))
                _check_output(output, len(batch))
                predictions.append(output.argmax(1).to(torch.uint8))
                if return_logits:
                    logits.append(output)
    # Outside inference mode, so that the results are ordinary tensors.
    shape = (len(images), *grid.shape)
    if not predictions:
        predictions = [torch.empty(0, dtype=torch.uint8, device=device)]
    answers = torch.cat(predictions)
    if not logits:
        return answers.view(shape), torch.empty(*shape, 0, device=device)
    outputs = torch.cat(logits)
    return answers.view(shape), outputs.view(*shape, outputs.shape[1])


def _check_output(output: object, n: int) -> None:
    if (
        not isinstance(output, Tensor)
        or output.dim() != 2
        or len(output) != n
        or not 1 <= output.shape[1] <= MAX_CLASSES
    ):
        raise ValueError(
            f"model: got output {describe(output)} for {n} images, "
            f"expected [{n}, K] with K in 1..{MAX_CLASSES}"
        )


@contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode within; after the last of the threads that ask it every module has its own back."""
    modules = list(model.modules())
    with _lock:
        for module in modules:
            n_calls, training = _asked.get(id(module), (0, module.training))
            _asked[id(module)] = (n_calls + 1, training)
        model.eval()
    try:
        yield
    finally:
        with _lock:
            for module in modules:
                n_calls, training = _asked.pop(id(module))
                if n_calls > 1:
                    _asked[id(module)] = (n_calls - 1, training)
                else:
                    module.training = training
