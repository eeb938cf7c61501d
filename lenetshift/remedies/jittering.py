"""Training on moved images: each image of a batch is moved by a random shift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from ..checks.describe import describe
from ..checks.errors import ArgumentError
from ..checks.images import Fill, check_fill, check_fill_alone
from ..checks.shifts import check_grid_fits
from ..checks.types import check_type
from ..ops import shift_each as _shift_each  # noqa: F401 (registers the op)
from ..predict.shared.canvas import Frame
from ..shifts import ShiftGrid


def jitter(
    images: Tensor,
    grid: ShiftGrid,
    *,
    fill: Fill = 0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Move each image of a batch by a shift drawn from a grid.

    Shifts are drawn independently for each image, all of the grid with equal probability. A network that is
    trained on such batches sees the digits in other places in every epoch; this is the usual augmentation
    by random translation (Simard, Steinkraus and Platt 2003, "Best Practices for Convolutional Neural
    Networks"). :func:`lenetshift.jitter` does the same with a :class:`lenetshift.Dataset`, one epoch at a
    time.

    Args:
        images: a tensor ``[N, H, W]`` or ``[N, C, H, W]`` of any floating dtype or uint8, on any device.
        grid: the shifts, in pixels: |dx| < W and |dy| < H.
        fill: what uncovered pixels hold, in the images' own units: a number, or one per channel; or
            ``"circular"``: what left on the other side.
        generator: of the CPU; it decides the shifts. None is torch's default generator, which a DataLoader
            seeds anew in each worker and epoch.

    Returns:
        The moved images, of the same shape, dtype and device.

    Raises:
        ValueError: an argument is not as described.

    >>> import torch
    >>> from lenetshift import ShiftGrid
    >>> from lenetshift.remedies import jitter
    >>> images = torch.zeros(2, 28, 28)
    >>> images[:, 14, 14] = 1  # two images of a dot in the middle
    >>> moved = jitter(images, ShiftGrid(), generator=torch.Generator().manual_seed(0))
    >>> moved.nonzero()  # image, row, column
    tensor([[ 0, 16, 19],
            [ 1, 14, 16]])
    """
    _check_images(images, (3, 4))
    check_type("grid", grid, ShiftGrid)
    _check_generator(generator)
    size = (images.shape[-2], images.shape[-1])
    check_grid_fits(grid.dx, grid.dy, size, size)
    frame = Frame(grid, size, size, check_fill(fill, images))
    drawn = torch.randint(len(grid), (len(images),), generator=generator, device="cpu")
    if frame.is_translation:
        shifts = grid.shifts()[drawn].to(images.device)
        moved: Tensor = torch.ops.lenetshift.shift_each(images, shifts)
        return moved
    drawn = drawn.to(images.device)
    with_channels = images.unsqueeze(1) if images.dim() == 3 else images
    numbers = torch.arange(len(images), device=images.device)
    patterns = frame.patterns(with_channels, numbers, drawn // grid.n_dx, drawn % grid.n_dx)
    return patterns.reshape(images.shape)


class Jitter:
    """:func:`jitter` with its settings: a transform, or a ``collate_fn`` of a DataLoader.

    Args:
        grid, fill, generator: as for :func:`jitter`. A generator that goes to the workers of a DataLoader
            is
            copied, so that each of them draws the same shifts in every epoch: with ``num_workers``, leave
            it out.

    >>> import torch
    >>> from lenetshift import ShiftGrid
    >>> from lenetshift.remedies import Jitter
    >>> move = Jitter(ShiftGrid(range(-2, 3), range(-2, 3)))
    >>> move(torch.zeros(1, 28, 28)).shape  # a transform of one image
    torch.Size([1, 28, 28])
    >>> samples = [(torch.zeros(1, 28, 28), label) for label in range(6)]
    >>> loader = torch.utils.data.DataLoader(samples, batch_size=4, collate_fn=move.collate)
    >>> [(tuple(images.shape), labels) for images, labels in loader]
    [((4, 1, 28, 28), tensor([0, 1, 2, 3])), ((2, 1, 28, 28), tensor([4, 5]))]
    """

    def __init__(
        self, grid: ShiftGrid, *, fill: Fill = 0, generator: torch.Generator | None = None
    ) -> None:
        check_type("grid", grid, ShiftGrid)
        check_fill_alone(fill)
        _check_generator(generator)
        self.grid, self.fill, self.generator = grid, fill, generator

    def __call__(self, images: Tensor) -> Tensor:
        """One image ``[H, W]`` or ``[C, H, W]``, moved by one shift, or a batch ``[N, C, H, W]``, each
        image by its own."""
        _check_images(images, (2, 3, 4))
        if images.dim() == 4:
            return self._moved(images)
        return self._moved(images.unsqueeze(0)).squeeze(0)

    def collate(self, samples: Sequence[tuple[Any, ...]]) -> Any:
        """A batch as ``torch.utils.data.default_collate`` makes it, its images moved, each by its own
        shift.

        Args:
            samples: tuples whose first items are images ``[H, W]`` or ``[C, H, W]``.
        """
        batch = default_collate(list(samples))
        if not isinstance(batch, (tuple, list)):
            raise ArgumentError("samples", describe(samples[0]), "tuples that begin with an image")
        images, *others = batch
        _check_images(images, (3, 4))
        return [self._moved(images), *others]

    def _moved(self, images: Tensor) -> Tensor:
        return jitter(images, self.grid, fill=self.fill, generator=self.generator)

    def __repr__(self) -> str:
        """The settings."""
        return f"Jitter({self.grid}, fill={self.fill!r})"


def _check_generator(generator: torch.Generator | None) -> None:
    if generator is not None:
        check_type("generator", generator, torch.Generator)
        if generator.device.type != "cpu":
            raise ArgumentError("generator", f"one on {generator.device}", "one on the CPU")


def _check_images(images: Tensor, dims: Sequence[int]) -> None:
    shapes = {2: "[H, W]", 3: "[N, H, W]", 4: "[N, C, H, W]"}
    if 2 in dims:
        shapes[3] = "[C, H, W]"
    kinds = isinstance(images, Tensor) and (
        images.is_floating_point() or images.dtype == torch.uint8
    )
    if not kinds or images.dim() not in dims or 0 in images.shape[-2:]:
        wanted = " or ".join(shapes[n] for n in dims)
        raise ArgumentError("images", describe(images), f"uint8 or floating {wanted}")
