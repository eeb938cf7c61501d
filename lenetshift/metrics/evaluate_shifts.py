"""One call from a model and images to their evaluation: :func:`evaluate_shifts`."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks.arrays import Array
from ..checks.images import Fill
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
) -> Evaluation:
    """Classify every image moved by every shift of the grid, and keep what the metrics need.

    Args:
        model: as for :func:`predict_shifts`, like ``method``, ``fill``, ``crop``, ``transform``,
            ``batch_size``, ``executor`` and ``tune``.
        images: ``[N, H, W]`` or ``[N, C, H, W]``, a tensor or an array, with ``labels``; or a
            :class:`Dataset`, which has labels; or a map-style dataset of torch or of Hugging Face, whose
            items are ``(image, label)``; or an iterable of batches ``(images, labels)``, such as a
            DataLoader. The images have one size and dtype. An item or a batch may also be a dict with one
            of the keys ``image``, ``images``, ``pixel_values``, ``img`` and one of ``label``, ``labels``,
            ``target``. N >= 1.
        labels: integers ``[N]``, within int64; None if they come with the images.
        grid: the shifts, in pixels.
        return_logits: whether to keep the logits, which ``score_change`` needs: N * n_dy * n_dx * K
            numbers.
        progress: whether to show a bar on standard error if that is a terminal.
        name: of the network, for printouts.
        class_names: of the classes 0, 1, ..., for printouts and :meth:`Evaluation.confusion`.

    Raises:
        ValueError: as for :func:`predict_shifts`; labels have another length or dtype; an iterable has
            no images, yields anything else or less than its length. The message is one line that says
            which batch.

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
    predictions: list[Tensor] = []
    logits: list[Tensor] = []
    truths: list[NDArray[np.int64]] = []
    lost: list[NDArray[np.float32]] = []
    seconds, n_not_finite = 0.0, 0
    with Progress(n_batches, shown=progress) as bar:
        bar.stage("evaluating")
        for pictures, truth in batches:
            start = time.perf_counter()
            answers = evaluator.answer(
                pictures,
                return_logits=return_logits,
                on_progress=lambda n: bar.advance(n / len(pictures)),  # noqa: B023 (called here)
            )
            predictions.append(answers.predictions.cpu())  # waits for the device
            if answers.logits is not None:
                logits.append(answers.logits.cpu())
            seconds += time.perf_counter() - start
            if answers.method == "fused":  # it reports no progress on the way
                bar.advance(1)
            truths.append(truth)
            digest.add(pictures)
            if crop is None:
                lost.append(lost_ink(pictures, grid, fill))
            n_not_finite += answers.n_not_finite
            if len(predictions) == 1:
                method, reason, n_classes = answers.method, answers.reason, answers.n_classes
            del answers  # and its memory on the device
    evaluation = Evaluation(
        predictions=torch.cat(predictions),
        labels=torch.from_numpy(np.concatenate(truths)),
        grid=grid,
        method=method,
        reason=reason,
        seconds=seconds,
        logits=torch.cat(logits) if logits else None,
        lost_ink=np.concatenate(lost) if lost else None,
        images=kept,
        fill=fill,
        crop=crop,
        name=name,
        class_names=names,
        images_sha256=digest.hexdigest(),
    )
    for oddity in _oddities(evaluation, n_classes, n_not_finite):
        warnings.warn(oddity, UserWarning, stacklevel=2)
    return evaluation


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
        several = ", ".join(map(str, never[:_LABELS_NAMED]))
        if len(never) > _LABELS_NAMED:
            several += f" and {len(never) - _LABELS_NAMED} more"
        yield (
            f"labels: got {several}, expected 0..{n_classes - 1}: the model never answers anything else, so "
            "such images count as wrong"
        )
    if n_not_finite:
        n_patterns = evaluation.predictions.numel()
        yield (
            f"model: got NaN or infinity for {n_not_finite} of the {n_patterns} patterns, expected finite "
            "numbers: its answers to these mean nothing"
        )
