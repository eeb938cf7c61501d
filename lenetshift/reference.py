"""Plain PyTorch twins of the ops: slow, obvious, and for any floating-point type.

Every op of :mod:`lenetshift.ops` is tested against its twin in float64.
"""

from __future__ import annotations

import math
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


def indirect_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    rows: Tensor,
    columns: Tensor,
    groups: int = 1,
    low: float | None = None,
    high: float | None = None,
) -> Tensor:
    """Convolution whose windows are found in tables.

    ``output[n, o, i, j] = clamp(bias[o] + sum over c, u, v of
    weight[o, c, u, v] * input[n, c, rows[i, u], columns[j, v]], low, high)``, where the input is 0 if
    a table has -1, and c runs over the channels of o's group.

    Args:
        input: ``[N, C, H, W]``.
        weight: ``[O, C / groups, kh, kw]``.
        bias: ``[O]``.
        rows: int64 ``[H_out, kh]``, -1..H - 1.
        columns: int64 ``[W_out, kw]``, -1..W - 1.
        groups: a divisor of C and of O.
        low: the results are at least this, unless it is larger than ``high``; None: no bound.
        high: the results are at most this.

    Returns:
        ``[N, O, H_out, W_out]``.

    >>> import torch
    >>> from lenetshift import reference
    >>> input, weight, bias = torch.tensor([[[[1.0, 2, 4]]]]), torch.ones(1, 1, 1, 2), torch.zeros(1)
    >>> row, columns = torch.tensor([[0]]), torch.tensor([[-1, 0], [0, 1], [2, 2]])
    >>> reference.indirect_conv2d(input, weight, bias, row, columns)
    tensor([[[[1., 3., 8.]]]])
    """
    cut = weight.unflatten(0, (groups, -1))  # [groups, O / groups, C / groups, kh, kw]
    output = bias[:, None, None].expand(len(input), len(bias), len(rows), len(columns))
    output = output.unflatten(1, (groups, -1))
    for u in range(rows.shape[1]):
        for v in range(columns.shape[1]):
            cells = _cells(input, rows[:, u], columns[:, v], 0).unflatten(1, (groups, -1))
            output = output + torch.einsum("ngchw,goc->ngohw", cells, cut[..., u, v])
    bounds = (-math.inf if low is None else low, math.inf if high is None else high)
    clamped: Tensor = output.flatten(1, 2).clamp(*bounds)
    return clamped


def indirect_pool2d(input: Tensor, rows: Tensor, columns: Tensor, largest: bool) -> Tensor:
    """The largest value, or the sum, of windows that are found in tables.

    Args:
        input: ``[N, C, H, W]``, floating-point or whole numbers; sums of whole numbers wrap around.
        rows: int64 ``[H_out, kh]``; -1 is outside the input, and left out.
        columns: int64 ``[W_out, kw]``, likewise.
        largest: the largest value instead of the sum; of no value, it is the smallest that the dtype has.

    Returns:
        ``[N, C, H_out, W_out]``.

    >>> import torch
    >>> from lenetshift import reference
    >>> input, row = torch.tensor([[[[-1, -2, 4]]]]), torch.tensor([[0]])
    >>> columns = torch.tensor([[-1, 0], [0, 1], [2, 2]])
    >>> reference.indirect_pool2d(input, row, columns, largest=True)
    tensor([[[[-1, -1,  4]]]])
    >>> reference.indirect_pool2d(input, row, columns, largest=False)
    tensor([[[[-1, -3,  8]]]])
    """
    outside: float = 0
    if largest:
        is_float = input.is_floating_point()
        outside = -math.inf if is_float else torch.iinfo(input.dtype).min
    join = torch.maximum if largest else torch.add
    output = input.new_full((*input.shape[:2], len(rows), len(columns)), outside)
    for u in range(rows.shape[1]):
        for v in range(columns.shape[1]):
            output = join(output, _cells(input, rows[:, u], columns[:, v], outside))
    return output


def _cells(input: Tensor, rows: Tensor, columns: Tensor, outside: float) -> Tensor:
    """Some lines of maps, with the value ``outside`` where the line is -1."""
    cells = input.new_full((*input.shape[:2], len(rows), len(columns)), outside)
    y, x = ((lines >= 0).nonzero()[:, 0] for lines in (rows, columns))
    cells[:, :, y[:, None], x] = input[:, :, rows[y][:, None], columns[x]]
    return cells


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
