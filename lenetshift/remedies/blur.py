"""Blurred subsampling (Zhang 2019, "Making Convolutional Networks Shift-Invariant Again", ICML)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks.describe import describe, shown
from ..checks.errors import ArgumentError
from ..checks.numbers import check_int
from ..checks.types import check_choice, check_flag

PADDING_MODES = ("reflect", "zeros", "circular", "none")
"""What the blur sees beyond the edge: the map mirrored at its edge, zeros, the opposite side, or nothing:
then the result is smaller."""

SIZES = (2, 7)
"""The smallest and the largest blur kernel."""

Pair = tuple[int, int]


def check_blur_size(name: str, kernel_size: int) -> int:
    """The size of a blur kernel as an int; ArgumentError unless it is one in 2..7."""
    return check_int(name, kernel_size, *SIZES)


def check_pair(name: str, value: int | Pair, least: int) -> Pair:
    """One int, or a pair (y, x), as a pair; ArgumentError unless each is ``least`` or more."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2:
        raise ArgumentError(name, shown(value), "an int, or a pair of them")
    return check_int(name, pair[0], least), check_int(name, pair[1], least)


def check_maps(maps: Tensor) -> Pair:
    """Rows and columns of maps; ArgumentError unless they are ``[N, C, H, W]`` or ``[C, H, W]``."""
    if not isinstance(maps, Tensor) or maps.dim() not in (3, 4):
        raise ArgumentError("maps", describe(maps), "a tensor [N, C, H, W] or [C, H, W]")
    return maps.shape[-2], maps.shape[-1]


class BlurPool2d(nn.Module):
    """Blurred subsampling: each channel is blurred, then every ``stride``-th row and column is kept.

    Subsampling alone folds high frequencies into low ones, so that a map and the same map moved by a
    pixel may give very different results; the blur removes most of these frequencies first (Zhang 2019,
    section 3.2). The filter is ``outer(b, b)`` with the binomial coefficients b, scaled to a sum of 1:
    for a kernel of 3, b = [1, 2, 1] / 4. Kernels 2, 3 and 5 are Zhang's Rect-2, Tri-3 and Bin-5.

    It takes the place of a strided average pooling, or stands behind a layer whose stride is set to 1. It
    works for any number of channels and has no entry in a ``state_dict``.

    Args:
        kernel_size: of the blur, 2..7. A larger one removes more.
        stride: 1 or more; one number, or a pair (y, x).
        padding_mode: what the blur sees beyond the edge: ``"reflect"`` (Zhang's), ``"zeros"`` or
            ``"circular"``, each with ``(kernel_size - 1) // 2`` pixels before and ``kernel_size // 2``
            after the map, which gives ``ceil(H / stride)`` rows; or ``"none"``, no padding, which gives
            ``(H - kernel_size) // stride + 1`` rows.

    Raises:
        ValueError: an argument is not as described; in the forward pass, maps that are not, or are
            smaller than the kernel without padding.

    >>> import torch
    >>> from lenetshift.remedies import BlurPool2d
    >>> stripes = torch.tensor([1.0, 0.0]).repeat(1, 1, 8, 4)  # [1, 1, 8, 8]
    >>> stripes[..., ::2, ::2].unique(), stripes.roll(1, 3)[..., ::2, ::2].unique()
    (tensor([1.]), tensor([0.]))
    >>> pool = BlurPool2d()
    >>> pool(stripes).unique(), pool(stripes.roll(1, 3)).unique()
    (tensor([0.5000]), tensor([0.5000]))
    """

    filter: Tensor

    def __init__(
        self, kernel_size: int = 3, stride: int | Pair = 2, padding_mode: str = "reflect"
    ) -> None:
        super().__init__()
        self.kernel_size = check_blur_size("kernel_size", kernel_size)
        self.stride = check_pair("stride", stride, 1)
        check_choice("padding_mode", padding_mode, PADDING_MODES)
        self.padding_mode = padding_mode
        n = self.kernel_size - 1
        taps = torch.tensor([float(math.comb(n, k)) for k in range(n + 1)]) / 2**n
        self.register_buffer("filter", taps[:, None] * taps, persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``[N, C, H, W]`` or ``[C, H, W]``, blurred and subsampled."""
        size = check_maps(maps)
        if self.padding_mode == "none" and min(size) < self.kernel_size:
            raise ArgumentError(
                "maps", f"{size[0]} x {size[1]}", f"{self.kernel_size} x {self.kernel_size} or more"
            )
        n_channels = maps.shape[-3]
        filters = self.filter.to(maps.dtype).expand(n_channels, 1, -1, -1)
        return F.conv2d(self._padded(maps, size), filters, stride=self.stride, groups=n_channels)

    def _padded(self, maps: Tensor, size: Pair) -> Tensor:
        if self.padding_mode == "none":
            return maps
        before, after = (self.kernel_size - 1) // 2, self.kernel_size // 2
        around = (before, after, before, after)
        if self.padding_mode == "zeros":
            return F.pad(maps, around)
        if after < min(size):
            return F.pad(maps, around, mode=self.padding_mode)
        reflects = self.padding_mode == "reflect"  # which F.pad refuses for maps as small as this
        rows, columns = (
            torch.tensor(_lines(n, before, after, reflects), device=maps.device) for n in size
        )
        return maps[..., rows[:, None], columns]

    def extra_repr(self) -> str:
        """The settings, in the module's printed form."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding_mode={self.padding_mode!r}"
        )


def _lines(n: int, before: int, after: int, reflects: bool) -> list[int]:
    """The lines of a map of ``n`` lines that is continued on both sides, reflected as often as necessary,
    or repeated."""
    numbers = range(-before, n + after)
    if not reflects:
        return [k % n for k in numbers]
    period = max(1, 2 * (n - 1))
    return [min(k % period, period - k % period) if n > 1 else 0 for k in numbers]


class DenseMaxPool2d(nn.Module):
    """The largest value of a window at every place: max pooling with stride 1.

    On a CPU, PyTorch is fast if a map's channels lie side by side, so the maps are first laid out in that
    way.
    """

    def __init__(
        self, kernel_size: int | Pair, padding: int | Pair = 0, dilation: int | Pair = 1
    ) -> None:
        super().__init__()
        self.kernel_size = check_pair("kernel_size", kernel_size, 1)
        self.padding = check_pair("padding", padding, 0)
        self.dilation = check_pair("dilation", dilation, 1)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ArgumentError(
                "padding", shown(padding), f"at most half of kernel_size {shown(kernel_size)}"
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``[N, C, H, W]`` or ``[C, H, W]``; without padding, ``[..., H - ky + 1, W - kx + 1]``."""
        if maps.dim() == 4 and not maps.is_cuda:
            maps = maps.contiguous(memory_format=torch.channels_last)
        return F.max_pool2d(maps, self.kernel_size, 1, self.padding, self.dilation)

    def extra_repr(self) -> str:
        """The settings, in the module's printed form."""
        return f"kernel_size={self.kernel_size}, padding={self.padding}, dilation={self.dilation}"


class MaxBlurPool2d(nn.Module):
    """Max pooling without aliasing: the largest value at every place, blurred, then subsampled.

    Zhang 2019, section 3.2: max pooling with a stride is max pooling at every place, which keeps shifts,
    and then subsampling, which does not; so that part becomes a :class:`BlurPool2d`. It takes the place of
    ``nn.MaxPool2d`` with the same arguments: except with ``padding_mode="none"``, results have the same
    shape.

    Args:
        kernel_size: of the max pooling; one number, or a pair (y, x).
        stride: of the subsampling; None is ``kernel_size``.
        padding, dilation, ceil_mode: of the max pooling, as for ``nn.MaxPool2d``.
        blur_size: the ``kernel_size`` of the blur, 2..7.
        padding_mode: that of the blur, as for :class:`BlurPool2d`.

    Raises:
        ValueError: as for :class:`BlurPool2d`.

    >>> import torch
    >>> from lenetshift.remedies import MaxBlurPool2d
    >>> row = torch.tensor([0.0, 0, 1, 1, 0, 0, 1, 1]).view(1, 1, 1, 8).repeat(1, 1, 2, 1)
    >>> torch.nn.MaxPool2d(2)(row), torch.nn.MaxPool2d(2)(row.roll(1, 3))  # as in Zhang's figure 3
    (tensor([[[[0., 1., 0., 1.]]]]), tensor([[[[1., 1., 1., 1.]]]]))
    >>> pool = MaxBlurPool2d(2)
    >>> pool(row), pool(row.roll(1, 3))
    (tensor([[[[0.5000, 1.0000, 0.5000, 1.0000]]]]), tensor([[[[0.5000, 0.7500, 0.7500, 0.5000]]]]))
    """

    def __init__(
        self,
        kernel_size: int | Pair = 2,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        ceil_mode: bool = False,
        *,
        blur_size: int = 3,
        padding_mode: str = "reflect",
    ) -> None:
        super().__init__()
        check_flag("ceil_mode", ceil_mode)
        self.ceil_mode = ceil_mode
        self.max = DenseMaxPool2d(kernel_size, padding, dilation)
        check_blur_size("blur_size", blur_size)
        self.blur = BlurPool2d(
            blur_size, self.max.kernel_size if stride is None else stride, padding_mode
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``[N, C, H, W]`` or ``[C, H, W]``, subsampled."""
        size = check_maps(maps)
        if self.ceil_mode:
            more_y, more_x = (self._missing(dim, n) for dim, n in enumerate(size))
            maps = F.pad(maps, (0, more_x, 0, more_y), value=-math.inf)
        blurred: Tensor = self.blur(self.max(maps))
        return blurred

    def _missing(self, dim: int, size: int) -> int:
        """The lines after the map that ``ceil_mode`` adds, so that the last window is a whole one. As in
        ``nn.MaxPool2d``, no window begins behind the map."""
        settings = (self.max.kernel_size, self.max.padding, self.max.dilation, self.blur.stride)
        kernel, padding, dilation, stride = (pair[dim] for pair in settings)
        last = (
            size + 2 * padding - dilation * (kernel - 1) - 1
        )  # the first place of the last window
        following = -(-last // stride) * stride
        return following - last if following < size + padding else 0

    def extra_repr(self) -> str:
        """What its parts do not show."""
        return "ceil_mode=True" if self.ceil_mode else ""
