"""A map: the features of every window of some canvases, and how layers change it.

The algorithm: run the layer on every window. The schedule: run it once on the canvas, dilated
(:mod:`.geometry`), in ``channels_last``, in which PyTorch's convolutions are fastest here. Poolings
join slices, which takes a tenth of the time of PyTorch's own poolings.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ...checks.arrays import HALF_FLOATS
from .geometry import Axis, NotShared

Join = Callable[[Tensor, Tensor], Tensor]
Y, X = -2, -1  # the dimensions of rows and columns


@dataclass
class Tally:
    """What a pass of the network over canvases counts besides its features.

    Attributes:
        spoiled_y: bool ``[N, n_y]``, windows with something else above or below them than a padding
            puts there; ``spoiled_x`` is ``[N, n_x]``, left and right. None: nothing was padded.
        products: multiply-adds of the convolutions on the canvases.
        plain_products: those of the same windows, one by one.
        most_bytes: the most memory that its values may take at once.
    """

    most_bytes: float = math.inf
    spoiled_y: Tensor | None = None
    spoiled_x: Tensor | None = None
    products: int = 0
    plain_products: int = 0

    def check_bytes(self, n_bytes: float) -> None:
        """Check an amount of memory before it is taken.

        Raises:
            NotShared: it is more than allowed.
        """
        if n_bytes > self.most_bytes:
            raise NotShared(f"would take {2 * int(n_bytes) >> 20} MiB for one image's canvas")


@dataclass(frozen=True, eq=False)
class Map:
    """Features of every window.

    Attributes:
        tensor: ``[N, ..., height, width]`` of N canvases, at least as large as the windows need. The
            dimensions in between are the features: ``C`` channels, several after a ``view``, or none.
        y, x: where the windows lie.
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

    def without_margin(self) -> Map:
        """The map without cells that no window needs."""
        tensor = self.tensor
        for dim, axis in ((Y, self.y), (X, self.x)):
            if tensor.shape[dim] != axis.cells:
                tensor = tensor.narrow(dim, axis.around, axis.cells)
        return Map(tensor, replace(self.y, margin=None), replace(self.x, margin=None), self.tally)


@dataclass(frozen=True, eq=False)
class Flat:
    """A flattened map whose windows are not yet taken apart: a dense layer on it is a convolution."""

    map: Map


@dataclass(frozen=True)
class Unshared:
    """A result that cannot be shared, and the reason for operations that use it."""

    reason: str


def aligned(maps: Sequence[Map]) -> list[Map]:
    """Maps brought to the same cells.

    Raises:
        NotShared: their windows lie differently.
    """
    first = maps[0]
    if all((m.y, m.x, _extent(m)) == (first.y, first.x, _extent(first)) for m in maps):
        return list(maps)
    bare = [m.without_margin() for m in maps]
    if any((m.y, m.x) != (bare[0].y, bare[0].x) for m in bare):
        raise NotShared("combines maps of different strides or sizes")
    return bare


def _extent(maps: Map) -> torch.Size:
    return maps.tensor.shape[Y:]


def windows(maps: Map) -> Tensor:
    """Every window in a row of its own: ``[N * n_y * n_x, ..., h, w]``."""
    maps = maps.without_margin()
    tensor, y, x = maps.tensor, maps.y, maps.x
    n_values = maps.rows * math.prod(maps.features) * y.size * x.size
    maps.tally.check_bytes(n_values * tensor.element_size())
    at_n, *at_features, at_y, at_x = tensor.stride()
    view = tensor.as_strided(
        (len(tensor), y.windows, x.windows, *maps.features, y.size, x.size),
        (at_n, y.step * at_y, x.step * at_x, *at_features, y.dilation * at_y, x.dilation * at_x),
    )
    return view.reshape(maps.rows, *maps.features, y.size, x.size)


def conv2d(
    maps: Map,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> Map:
    """Convolution without padding: ``weight [O, C / groups, kh, kw]``."""
    maps = with_channels(maps).without_margin()
    kernel = weight.shape[2:]
    y, every_y = maps.y.slid(kernel[0], stride[0], dilation[0])
    x, every_x = maps.x.slid(kernel[1], stride[1], dilation[1])
    dilated = (dilation[0] * maps.y.dilation, dilation[1] * maps.x.dilation)
    out = F.conv2d(maps.tensor, weight, bias, (every_y, every_x), 0, dilated, groups)
    maps.tally.products += out.numel() * weight[0].numel()
    maps.tally.plain_products += maps.rows * weight.numel() * y.size * x.size
    return Map(out, y, x, maps.tally)


def pool2d(
    maps: Map,
    join: Join,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> Map:
    """``join`` of the values under a kernel, without padding."""
    maps = with_channels(maps).without_margin()
    tensor = maps.tensor
    y, every_y = maps.y.slid(kernel[0], stride[0], dilation[0])
    x, every_x = maps.x.slid(kernel[1], stride[1], dilation[1])
    tensor = _joined(tensor, Y, join, kernel[0], dilation[0] * maps.y.dilation, every_y, y.cells)
    tensor = _joined(tensor, X, join, kernel[1], dilation[1] * maps.x.dilation, every_x, x.cells)
    if kernel == (1, 1):  # nothing was joined: a view, but a pooling's result has its own memory
        tensor = tensor.clone(memory_format=torch.preserve_format)
    return Map(tensor, y, x, maps.tally)


def summable(tensor: Tensor) -> Tensor:
    """Values in the dtype in which PyTorch sums them: half precision in float32, whole numbers in int64."""
    if not tensor.is_floating_point():
        return tensor.long()
    return tensor.float() if tensor.dtype in HALF_FLOATS else tensor


def cropped(maps: Map, rows: range, columns: range) -> Map:
    """Some rows and columns of every window, in ascending order."""
    maps = maps.without_margin()
    tensor, axes = maps.tensor, []
    for dim, axis, taken in ((Y, maps.y, rows), (X, maps.x, columns)):
        after, every = axis.thinned(len(taken), taken.step)
        tensor = _every(tensor, dim, taken.start * axis.dilation, every, after.cells)
        axes.append(after)
    return Map(tensor, axes[0], axes[1], maps.tally)


def padded(maps: Map, rows: tuple[int, int], columns: tuple[int, int], value: float) -> Map:
    """The windows padded with ``value`` by (before, after) rows and columns.

    A map that is cut is padded. Otherwise the windows are extended by what the canvas holds there, and
    those for which this is not ``value`` are noted as spoiled.

    Raises:
        NotShared: the map no longer holds the image around a window.
        MarginTooSmall: the canvas holds too little around its windows.
    """
    maps = with_channels(maps)
    tensor, axes = maps.tensor, []
    for dim, axis, (before, after) in ((Y, maps.y, rows), (X, maps.x, columns)):
        wider = axis.padded(before, after)
        if axis.cut:  # the map may be larger than its only window needs, after a stride
            tensor = tensor.narrow(dim, 0, axis.cells)
            tensor = F.pad(tensor, [0, 0] * (X - dim) + [before, after], value=value)
        elif before or after:
            spoiled = _spoiled(maps.tensor, dim, axis, before, after, value)
            _note(maps.tally, "spoiled_y" if dim == Y else "spoiled_x", spoiled)
            first = axis.around - before - wider.around
            tensor = tensor.narrow(dim, first, wider.cells + 2 * wider.around)
        axes.append(wider)
    return Map(tensor, axes[0], axes[1], maps.tally)


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


def _spoiled(tensor: Tensor, dim: int, axis: Axis, before: int, after: int, value: float) -> Tensor:
    """bool ``[N, windows]``: whether lines next to a window hold anything but ``value``."""
    other = (tensor != value).any(1)  # [N, height, width]
    lines = other.any(X - dim + 1).cumsum(1)  # over the other axis -> [N, cells]
    counts = F.pad(lines, (1, 0))  # counts[:, k]: lines before k that hold something else
    first = axis.around + axis.step * torch.arange(axis.windows, device=tensor.device)
    last = first + axis.size
    return (counts[:, first] != counts[:, first - before]) | (
        counts[:, last + after] != counts[:, last]
    )


def _note(tally: Tally, name: str, spoiled: Tensor) -> None:
    known = getattr(tally, name)
    setattr(tally, name, spoiled if known is None else known | spoiled)


def _every(tensor: Tensor, dim: int, first: int, every: int, n: int) -> Tensor:
    """A view of ``n`` cells along ``dim``: every ``every``-th from ``first`` on."""
    chosen = slice(first, first + (n - 1) * every + 1, every)
    return tensor[..., chosen] if dim == X else tensor[..., chosen, :]


def _joined(
    tensor: Tensor, dim: int, join: Join, kernel: int, dilation: int, every: int, n: int
) -> Tensor:
    """Joins of ``kernel`` cells that are ``dilation`` apart, at ``n`` places that are ``every`` cells apart.

    By doubling: joins of 2, 4, ... cells everywhere, then of those that make up the kernel.
    """
    total: Tensor | None = None
    first, reach = 0, dilation  # the cells that ``tensor`` has joined span ``reach``
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
