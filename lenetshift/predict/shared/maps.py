"""A map: the features of every window of some canvases, and how layers change it.

The algorithm: run the layer on every window. The schedule: run it once for each place that some window has
(:mod:`.geometry`), in ``channels_last``. Lines at constant distances, as in a network without padding, are
read by PyTorch's own convolutions, dilated if necessary, and by sums of slices; all others by
``torch.ops.lenetshift.indirect_conv2d`` and ``indirect_pool2d``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...checks.arrays import FLOATS, HALF_FLOATS
from .geometry import BEYOND, Axis, NotShared, Taps, TooLarge
from .ordinary import has_kernel_for, is_faster
from .weights import by_channel_last, by_place, kept_in

Join = Callable[[Tensor, Tensor], Tensor]
Read = tuple[Axis, Taps]
Pair = tuple[int, int]
Y, X = -2, -1  # the dimensions of rows and columns

MANY_TAPS = 50
"""From this number of taps on, as in a dense layer, ``indirect_conv2d`` is faster for even taps too."""

WITHOUT_KERNEL = 10
"""How many times longer ``indirect_conv2d`` takes for groups of several channels, which have no kernel."""

COPIED_BYTES = 16 << 20
"""Of windows that an indirect op without a kernel of its own copies at once."""

_OPS = torch.ops.lenetshift


@dataclass
class Tally:
    """What a pass of the network over canvases counts besides its features.

    Attributes:
        most_bytes: the most memory that its values may take at once.
        products: multiply-adds, on canvases and, after sharing ends, on windows. Those
            without a kernel count :data:`WITHOUT_KERNEL` times.
        plain_products: those of the same windows, one by one.
        end: the first operation that runs on each window by itself because it cannot be shared, and why;
            empty if there is none.
    """

    most_bytes: float = math.inf
    products: int = 0
    plain_products: int = 0
    end: str = ""

    def check_bytes(self, n_bytes: float) -> None:
        """Check an amount of memory before it is taken.

        Raises:
            TooLarge: it is more than allowed.
        """
        if n_bytes > self.most_bytes:
            raise TooLarge(f"would take {2 * int(n_bytes) >> 20} MiB for one image's canvas")


@dataclass(frozen=True, eq=False)
class Map:
    """Features of every window.

    Attributes:
        tensor: ``[N, ..., lines of y, lines of x]`` of N canvases. The dimensions in between are the
            features: ``C`` channels, several after a ``view``, or none.
        y, x: which lines belong to which window.
        tally: that of the pass.
    """

    tensor: Tensor
    y: Axis
    x: Axis
    tally: Tally

    @property
    def rows(self) -> int:
        """The total number of windows: N * n_y * n_x."""
        return len(self.tensor) * self.y.windows * self.x.windows

    @property
    def features(self) -> tuple[int, ...]:
        """The sizes of the dimensions between images and rows."""
        return tuple(self.tensor.shape[1:Y])

    @functools.cached_property
    def taken_apart(self) -> Tensor:
        """:func:`windows` of it; cached, since several operations may need it."""
        return windows(self)

    def with_tensor(self, tensor: Tensor) -> Map:
        """The same map with another tensor."""
        return replace(self, tensor=tensor)


@dataclass(frozen=True, eq=False)
class Flat:
    """A flattened map whose windows are not yet taken apart: a dense layer on it is a convolution."""

    map: Map


@dataclass(frozen=True)
class Unshared:
    """A result that cannot be shared, and the reason for operations that use it."""

    reason: str


def aligned(maps: Sequence[Map]) -> list[Map]:
    """Maps brought to the same lines.

    Raises:
        NotShared: their windows differ in number or size.
    """
    y, rows = maps[0].y.joined(tuple(m.y for m in maps[1:]))
    x, columns = maps[0].x.joined(tuple(m.x for m in maps[1:]))
    return [
        Map(_lines(m.tensor, taken_y, taken_x), y, x, m.tally)
        for m, taken_y, taken_x in zip(maps, rows, columns, strict=True)
    ]


def _lines(tensor: Tensor, rows: Taps, columns: Taps) -> Tensor:
    """Some rows and columns of a map; the map itself if these are all."""
    if _has_kernel(tensor) and not (
        rows.takes_all(tensor.shape[Y]) and columns.takes_all(tensor.shape[X])
    ):
        copied: Tensor = _OPS.indirect_pool2d(tensor, rows.tensor, columns.tensor, True)
        return copied
    return _along(_along(tensor, Y, rows), X, columns)


def _along(tensor: Tensor, dim: int, lines: Taps) -> Tensor:
    """Some rows (``dim`` -2) or columns (-1) of a map; the map itself if these are all."""
    if lines.takes_all(tensor.shape[dim]):
        return tensor
    return tensor.index_select(dim, lines.tensor[:, 0].to(tensor.device))


def _has_kernel(tensor: Tensor) -> bool:
    """Whether the indirect ops have a kernel of their own for a map."""
    return tensor.dim() == 4 and tensor.device.type == "cpu" and tensor.dtype in FLOATS


def windows(maps: Map) -> Tensor:
    """Every window in a row of its own: ``[N * n_y * n_x, ..., h, w]``, channels last."""
    tensor, y, x = maps.tensor, maps.y, maps.x
    n_values = maps.rows * math.prod(maps.features) * y.size * x.size
    maps.tally.check_bytes(n_values * tensor.element_size())
    for dim, axis in ((Y, y), (X, x)):
        if axis.even is None:
            lines = torch.from_numpy(axis.table.ravel()).to(tensor.device)
            tensor = tensor.index_select(dim, lines)
    at_n, *at_features, at_y, at_x = tensor.stride()
    first_y, step_y, gap_y = y.even or (0, y.size, 1)
    first_x, step_x, gap_x = x.even or (0, x.size, 1)
    view = tensor.as_strided(
        (len(tensor), y.windows, x.windows, *maps.features, y.size, x.size),
        (at_n, step_y * at_y, step_x * at_x, *at_features, gap_y * at_y, gap_x * at_x),
        tensor.storage_offset() + first_y * at_y + first_x * at_x,
    )
    if len(maps.features) != 1:
        return view.reshape(maps.rows, *maps.features, y.size, x.size)
    by_place = view.permute(0, 1, 2, 4, 5, 3).reshape(maps.rows, y.size, x.size, *maps.features)
    return by_place.permute(0, 3, 1, 2)


def conv2d(
    maps: Map,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    clamp: tuple[float, float] | None = None,
    kept: dict[str, Any] | None = None,
) -> Map:
    """Convolution: ``weight [O, C / groups, kh, kw]``; ``clamp`` has bounds of the results, ``kept`` the
    weight in other layouts."""
    kept = {} if kept is None else kept
    tensor = with_channels(maps).tensor
    kernel = weight.shape[2:]
    y, rows = _slid(tensor, Y, maps.y, kernel[0], stride[0], dilation[0], padding[0])
    x, columns = _slid(tensor, X, maps.x, kernel[1], stride[1], dilation[1], padding[1])
    places = len(rows.table) * len(columns.table)
    indirect = _has_kernel(tensor) and (
        math.prod(kernel) >= MANY_TAPS or is_faster(tensor, weight, groups, places)
    )
    slower = 1
    if rows.even and columns.even and not indirect:
        tensor = _read(_read(tensor, Y, rows), X, columns)
        steps, gaps = zip(rows.even[1:], columns.even[1:], strict=True)
        laid_out = kept_in(kept, weight, by_channel_last)
        out = F.conv2d(tensor, laid_out, bias, steps, 0, gaps, groups)
        out = out if clamp is None else out.clamp_(*clamp)
    else:
        laid_out = kept_in(kept, weight, by_place) if has_kernel_for(weight, groups) else weight
        slower = 1 if has_kernel_for(weight, groups) else WITHOUT_KERNEL
        bias = weight.new_zeros(len(weight)) if bias is None else bias
        low, high = clamp or (-math.inf, math.inf)
        out = _indirect(
            tensor,
            rows,
            columns,
            lambda lines, *tables: _OPS.indirect_conv2d(
                lines, laid_out, bias, *tables, groups, low, high
            ),
            copies=not (_has_kernel(tensor) and has_kernel_for(weight, groups)),
        )
    maps.tally.products += slower * out.numel() * weight[0].numel()
    maps.tally.plain_products += maps.rows * weight.numel() * y.size * x.size
    return Map(out, y, x, maps.tally)


def _indirect(
    tensor: Tensor,
    rows: Taps,
    columns: Taps,
    op: Callable[[Tensor, Tensor, Tensor], Tensor],
    *,
    copies: bool,
) -> Tensor:
    """An indirect op, in parts if it copies the windows."""
    tables = [taps.tensor.to(tensor.device) for taps in (rows, columns)]
    n = len(tables[0])
    if copies:
        of_a_row = len(tensor) * tensor.shape[1] * rows.table.shape[1] * columns.table.size
        n = max(1, COPIED_BYTES // (of_a_row * tensor.element_size()))
    parts = [op(tensor, part, tables[1]) for part in tables[0].split(n)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, Y)


def _slid(
    tensor: Tensor, dim: int, axis: Axis, kernel: int, stride: int, dilation: int, padding: int
) -> tuple[Axis, Taps]:
    """The axis after a convolution, which pads with zeros, and the lines that it reads."""
    if not axis.margin or not padding:
        return axis.slid(kernel, stride, dilation, padding)
    others = [d for d in range(tensor.dim()) if d != dim % tensor.dim()]
    blank = (tensor == 0).all(others)
    return axis.slid_on_canvas(kernel, stride, dilation, padding, blank.cpu().numpy().tobytes())


def _read(tensor: Tensor, dim: int, taps: Taps) -> Tensor:
    """The part of a map that even taps read."""
    first, last = int(taps.table[0, 0]), int(taps.table[-1, -1])
    return tensor.narrow(dim, first, last + 1 - first)


def pool2d(maps: Map, join: Join, along_y: Read, along_x: Read) -> Map:
    """``join`` of the values under a kernel: ``torch.maximum``, ``torch.minimum`` or ``torch.add``.

    Args:
        along_y, along_x: what it reads.
    """
    tensor = with_channels(maps).tensor
    (y, rows), (x, columns) = along_y, along_x
    if rows.even and columns.even:
        tensor = _joined(tensor, Y, join, rows)
        tensor = _joined(tensor, X, join, columns)
        if rows.table.shape[1] == columns.table.shape[1] == 1:  # a view: nothing was joined
            tensor = tensor.clone(memory_format=torch.preserve_format)
    elif tensor.is_floating_point() and join is not torch.minimum:
        largest = join is torch.maximum
        tensor = _indirect(
            tensor,
            rows,
            columns,
            lambda *given: _OPS.indirect_pool2d(*given, largest),
            copies=not _has_kernel(tensor),
        )
    else:
        for dim, taps in ((Y, rows), (X, columns)):
            tensor = _joined_at_any(tensor, dim, join, taps)
    return Map(tensor, y, x, maps.tally)


def counts(along_y: Read, along_x: Read, device: torch.device, *, padding: bool) -> Tensor | int:
    """How many values are under a pooling's kernel, with its padding or not.

    Returns:
        ``[lines of y, lines of x]``, or the number if it is the same everywhere.
    """
    least = BEYOND + 1 if padding else 0
    rows, columns = ((taps.table >= least).sum(1) for _, taps in (along_y, along_x))
    if len({*rows}) == len({*columns}) == 1:
        return int(rows[0] * columns[0])
    return torch.from_numpy(rows[:, None] * columns).to(device)


def summable(tensor: Tensor) -> Tensor:
    """Values in the dtype in which PyTorch sums them: half precision in float32, whole numbers in int64."""
    if not tensor.is_floating_point():
        return tensor.long()
    return tensor.float() if tensor.dtype in HALF_FLOATS else tensor


def chosen(maps: Map, rows: Sequence[int], columns: Sequence[int]) -> Map:
    """Some rows and columns of every window."""
    return Map(maps.tensor, maps.y.chosen(rows), maps.x.chosen(columns), maps.tally)


def written(maps: Map, source: Map, dim: int, places: range) -> Map:
    """The windows after some of their rows (``dim`` -2) or columns (-1) are replaced by those of a map."""
    axes = {Y: (maps.y, source.y), X: (maps.x, source.x)}
    along, taken = axes[dim][0].written(axes[dim][1], places)
    other = X if dim == Y else Y
    across, both = axes[other][0].joined(axes[other][1:])
    parts = [_along(m.tensor, other, of) for m, of in zip((maps, source), both, strict=True)]
    tensor = _along(torch.cat(parts, dim), dim, taken)
    y, x = (along, across) if dim == Y else (across, along)
    return Map(tensor, y, x, maps.tally)


def padded(maps: Map, rows: Pair, columns: Pair, value: float) -> Map:
    """The windows padded with ``value`` by (before, after) rows and columns."""
    tensor = F.pad(maps.tensor, (0, int(any(columns)), 0, int(any(rows))), value=value)
    y = maps.y.padded(*rows) if any(rows) else maps.y
    x = maps.x.padded(*columns) if any(columns) else maps.x
    return Map(tensor, y, x, maps.tally)


def with_channels(maps: Map) -> Map:
    """The map itself.

    Raises:
        NotShared: it does not have one dimension of features.
    """
    if len(maps.features) != 1:
        raise NotShared(
            "slides over a map whose dimensions are not [images, channels, rows, columns]"
        )
    return maps


def _every(tensor: Tensor, dim: int, first: int, every: int, n: int) -> Tensor:
    """A view of ``n`` lines along ``dim``: every ``every``-th from ``first`` on."""
    last = slice(first, first + (n - 1) * every + 1, every)
    return tensor[..., last] if dim == X else tensor[..., last, :]


def _joined(tensor: Tensor, dim: int, join: Join, taps: Taps) -> Tensor:
    """Joins of the lines under even taps.

    By doubling: joins of 2, 4, ... lines everywhere, then of those that make up the kernel.
    """
    assert taps.even
    n, kernel = taps.table.shape
    first, every, reach = taps.even  # the lines that ``tensor`` has joined span ``reach``
    total: Tensor | None = None
    while kernel:
        for _ in range(kernel if kernel <= 3 else kernel % 2):
            part = _every(tensor, dim, first, every, n)
            total = part if total is None else join(total, part)
            first += reach
        if kernel <= 3:
            break
        length = tensor.shape[dim] - reach
        tensor = join(tensor.narrow(dim, 0, length), tensor.narrow(dim, reach, length))
        kernel, reach = kernel // 2, 2 * reach
    assert total is not None
    return total


def _joined_at_any(tensor: Tensor, dim: int, join: Join, taps: Taps) -> Tensor:
    """Joins of the lines under any taps, tap by tap."""
    # Only poolings with padding read outside the map: the largest of whole numbers, and sums.
    whole = not tensor.is_floating_point() and tensor.dtype != torch.bool
    least = torch.iinfo(tensor.dtype).min if whole and join is torch.maximum else 0
    outside = tensor.new_full((), least)
    shape = list(tensor.shape)
    shape[dim] = 1
    tensor = torch.cat([tensor, outside.expand(shape)], dim)  # the last line is outside the map
    lines = (taps.tensor % tensor.shape[dim]).to(tensor.device)
    return functools.reduce(join, (tensor.index_select(dim, at) for at in lines.unbind(1)))
