"""Plain PyTorch twins of the ops: slow, obvious, and for any floating-point type.

Every op of :mod:`lenetshift.ops` is tested against its twin in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lenetshift.c3_table import to_dense, to_masked_dense
from lenetshift.models.lenet5 import LeNet5, SymmetricLeNet5
from lenetshift.shifts import ShiftGrid


def c3_conv(input: Tensor, weight: Tensor, bias: Tensor, table: Sequence[Sequence[int]]) -> Tensor:
    """Sparse 5 x 5 convolution by connection table.

    ``output[n, o, y, x] = bias[o] + sum over c in table[o], u, v of
    weight[k(o, c), u, v] * input[n, c, y + u, x + v]``, where k counts the connections in the
    table's order.

    Args:
        input: ``[N, C_in, H, W]``.
        weight: ``[n_connections, 5, 5]``.
        bias: ``[C_out]``.
        table: for each output map, the input maps that it sees, in ascending order. The op takes
            :func:`~lenetshift.c3_table.table_masks` of it.

    Returns:
        ``[N, C_out, H - 4, W - 4]``.

    >>> import torch
    >>> from lenetshift import reference
    >>> input, weight, bias = torch.ones(1, 2, 6, 6), torch.ones(3, 5, 5), torch.zeros(2)
    >>> reference.c3_conv(input, weight, bias, [(0,), (0, 1)])[0, :, 0, 0]
    tensor([25., 50.])
    """
    return F.conv2d(input, to_dense(weight, table, input.shape[1]), bias)


def translate(images: Tensor, shifts: Tensor) -> Tensor:
    """Each image moved by each shift: ``output[n, s, ..., y, x] = images[n, ..., y - dy, x - dx]``.

    Uncovered pixels are 0; pixels that leave the frame are lost.

    Args:
        images: ``[N, ..., H, W]``.
        shifts: int64 ``[S, 2]``, rows (dx, dy) in pixels, dx > 0 right, dy > 0 down.

    Returns:
        ``[N, S, ..., H, W]``.

    >>> import torch
    >>> from lenetshift import reference
    >>> image = torch.tensor([[1, 2], [3, 4]])
    >>> reference.translate(image[None], torch.tensor([[1, 0], [0, -1]]))
    tensor([[[[0, 1],
              [0, 3]],
    <BLANKLINE>
             [[3, 4],
              [0, 0]]]])
    """
    moved = [_moved(images, dx, dy) for dx, dy in shifts.tolist()]
    if not moved:
        return images.new_zeros((images.shape[0], 0, *images.shape[1:]))
    return torch.stack(moved, dim=1)


def shift_each(images: Tensor, shifts: Tensor) -> Tensor:
    """Image i moved by shift i: ``output[n, ..., y, x] = images[n, ..., y - dy[n], x - dx[n]]``.

    Args:
        images: ``[N, ..., H, W]``.
        shifts: int64 ``[N, 2]``, as for :func:`translate`.

    Returns:
        ``[N, ..., H, W]``.

    >>> import torch
    >>> from lenetshift import reference
    >>> images = torch.tensor([[[1, 2, 3]], [[4, 5, 6]]])
    >>> reference.shift_each(images, torch.tensor([[1, 0], [-2, 0]]))
    tensor([[[0, 1, 2]],
    <BLANKLINE>
            [[6, 0, 0]]])
    """
    if not len(images):
        return images.clone()
    pairs = zip(images.split(1), shifts.tolist(), strict=True)
    return torch.cat([_moved(image, dx, dy) for image, (dx, dy) in pairs])


def _moved(images: Tensor, dx: int, dy: int) -> Tensor:
    """All images moved by one shift."""
    height, width = images.shape[-2:]
    target = torch.zeros_like(images)
    if abs(dx) < width and abs(dy) < height:
        rows = slice(max(dy, 0), height + min(dy, 0))
        columns = slice(max(dx, 0), width + min(dx, 0))
        from_rows = slice(max(-dy, 0), height + min(-dy, 0))
        from_columns = slice(max(-dx, 0), width + min(-dx, 0))
        target[..., rows, columns] = images[..., from_rows, from_columns]
    return target


def dense_twin(model: nn.Module) -> nn.Module:
    """The same model with plain PyTorch layers only.

    For :class:`~lenetshift.LeNet5` this is a new model with an ``nn.Conv2d`` that has zeros where
    the table has no connection. Every other model has plain layers already and is returned itself.

    >>> import lenetshift
    >>> lenetshift.reference.dense_twin(lenetshift.LeNet5()).c3
    Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1))
    """
    if not isinstance(model, LeNet5):
        return model
    weight = model.output.weight
    with torch.device("meta"):  # the weights come from the model, none are drawn
        twin = SymmetricLeNet5(model.activation)
    twin = twin.to_empty(device=weight.device).to(weight.dtype)
    twin.load_state_dict(to_masked_dense(model.state_dict()))
    return twin.train(model.training)


@torch.inference_mode()
def shifted_logits(
    model: nn.Module, images: Tensor, grid: ShiftGrid, dtype: torch.dtype = torch.float64
) -> Tensor:
    """The model's logits for every image moved by every shift of the grid.

    Args:
        model: maps ``[B, 1, H, W]`` of ``dtype`` in 0..1 to logits ``[B, K]``.
        images: uint8 ``[N, H, W]``.
        grid: the shifts.
        dtype: the type of the pixels, which the model's parameters must have too.

    Returns:
        ``[N, n_dy, n_dx, K]`` of ``dtype``.

    >>> import torch, lenetshift
    >>> model = lenetshift.build_model("lenet5", seed=0).double()
    >>> images = torch.zeros(2, 28, 28, dtype=torch.uint8)
    >>> lenetshift.reference.shifted_logits(model, images, lenetshift.ShiftGrid()).shape
    torch.Size([2, 5, 11, 10])
    """
    moved = translate(images, grid.shifts())
    pixels = moved.flatten(0, 1).unsqueeze(1).to(dtype) / 255
    logits: Tensor = dense_twin(model)(pixels).unflatten(0, (images.shape[0], *grid.shape))
    return logits


def sgd_epoch(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    permutation: Tensor,
    learning_rate: float,
    batch_size: int,
) -> Tensor:
    """One epoch of plain mini-batch SGD on the mean cross-entropy, the model updated in place.

    Args:
        model: maps ``[B, 1, H, W]`` in 0..1 to logits ``[B, K]``; the type of its parameters is that
            of the computation.
        images: uint8 ``[N, H, W]``.
        labels: int64 ``[N]``.
        permutation: int64 ``[N]``, the order of the images; the last batch may be smaller.
        learning_rate: parameters change by -learning_rate * gradient.
        batch_size: images per step.

    Returns:
        ``[n_steps]``: each step's mean loss before its update.

    >>> import torch, lenetshift
    >>> model = lenetshift.build_model("mlp", seed=0)
    >>> images, labels = torch.zeros(3, 28, 28, dtype=torch.uint8), torch.tensor([7, 7, 7])
    >>> losses = lenetshift.reference.sgd_epoch(
    ...     model, images, labels, torch.tensor([0, 2, 1]), learning_rate=0.1, batch_size=1
    ... )
    >>> losses.shape, bool(losses[-1] < losses[0])
    (torch.Size([3]), True)
    """
    dtype = next(model.parameters()).dtype
    losses = []
    for batch in permutation.split(batch_size):
        pixels = images[batch].unsqueeze(1).to(dtype) / 255
        loss = F.cross_entropy(model(pixels), labels[batch])
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.sub_(learning_rate * parameter.grad)
        losses.append(loss.detach())
    return torch.stack(losses) if losses else images.new_zeros(0, dtype=dtype)
