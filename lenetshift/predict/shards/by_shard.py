"""An evaluation shard by shard: here or on a cluster, with the answers in files or not."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ...checks.describe import describe
from ...checks.errors import ArgumentError
from ...checks.types import check_flag, check_type
from ...data.dataset import evenly_spaced
from ..cluster.connection import check_scheduler
from .answered import Answered, answered
from .cutting import Shard, shard_size, shards_of
from .files import RESUME, Damaged, open_answers, read_shard, write_shard
from .on_cluster import answers_on_cluster
from .settings import settings_of

if TYPE_CHECKING:
    from ..evaluator import ShiftEvaluator
    from ..progress import Progress, Reporter


@dataclass(frozen=True)
class Place:
    """Where shards are answered, and kept.

    Args:
        scheduler: the address of a Dask scheduler; None answers them in this process.
        folder: where the answers are kept; None keeps none.
        resume: whether answers that are there are used.

    Raises:
        ValueError: an argument is not as described, or they do not fit together.
    """

    scheduler: str | None = None
    folder: str | os.PathLike[str] | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        """Check everything."""
        if self.scheduler is not None:
            check_type("scheduler", self.scheduler, str)
        if self.folder is not None and not isinstance(self.folder, (str, os.PathLike)):
            raise ArgumentError("answers", describe(self.folder), "the path of a folder")
        check_flag("resume", self.resume)
        if self.resume and self.folder is None:
            raise ArgumentError("resume", "True without answers", "the folder of the answers too")


def answers_by_shard(
    evaluator: ShiftEvaluator,
    batches: Iterable[Tensor],
    place: Place,
    *,
    n_batches: int | None,
    n_tried: int,
    return_logits: bool,
    new_bar: Callable[[int | None], Progress],
) -> list[Answered]:
    """The answers to all batches, in parts, in the order of the images.

    Args:
        evaluator: it has answered nothing yet.
        batches: images; at least one batch, each with at least one image.
        place: where they are answered.
        n_batches: how many there are; None if that is not known.
        n_tried: how many images of the first batch are answered first, by which the method is chosen.
        return_logits: whether the answers include the logits.
        new_bar: makes the progress of as many images, about; None if that is not known.

    Raises:
        StorageError: the folder cannot be used or is another evaluation's, or the cluster is lost.
        ValueError: as :meth:`ShiftEvaluator.answer`.
    """
    if place.scheduler is not None:
        check_scheduler(place.scheduler)
    coming = iter(batches)
    first = next(coming)
    sample = first[evenly_spaced(min(n_tried, len(first)), len(first))].clone()
    size = shard_size(first[0], len(evaluator.grid))
    shards = shards_of(itertools.chain([first], coming), size)
    folder = None if place.folder is None else Path(place.folder)
    n_images = None if n_batches is None else n_batches * len(first)
    with new_bar(n_images) as reporter, contextlib.ExitStack() as stack:
        reporter.stage("evaluating")
        if folder is not None:
            stack.enter_context(open_answers(folder, resume=place.resume))
        work = _Work(evaluator, folder, reporter, return_logits)
        todo = work.unanswered(shards)
        if place.scheduler is None:
            work.answer_here(sample, todo)
        else:
            advice = "" if folder is None else f": {RESUME}"
            finished = answers_on_cluster(
                place.scheduler, evaluator, sample, todo,
                return_logits=return_logits, reporter=reporter, advice=advice,
            )  # fmt: skip
            with contextlib.closing(finished):
                for shard, answers in finished:
                    work.keep(shard, answers)
                    reporter.advance(len(shard.images))
    return work.in_order()


class _Work:
    """The answers so far."""

    def __init__(
        self,
        evaluator: ShiftEvaluator,
        folder: Path | None,
        reporter: Reporter,
        return_logits: bool,
    ) -> None:
        self._evaluator, self._folder, self._reporter = evaluator, folder, reporter
        self._return_logits = return_logits
        self._done: dict[int, Answered] = {}  # by the number of the shard
        self._settings: dict[str, Any] = {}
        if folder is not None:
            self._settings = settings_of(evaluator, return_logits)

    def unanswered(self, shards: Iterable[Shard]) -> Iterator[Shard]:
        """Those that have no file yet; the answers of the others are read."""
        n_kept = 0
        for shard in shards:
            found = self._found(shard)
            if found is None:
                yield shard
                continue
            n_kept += len(shard.images)
            self._done[shard.number] = found
            self._reporter.advance(len(shard.images))
        if n_kept:
            self._reporter.line(f"{n_kept:,} images had been answered before")

    def _found(self, shard: Shard) -> Answered | None:
        if self._folder is None:
            return None
        try:
            return read_shard(self._folder, shard, self._settings, self._evaluator.grid.shape)
        except Damaged as error:
            self._reporter.line(f"{error}: its images are answered again")
            return None

    def keep(self, shard: Shard, answers: Answered) -> None:
        """Keep a shard's answers, in its file too."""
        if self._folder is not None:
            write_shard(self._folder, shard, self._settings, answers)
        self._done[shard.number] = answers

    def answer_here(self, sample: Tensor, todo: Iterable[Shard]) -> None:
        """Answer shards in this process, one after the other."""
        for number, shard in enumerate(todo):
            if not number:
                self._evaluator.answer(sample)
            answers = answered(
                self._evaluator, shard.images, self._return_logits, self._reporter.advance
            )
            self.keep(shard, answers)

    def in_order(self) -> list[Answered]:
        """All answers."""
        return [self._done[number] for number in sorted(self._done)]
