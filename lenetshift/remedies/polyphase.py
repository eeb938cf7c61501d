"""Adaptive polyphase sampling (Chaman and Dokmanić 2021, "Truly Shift-Invariant Convolutional Neural
Networks", CVPR, arXiv 2011.14214)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks.describe import describe, shown
from ..checks.errors import ArgumentError
from ..checks.numbers import check_int, number
from .blur import check_maps


class AdaptivePolyphaseSample2d(nn.Module):
    """Subsampling that follows the image: of the ``stride ** 2`` ways to keep every ``stride``-th row and
    column, each image gets the one whose values have the largest norm.

    Component ``i * stride + j`` is ``maps[..., i::stride, j::stride]``; the norm is over its channels,
    rows and columns, and of equal ones the first is taken (section 4 of the paper). If the maps are moved
    circularly and
    their sizes are multiples of the stride, the same component is chosen, moved: the result is the same
    except for a shift, and after a global average it is the same. (Except when two components have the
    same norm, or norms that differ by rounding alone.)

    It takes the place of ``maps[..., ::2, ::2]``: behind a max pooling, an average pooling or a convolution
    whose stride is set to 1, for the paper's exact property with ``padding_mode="circular"``. Sizes that
    are not multiples of the stride are first padded circularly to the next one, as in the authors' code.
    Which
    component is chosen depends on all pixels of a moved image: the shared method shares features up to
    here.

    Args:
        stride: 2 or more.
        p: of the norm, positive; may be infinite. The paper uses 2.

    Raises:
        ValueError: an argument is not as described.

    >>> import torch
    >>> from lenetshift.remedies import AdaptivePolyphaseSample2d
    >>> maps = torch.zeros(1, 1, 4, 4)
    >>> maps[0, 0, 1, 2] = 5
    >>> sample = AdaptivePolyphaseSample2d()
    >>> maps[..., ::2, ::2].sum(), sample(maps).sum(), sample(maps.roll(1, 3)).sum()
    (tensor(0.), tensor(5.), tensor(5.))
    """

    def __init__(self, stride: int = 2, p: float = 2) -> None:
        super().__init__()
        self.stride = check_int("stride", stride, 2)
        order = number(p)
        if order is None or not order > 0:
            raise ArgumentError("p", shown(p), "a positive number, or infinity")
        self.p = order

    def forward(self, maps: Tensor, component: Tensor | None = None) -> Tensor:
        """Maps, subsampled.

        Args:
            maps: floating ``[N, C, H, W]``.
            component: which one each image gets, int64 ``[N]``, such as :meth:`chosen` gives for other
                maps: a residual block subsamples both of its branches in the same way (section 4.3 of the
                paper). None is the one with the largest norm.

        Returns:
            ``[N, C, ceil(H / stride), ceil(W / stride)]``.
        """
        parts = self._components(maps)
        if component is None:
            component = self._largest(parts)
        elif component.shape != (len(maps),) or component.dtype != torch.int64:
            raise ArgumentError("component", describe(component), f"int64 [{len(maps)}]")
        index = component.view(-1, 1, 1, 1, 1).expand(-1, 1, *parts.shape[2:])
        sampled: Tensor = parts.gather(1, index).squeeze(1)
        return sampled

    def chosen(self, maps: Tensor) -> Tensor:
        """The component with the largest norm for each image of ``[N, C, H, W]``: int64 ``[N]``."""
        return self._largest(self._components(maps))

    def _largest(self, parts: Tensor) -> Tensor:
        norms: Tensor = torch.linalg.vector_norm(parts, self.p, dim=(2, 3, 4))
        return norms.argmax(1)

    def _components(self, maps: Tensor) -> Tensor:
        """All components, ``[N, stride ** 2, C, rows, columns]``."""
        height, width = check_maps(maps)
        if maps.dim() != 4 or not maps.is_floating_point():
            raise ArgumentError("maps", describe(maps), "floating [N, C, H, W]")
        s = self.stride
        if height % s or width % s:
            rows, columns = (
                torch.arange(math.ceil(n / s) * s, device=maps.device) % n for n in (height, width)
            )
            maps = (
                F.pad(maps, (0, len(columns) - width, 0, len(rows) - height), mode="circular")
                if min(height, width) >= s
                else maps[..., rows[:, None], columns]
            )
        # [N, C, rows, s, columns, s]
        by_phase: Tensor = maps.unflatten(3, (-1, s)).unflatten(2, (-1, s))
        parts: Tensor = by_phase.permute(0, 3, 5, 1, 2, 4).flatten(1, 2)
        return parts

    def extra_repr(self) -> str:
        """The settings, in the module's printed form."""
        return f"stride={self.stride}, p={self.p:g}"
