"""Training: plain mini-batch gradient descent on the mean cross-entropy.

Two methods give the same weights: one fused op call per epoch for the package's own models, or the
plain torch loop for any ``nn.Module``. Both see the images in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.module import _global_backward_hooks, _global_backward_pre_hooks

from ..checks.captures import is_captured
from ..checks.choices import TRAINING_METHODS
from ..checks.describe import describe
from ..checks.errors import ArgumentError, MethodError
from ..checks.numbers import check_batch_size, check_int, check_positive, check_seed
from ..checks.types import check_callable, check_choice, check_type
from ..data.dataset import Dataset, as_input
from ..data.seeds import epoch_permutation, epoch_seed, seeded_global
from .dtypes import device_of, dtype_of
from .fused import fused_name, own_name, packed_parameters, sums_stay_finite
from .table import BY_NAME, FUSED

OnProgress = Callable[[int, int, int, float], None]
"""``on_progress(epoch, step, n_steps, loss)``: the epoch's number, its finished steps, all its steps, and the
mean loss of the finished ones."""

EpochData = Callable[[int], Dataset]
"""``data(epoch)``: the training set of an epoch."""

_STEPS_PER_REPORT = 50  # autograd: not after every step, since a report waits for the device


def train(
    model: nn.Module,
    dataset: Dataset | None = None,
    *,
    data: EpochData | None = None,
    epochs: int,
    learning_rate: float,
    batch_size: int,
    seed: int,
    method: str = "fused",
    first_epoch: int = 0,
    on_progress: OnProgress | None = None,
) -> list[Tensor]:
    """Train a model in place, on its own device, by SGD without momentum or weight decay.

    Args:
        model: takes ``[B, 1, 28, 28]`` in [0, 1], gives logits ``[B, K]`` with K >= 10.
        dataset: the training set; a last batch that is smaller than the others is used too.
        data: instead of ``dataset`` a function of the epoch's number that returns the epoch's training set,
            such as ``lambda epoch: jitter(dataset, grid, seed, epoch)``.
        epochs: passes over the set, 0 or more.
        learning_rate: positive.
        batch_size: images per step, 1..2**31 - 1.
        seed: 0..2**32 - 1. With the epoch's number it decides the order of the images and the random numbers
            that a model draws (dropout). The package's own models draw none. For others torch's global
            generators are seeded for each epoch and restored after it, one thread at a time: other threads
            that draw from them meanwhile get seeded numbers.
        method: ``"fused"``, one op call per epoch, for an unchanged float32 model of the
            package; ``"autograd"``, the plain torch loop, for any module, in its own dtype. Autograd also
            computes an epoch of ``"fused"`` that starts or ends with weights whose sums overflow, so that
            training diverges as in PyTorch.
        first_epoch: number of the first epoch; a call for 1 epoch and another with ``first_epoch=1`` equal
            one call for 2 epochs.
        on_progress: called at least at the end of each epoch (see ``OnProgress``).

    Returns:
        For each epoch the loss of every step, before its update: float32 ``[n_steps]`` on the
        CPU, the mean cross-entropy in nats.

    Raises:
        ValueError: a setting out of range, an empty dataset, both or neither of ``dataset`` and
            ``data``, an unknown method, or ``"fused"`` for a model that has no fused op, or has frozen
            parameters or backward hooks; or a CUDA graph is being captured.

    Example:
        >>> import lenetshift, torch
        >>> dataset = lenetshift.Dataset(torch.zeros(6, 28, 28, dtype=torch.uint8), torch.arange(6))
        >>> model = lenetshift.build_model("mlp", seed=0)
        >>> losses = lenetshift.train(model, dataset, epochs=2, learning_rate=0.1, batch_size=4, seed=0)
        >>> [epoch.shape for epoch in losses]
        [torch.Size([2]), torch.Size([2])]
    """
    check_type("model", model, nn.Module)
    _check_source(dataset, data)
    epochs = check_int("epochs", epochs, 0)
    learning_rate = check_positive("learning_rate", learning_rate)
    batch_size = check_batch_size(batch_size)
    seed = check_seed(seed)
    first_epoch = check_int("first_epoch", first_epoch, 0)
    check_choice("method", method, TRAINING_METHODS)
    check_callable("on_progress", on_progress)
    epoch_of = _fused_epoch if method == "fused" else _autograd_epoch
    run_epoch = epoch_of(model, learning_rate, batch_size)
    draws_nothing = own_name(model) is not None

    device = device_of(model)
    if is_captured(device):
        raise MethodError(
            method,
            "train copies losses to the CPU, which no CUDA graph can capture; capture "
            "torch.ops.lenetshift.train_epoch_*",
        )
    resting = None if dataset is None else dataset.to(device)  # copied once, not in every epoch
    losses = []
    for epoch in range(first_epoch, first_epoch + epochs):
        of_epoch = resting if data is None else data(epoch)
        images, labels = _tensors(of_epoch, epoch, device)
        permutation = epoch_permutation(len(images), seed, epoch).to(device)

        def report(step: int, n_steps: int, loss: float, epoch: int = epoch) -> None:
            if on_progress is not None:
                on_progress(epoch, step, n_steps, loss)

        with nullcontext() if draws_nothing else seeded_global(epoch_seed(seed, epoch), device):
            epoch_losses = run_epoch(images, labels, permutation, report)
        losses.append(epoch_losses.cpu())
    return losses


def _check_source(dataset: Dataset | None, data: EpochData | None) -> None:
    """Raise ValueError unless exactly one of the two is given."""
    if data is None:
        check_type("dataset", dataset, Dataset)
        if not dataset:
            raise ArgumentError("dataset", "no images", "at least one")
        return
    check_callable("data", data)
    if dataset is not None:
        raise ArgumentError("data", f"{describe(data)} besides a dataset", "one of the two")


def _tensors(dataset: object, epoch: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """An epoch's images and labels on the device; not copied if they are there already."""
    if not isinstance(dataset, Dataset):
        raise ArgumentError("data", f"{describe(dataset)} for epoch {epoch}", "a Dataset")
    if len(dataset) == 0:
        raise ArgumentError("data", f"no images for epoch {epoch}", "at least one")
    on_device = dataset.to(device)
    return on_device.images.contiguous(), on_device.labels.contiguous()


_Report = Callable[[int, int, float], None]  # (step, n_steps, mean loss so far)
_Epoch = Callable[[Tensor, Tensor, Tensor, _Report], Tensor]


def _fused_epoch(model: nn.Module, learning_rate: float, batch_size: int) -> _Epoch:
    """An epoch as one op call; ValueError if the model has no such op."""
    name = fused_name(model)
    if name is None:
        classes = ", ".join(BY_NAME[fused].made_by for fused in FUSED)
        raise ArgumentError(
            "method",
            f"'fused' for {type(model).__name__}",
            f"'autograd' for all models but an unchanged float32 {classes}",
        )
    unseen = [f"frozen {key}" for key, p in model.named_parameters() if not p.requires_grad]
    unseen += [f"a hook on {key}" for key in _backward_hooked(model)]
    if unseen:
        raise ArgumentError("method", f"'fused' for a model with {unseen[0]}", "'autograd'")
    train_epoch = getattr(torch.ops.lenetshift, f"train_epoch_{name}")

    def run_epoch(images: Tensor, labels: Tensor, permutation: Tensor, report: _Report) -> Tensor:
        packed = packed_parameters(model)
        if sums_stay_finite(packed):
            start = [parameter.cpu().numpy().copy() for parameter in packed]
            try:
                losses: Tensor = train_epoch(
                    images, labels, permutation, packed, learning_rate, batch_size, model.activation
                )
            finally:  # also the steps before an interrupt
                _write_back(model, packed)
            if sums_stay_finite(packed):
                report(len(losses), len(losses), float(losses.cpu().numpy().mean()))
                return losses
            _write_back(model, [torch.from_numpy(values) for values in start])
        run_by_autograd = _autograd_epoch(model, learning_rate, batch_size)
        return run_by_autograd(images, labels, permutation, report)

    return run_epoch


def _write_back(model: nn.Module, values: Sequence[Tensor]) -> None:
    """Copy values into the parameters that do not share their memory."""
    for parameter, value in zip(model.parameters(), values, strict=True):
        if parameter.data_ptr() != value.data_ptr():
            parameter.detach().copy_(value)


def _backward_hooked(model: nn.Module) -> list[str]:
    """The names of modules and parameters with hooks that only a backward pass runs."""
    every_module = ["every module"] if _global_backward_hooks or _global_backward_pre_hooks else []
    modules = [
        name or type(module).__name__
        for name, module in model.named_modules()
        if module._backward_hooks or module._backward_pre_hooks
    ]
    parameters = [
        name
        for name, parameter in model.named_parameters()
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks
    ]
    return every_module + modules + parameters


def _autograd_epoch(model: nn.Module, learning_rate: float, batch_size: int) -> _Epoch:
    """An epoch as the plain torch loop, in training mode."""
    dtype = dtype_of(model)

    def run_epoch(images: Tensor, labels: Tensor, permutation: Tensor, report: _Report) -> Tensor:
        optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
        batches = torch.split(permutation, batch_size)
        losses = torch.empty(len(batches), device=images.device)
        modes = [(module, module.training) for module in model.modules()]
        model.train()
        try:
            for step, batch in enumerate(batches):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(as_input(images[batch], dtype)), labels[batch])
                loss.backward()
                optimizer.step()
                losses[step] = loss.detach()
                done = step + 1
                if done % _STEPS_PER_REPORT == 0 or done == len(batches):
                    report(done, len(batches), float(losses[:done].mean()))
        finally:
            for module, training in modes:
                module.training = training
        return losses

    return run_epoch
