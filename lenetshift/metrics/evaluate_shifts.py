"""One call from a model and images to their evaluation: :func:`evaluate_shifts`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks.arrays import Array
from ..checks.images import Fill, check_crop
from ..checks.predictions import check_class_names
from ..checks.types import check_type
from ..data.batches import Batches, batches_of
from ..data.dataset import Dataset
from ..data.digest import ImagesDigest
from ..data.pairs import Items
from ..predict.evaluator import ShiftEvaluator
from ..predict.functions import Model
from ..predict.plain import Transform
from ..predict.progress import Progress
from ..predict.shards.answered import Answered, answered
from ..predict.sharing import N_TRIED
from ..shifts import ShiftGrid
from .evaluation import Evaluation
from .ink import lost_ink

_LABELS_NAMED = 5
"""How many labels a warning names."""


def evaluate_shifts(
    model: Model,
    images: Array | Dataset | Items | Batches,
    labels: Array | None = None,
    grid: ShiftGrid = ShiftGrid(),  # noqa: B008 (immutable)
    *,
    method: str = "auto",
    fill: Fill = 0,
    crop: tuple[int, int] | None = None,
    transform: Transform | None = None,
    batch_size: int | None = None,
    executor: str = "torch",
    tune: bool = False,
    return_logits: bool = False,
    progress: bool = True,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    scheduler: str | None = None,
    answers: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> Evaluation:
    """Classify every image moved by every shift of the grid, and keep what the metrics need.

    Args:
        model: as for :func:`predict_shifts`, like ``method``, ``fill``, ``crop``, ``transform``,
            ``batch_size``, ``executor`` and ``tune``.
        images: ``[N, H, W]`` or ``[N, C, H, W]``, a tensor or an array, with ``labels``; or a
            :class:`Dataset`, which has labels; or a map-style dataset of torch or of Hugging Face, whose
            items are ``(image, label)``; or an iterable of batches ``(images, labels)``, such as a
            DataLoader. The images have one size and dtype. An item or a batch may also be a dict with one
            of the keys ``image``, ``img``, ``pixel_values``, ``images`` and one of ``label``, ``labels``,
            ``fine_label``, ``target``. Pillow's images are read as by :func:`open_data`. N >= 1.
        labels: integers ``[N]``, within int64; None if they come with the images.
        grid: the shifts, in pixels.
        return_logits: whether to keep the logits, which ``score_change`` needs: N * n_dy * n_dx * K
            numbers.
        progress: whether to show a bar on standard error if that is a terminal.
        name: of the network, for printouts.
        class_names: of the classes 0, 1, ..., for printouts and :meth:`Evaluation.confusion`.
        scheduler: the address of a Dask scheduler, such as ``"tcp://10.0.0.1:8786"``, whose workers answer in
            place of this process; None for none. They need the packages that the model needs, this one in the
            same version and with the same instruction set; the model goes to them with your own code, and the
            images a few at a time. The predictions are the same as here.
        answers: a folder in which the answers are kept as they come, so that nothing is lost if this process
            ends; None keeps them in memory alone.
        resume: whether to continue with the answers that the folder holds, which must be those of the same
            model, images and settings.

    Raises:
        ValueError: as for :func:`predict_shifts`; labels have another length or dtype; an iterable has
            no images, yields anything else or less than its length. The message is one line that says
            which batch.
        lenetshift.checks.errors.StorageError: the folder cannot be used, or holds other answers; or the
            cluster cannot be used, or is lost.

    Warns:
        UserWarning: as for :func:`predict_shifts`; the model gives a single output, so that it always answers
            0; there are labels outside 0..K - 1, which it never answers; or logits are NaN or infinite.

    >>> import lenetshift
    >>> test = lenetshift.load_mnist()[1].subset(100)
    >>> grid = lenetshift.ShiftGrid(range(-1, 2), range(1))
    >>> evaluation = lenetshift.evaluate_shifts(lenetshift.build_model("mlp", seed=0), test, grid=grid)
    >>> print(evaluation.heading()[0])
    100 images, 3 shifts (dx -1..1, dy 0..0), fill 0
    >>> evaluation.method, tuple(evaluation.predictions.shape)
    ('fused', (100, 1, 3))
    """
    place = None
    if scheduler is not None or answers is not None or resume:
        from ..predict.shards.by_shard import Place, answers_by_shard

        place = Place(scheduler, answers, resume)
    evaluator = ShiftEvaluator(
        model,
        grid,
        method=method,
        fill=fill,
        crop=crop,
        transform=transform,
        batch_size=batch_size,
        executor=executor,
        tune=tune,
    )
    names = check_class_names(class_names)
    if name is not None:
        check_type("name", name, str)
    batches, n_batches, kept = batches_of(images, labels)
    digest = ImagesDigest()
    truths: list[NDArray[np.int64]] = []
    lost: list[NDArray[np.float32]] = []

    def pictures() -> Iterator[Tensor]:
        for part, truth in batches:
            truths.append(truth)
            yield part
            digest.add(part)
            size = (part.shape[-2], part.shape[-1])
            if check_crop(crop, size) in (None, size):
                lost.append(lost_ink(part, grid, fill))

    if place is not None:
        parts = answers_by_shard(
            evaluator, pictures(), place, n_batches=n_batches, n_tried=N_TRIED,
            return_logits=return_logits, new_bar=lambda n: Progress(n, shown=progress),
        )  # fmt: skip
    else:
        with Progress(n_batches, shown=progress) as bar:
            bar.stage("evaluating")
            parts = _by_batch(evaluator, pictures(), bar, return_logits)
    logits = [part.logits for part in parts if part.logits is not None]
    evaluation = Evaluation(
        predictions=torch.cat([part.predictions for part in parts]),
        labels=torch.from_numpy(np.concatenate(truths)),
        grid=grid,
        method=parts[0].method,
        reason=parts[0].reason,
        seconds=sum(part.seconds for part in parts),
        logits=torch.cat(logits) if logits else None,
        lost_ink=np.concatenate(lost) if lost else None,
        images=kept,
        fill=fill,
        crop=None if lost else crop,  # one of the images' size is none
        name=name,
        class_names=names,
        images_sha256=digest.hexdigest(),
    )
    n_not_finite = sum(part.n_not_finite for part in parts)
    for oddity in _oddities(evaluation, parts[0].n_classes, n_not_finite):
        warnings.warn(oddity, UserWarning, stacklevel=2)
    return evaluation


def _by_batch(
    evaluator: ShiftEvaluator, batches: Iterable[Tensor], bar: Progress, return_logits: bool
) -> list[Answered]:
    """The answers to batches, one after the other."""
    return [
        answered(evaluator, part, return_logits, lambda n: bar.advance(n / len(part)))  # noqa: B023 (called here)
        for part in batches
    ]


def _oddities(evaluation: Evaluation, n_classes: int, n_not_finite: int) -> Iterator[str]:
    """What a user should know about the answers of a model with ``n_classes`` outputs, in a line each."""
    values = np.unique(evaluation.labels.numpy())
    never = values[(values < 0) | (values >= n_classes)].tolist()
    if n_classes == 1:
        yield (
            "model: got a single output (K = 1), whose largest is always number 0, expected one for each "
            "class: two for two classes"
        )
    elif never:
        several = f"the value{'s' * (len(never) > 1)} " + ", ".join(map(str, never[:_LABELS_NAMED]))
        if len(never) > _LABELS_NAMED:
            several += f" and {len(never) - _LABELS_NAMED} more"
        yield (
            f"labels: got {several}, expected 0..{n_classes - 1}: the model never answers anything else, so "
            "such images count as wrong"
        )
    names = evaluation.class_names
    if names is not None and 1 < n_classes != len(names):
        yield (
            f"class_names: got {len(names)} classes, the model has {n_classes} outputs: unless its first "
            "outputs are these classes in this order, its answers are compared with wrong labels"
        )
    if n_not_finite:
        n_patterns = evaluation.predictions.numel()
        yield (
            f"model: got NaN or infinity for {n_not_finite} of the {n_patterns} patterns, expected finite "
            "numbers: its answers to these mean nothing"
        )
