"""What the page of an evaluation shows: the images that it keeps, and counts; ``page/network/`` writes it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks.errors import ArgumentError, NotAvailable
from ..checks.images import check_fill
from ..data.batches import batches_of
from ..data.digest import ImagesDigest
from ..page.network.contents import Contents, Kept, Line, Pictures, Taken, places_of
from ..page.network.render import fewer, render
from ..predict.patterns import frame_of
from ..shifts import ShiftGrid, span
from ..storage.files import write_text
from ..version import __version__
from .accuracy import centre_of, is_right
from .confusion import class_name
from .pictures import under_every_shift
from .registry import METRICS

if TYPE_CHECKING:
    from .evaluation import Evaluation, Row

MOST_IMAGES = 200
"""The most images in a page: answers to them are looked up, and the file stays below 8 MB."""

_MOST_TAKEN = 8  # wrong answers that are listed for a shift
_MOST_COUNTS = 400_000  # of wrong answers for all shifts together


def write_page(
    evaluation: Evaluation,
    path: str | os.PathLike[str],
    images: Any = None,
    rows: Sequence[Row] | None = None,
    given: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the page of an evaluation: :meth:`lenetshift.Evaluation.page`.

    Args:
        evaluation, path, images: as there.
        rows: its metrics with their intervals; None computes them.
        given: names and values that the page lists too, such as the normalization.
    """
    folder = Path(path).absolute().parent
    if not folder.is_dir():  # before the images are read
        raise FileNotFoundError(errno.ENOENT, "the folder for the page does not exist", str(folder))
    chosen = _Chosen.of(evaluation, MOST_IMAGES)
    shown = evaluation.images if images is None else images
    found = None if shown is None else _found(evaluation, shown, chosen.rows)
    pictures = None if found is None else _pictures(found, evaluation)
    told = _contents(evaluation, chosen, pictures, _lines(evaluation, rows))
    told = replace(told, facts=[*told.facts, *given])
    text = render(told, _slide(told), __version__)
    while (n := fewer(text, len(chosen.rows))) is not None:
        all_rows, chosen = chosen.rows, _Chosen.of(evaluation, n)
        if pictures is not None:
            which = np.searchsorted(all_rows, chosen.rows)
            pictures = replace(pictures, pixels=pictures.pixels[which])
        told = replace(told, kept=_kept(evaluation, chosen), pictures=pictures)
        text = render(told, _slide(told), __version__)
    write_text(Path(path), text)


class _Chosen(NamedTuple):
    """Which images the page has.

    Attributes:
        rows: their numbers, in ascending order.
        first: the number of the one that is shown first.
        lost, wrong: numbers of the hardest, as :class:`Kept` describes them.
        n_lost, n_wrong: how many there are of each among all images.
    """

    rows: NDArray[np.int64]
    first: int
    lost: list[int]
    wrong: list[int]
    n_lost: int
    n_wrong: int

    @classmethod
    def of(cls, evaluation: Evaluation, most: int) -> _Chosen:
        """The image that is shown first, then in turn one of the hardest and one at random."""
        right = is_right(evaluation.predictions, evaluation.labels)
        n, (_, n_dy, n_dx) = len(right), right.shape
        n_right = right.sum((1, 2))
        unmoved = np.zeros(n, bool)
        if evaluation.grid.has_centre:
            row, column = centre_of(evaluation.grid)
            unmoved = right[:, row, column]
        hardest = np.argsort(n_right, kind="stable")
        fails = n_right[hardest] < n_dy * n_dx
        lost = hardest[fails & unmoved[hardest]]
        wrong = hardest[fails & ~unmoved[hardest]]
        first = _first(right, lost if len(lost) else wrong if len(wrong) else hardest, evaluation)
        drawn = np.random.default_rng(0).permutation(n)[: 2 * MOST_IMAGES].tolist()
        bad, worse = (those[:MOST_IMAGES].tolist() for those in (lost, wrong))
        turns = zip_longest(bad[0::2], drawn[0::2], bad[1::2], drawn[1::2], worse)
        kept = list(dict.fromkeys([first, *(i for turn in turns for i in turn if i is not None)]))
        inside = set(kept[:most])
        return cls(
            np.array(sorted(inside), np.int64),
            first,
            [*takewhile(inside.__contains__, bad)],
            [*takewhile(inside.__contains__, worse)],
            len(lost),
            len(wrong),
        )


def _first(right: NDArray[np.bool_], among: NDArray[np.int64], evaluation: Evaluation) -> int:
    """The image that shows best what happens along the slide: answered right and wrong at least once if there
    is such an image, and right where most images are."""
    rows, columns = np.array(places_of(evaluation.grid)).T
    candidates = np.sort(among)
    along = right[candidates][:, rows, columns]
    both = along.any(1) & ~along.all(1)
    if both.any():
        candidates, along = candidates[both], along[both]
    off = np.abs(along - right[:, rows, columns].mean(0)).sum(1)
    return int(candidates[off.argmin()])


# Pictures


def _found(evaluation: Evaluation, images: Any, rows: NDArray[np.int64]) -> Tensor:
    """Those of the images that the page has; ArgumentError unless they are those that were evaluated."""
    is_array = isinstance(images, (Tensor, np.ndarray))
    batches, _, _ = batches_of(images, _labels_for(images, evaluation) if is_array else None)
    digest = ImagesDigest()
    found: list[Tensor] = []
    n, expected = 0, len(evaluation)
    for part, labels in batches:
        inside = rows[(rows >= n) & (rows < n + len(part))]
        found.append(part[torch.from_numpy(inside - n).to(part.device)].cpu())
        truth = evaluation.labels[n : n + len(part)].numpy()
        if n + len(part) > expected:
            raise ArgumentError("images", f"more than {expected}", f"{expected}, as were evaluated")
        if not np.array_equal(labels, truth):
            i = n + int(np.flatnonzero(labels != truth)[0])
            raise ArgumentError(
                "images",
                f"label {labels[i - n]} of image {i}",
                f"{truth[i - n]}, as was evaluated, in the same order",
            )
        if evaluation.images_sha256 is not None:
            digest.add(part)
        n += len(part)
    if n != expected:
        raise ArgumentError("images", str(n), f"{expected}, as were evaluated")
    if evaluation.images_sha256 not in (None, digest.hexdigest()):
        raise ArgumentError(
            "images",
            "others than were evaluated (their SHA-256 differs)",
            "the same ones in the same order",
        )
    return torch.cat(found)


def _labels_for(images: Tensor | NDArray[Any], evaluation: Evaluation) -> Tensor:
    if len(images) != len(evaluation):
        expected = f"{len(evaluation)}, as were evaluated"
        raise ArgumentError("images", str(len(images)), expected)
    return evaluation.labels


def _pictures(images: Tensor, evaluation: Evaluation) -> Pictures:
    """Images ``[n, H, W]`` or ``[n, C, H, W]`` in bytes, with the fill. If floating pixels lie outside 0..1,
    the range that they span together with the fill and 0..1 is shown."""
    window = frame_of(images, evaluation.grid, evaluation.fill, evaluation.crop).window
    blank = check_fill(evaluation.fill, images)
    if images.dtype == torch.bfloat16:  # NumPy lacks it
        images = images.float()
    pixels = (images if images.dim() == 4 else images[:, None]).numpy()
    colours = None if isinstance(blank, str) else blank.numpy()
    low, high = 0.0, 255.0
    if images.is_floating_point():
        inside = () if colours is None or evaluation.crop is not None else colours.tolist()
        low = min(0.0, float(pixels.min()), *inside)
        high = max(1.0, float(pixels.max()), *inside)
    shown = _grey_or_rgb(pixels, low, high)
    fill: tuple[int, ...] | str = "circular"
    if colours is not None:
        one = _grey_or_rgb(colours[None, :, None, None].clip(low, high), low, high)
        fill = tuple(int(value) for value in one.reshape(-1))
    return Pictures(shown, window, fill)


def _grey_or_rgb(pixels: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Pixels ``[n, C, H, W]`` in low..high as bytes: ``[n, H, W, 3]`` for three channels, otherwise the mean
    of the channels ``[n, H, W]``."""
    scaled = pixels
    if pixels.dtype != np.uint8:
        scaled = (pixels.astype(np.float64) - low) * (255 / (high - low))
    shown = np.moveaxis(scaled, 1, 3) if pixels.shape[1] == 3 else scaled.mean(1)
    in_bytes: NDArray[np.uint8] = np.rint(shown).astype(np.uint8)
    return in_bytes


def _slide(told: Contents) -> list[NDArray[np.uint8]]:
    """What the network sees of the first image at each place of the slide; empty without pictures."""
    if told.pictures is None:
        return []
    pixels, fill = told.pictures.pixels[told.kept.first], told.pictures.fill
    size, window = pixels.shape[:2], told.pictures.window
    image = np.moveaxis(pixels, 2, 0) if pixels.ndim == 3 else pixels
    crop = None if window == size else window
    grid = told.grid
    places = [(grid.dx[column], grid.dy[row]) for row, column in places_of(grid)]
    return [
        under_every_shift(image, ShiftGrid(range(x, x + 1), range(y, y + 1)), fill, crop)[0]
        for x, y in places
    ]


# Counts


def _contents(
    evaluation: Evaluation, chosen: _Chosen, pictures: Pictures | None, lines: Sequence[Line]
) -> Contents:
    n_at_most = max(1, min(_MOST_TAKEN, _MOST_COUNTS // len(evaluation.grid)))
    commonest, overall = _wrong_answers(evaluation, n_at_most)
    kept = _kept(evaluation, chosen)
    mentioned = {*np.unique(kept.predictions).tolist(), *kept.labels.tolist()}
    for taken in (*commonest, overall):
        mentioned.update(label for item in taken for label in item[:2])
    right = is_right(evaluation.predictions, evaluation.labels)
    return Contents(
        name=evaluation.name,
        n_images=len(evaluation),
        grid=evaluation.grid,
        right=right.sum(0),
        worst_case=int(right.all((1, 2)).sum()),
        n_lost=chosen.n_lost,
        n_wrong=chosen.n_wrong,
        lines=lines,
        names={label: class_name(label, evaluation.class_names or ()) for label in mentioned},
        kept=kept,
        commonest=commonest,
        overall=overall,
        pictures=pictures,
        facts=list(_facts(evaluation)),
    )


def _kept(evaluation: Evaluation, chosen: _Chosen) -> Kept:
    rows = chosen.rows
    place = {int(row): i for i, row in enumerate(rows)}
    return Kept(
        rows,
        evaluation.labels.numpy()[rows],
        evaluation.predictions.numpy()[rows].astype(np.int64),
        place[chosen.first],
        [place[row] for row in chosen.lost],
        [place[row] for row in chosen.wrong],
    )


def _wrong_answers(evaluation: Evaluation, n_at_most: int) -> tuple[list[list[Taken]], list[Taken]]:
    """The commonest wrong answers at each shift, and over all shifts."""
    labels = evaluation.labels.numpy()
    answers = evaluation.predictions.numpy().reshape(len(labels), -1)
    classes = np.union1d(labels, answers)
    truth = np.searchsorted(classes, labels)
    at_each: list[list[Taken]] = []
    pairs: list[NDArray[np.int64]] = []
    counts: list[NDArray[np.int64]] = []
    for given in answers.T:
        answer = np.searchsorted(classes, given)
        off = truth != answer
        pair, count = np.unique((truth * len(classes) + answer)[off], return_counts=True)
        at_each.append(_commonest(classes, pair, count, n_at_most))
        pairs.append(pair)
        counts.append(count)
    every, inverse = np.unique(np.concatenate(pairs), return_inverse=True)
    total = np.bincount(inverse, np.concatenate(counts), len(every)).astype(np.int64)
    return at_each, _commonest(classes, every, total, _MOST_TAKEN)


def _commonest(
    classes: NDArray[np.int64], pairs: NDArray[np.int64], counts: NDArray[np.int64], n_at_most: int
) -> list[Taken]:
    """The commonest pairs of label and answer; among equally common ones, those of smaller labels first."""
    order = np.argsort(-counts, kind="stable")[:n_at_most]
    label, answer = np.divmod(pairs[order], len(classes))
    return [
        Taken(*map(int, row))
        for row in zip(classes[label], classes[answer], counts[order], strict=True)
    ]


def _lines(evaluation: Evaluation, rows: Sequence[Row] | None) -> list[Line]:
    if rows is None:
        rows = [row._replace(interval=_interval(evaluation, row)) for row in evaluation.rows()]
    return [
        Line(row.title, row.value, row.interval, METRICS[row.name].smaller_is_better)
        for row in rows
    ]


def _interval(evaluation: Evaluation, row: Row) -> Any:
    try:
        return None if row.value is None else evaluation.interval(row.name)
    except NotAvailable:  # fewer than two images count
        return None


def _facts(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """What was evaluated and how."""
    grid = evaluation.grid
    if evaluation.name is not None:
        yield "network", evaluation.name
    yield "images", f"{len(evaluation):,}"
    if evaluation.class_names is not None:
        yield "classes", f"{len(evaluation.class_names):,}"
    yield "shifts", f"dx {span(grid.dx)}, dy {span(grid.dy)}: {len(grid):,}"
    if evaluation.crop is None:
        fill = evaluation.fill
        values = fill if isinstance(fill, (list, tuple)) else [fill]
        shown = [value if isinstance(value, str) else f"{value:g}" for value in values]
        yield "fill of uncovered pixels", " ".join(shown)
    else:
        yield "the network sees", "the middle {} x {} pixels".format(*evaluation.crop)
    how = evaluation.method if evaluation.reason is None else evaluation.reason
    if how is not None:
        yield "method", how
    if evaluation.images_sha256 is not None:
        yield "SHA-256 of the images", evaluation.images_sha256
