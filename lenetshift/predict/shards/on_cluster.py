"""Shards answered by the workers of a Dask cluster."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING

from torch import Tensor

from ...models.dtypes import device_of
from ..cluster.connection import PATIENCE, connected
from ..cluster.crew import Crew
from ..cluster.work import Task, TaskFailed, Unfit, gather
from .answered import Answered, answered
from .cutting import Shard
from .sending import CannotLoad, Sent, packed
from .settings import ground

if TYPE_CHECKING:
    from ..evaluator import ShiftEvaluator
    from ..progress import Reporter

Finished = Generator[tuple[Shard, Answered], None, None]
"""Shards as they are answered, in any order."""


def answers_on_cluster(
    address: str,
    evaluator: ShiftEvaluator,
    sample: Tensor,
    shards: Iterable[Shard],
    *,
    return_logits: bool,
    reporter: Reporter,
    advice: str,
    patience: float = PATIENCE,
) -> Finished:
    """Let the workers answer.

    Args:
        address: of the scheduler.
        evaluator: is sent to them; it has answered nothing yet.
        sample: images that each worker answers first, so that all choose the same method.
        shards: each is taken when a worker has room for it, and its images are sent.
        return_logits: whether the answers include the logits.
        reporter: told about each worker that is not used.
        advice: see :func:`connected`.
        patience: seconds to wait for the scheduler, and for a worker if there is none.

    Raises:
        StorageError: the cluster is lost, no worker is left that can be used, or several workers died during
            one shard.
        Exception: one that the model or the iterable raised.
    """
    coming = iter(_failing_apart(shards))
    try:
        coming = itertools.chain([next(coming)], coming)
    except StopIteration:  # all are answered
        return
    except TaskFailed as failed:
        raise failed.error from None
    contents = packed(evaluator, _alone(sample), sample.device.type)
    look = functools.partial(ground, device_of(evaluator.model))
    warned: set[str] = set()
    try:
        with connected(address, patience, advice) as client:
            crew = Crew(client, look, look(), reporter, patience, advice)
            workers = list(crew.fit_workers())
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
                sent = client.submit(
                    Sent, contents, workers=workers, allow_other_workers=True, pure=False
                )
            tasks = (
                Task(str(shard), (sent, _alone(shard.images), return_logits), shard)
                for shard in coming
            )
            for task, (answers, messages) in gather(client, crew, _answer, tasks, "shard"):
                for message in messages:
                    if str(message) not in warned:
                        warned.add(str(message))
                        warnings.warn(message, stacklevel=4)
                yield task.about, answers
    except TaskFailed as failed:
        raise failed.error from None


def _failing_apart(shards: Iterable[Shard]) -> Iterator[Shard]:
    """The shards; what reading them raises is not taken for a loss of the cluster."""
    try:
        yield from shards
    except Exception as error:
        raise TaskFailed(error) from error


def _alone(images: Tensor) -> Tensor:
    """A copy on the CPU: a part of a tensor would be sent with all of it."""
    return images.cpu().clone()


def _answer(
    sent: Sent, images: Tensor, return_logits: bool
) -> tuple[Answered, list[Warning]] | Unfit:
    """Answer images, in a worker."""
    import distributed

    try:
        evaluator = sent.evaluator()
        return answered(evaluator, images.to(sent.device), return_logits), sent.warned
    except CannotLoad as error:
        return Unfit(distributed.get_worker().address, str(error))
    except SystemExit as error:  # it would end the worker
        raise RuntimeError(f"SystemExit: {error}") from error
