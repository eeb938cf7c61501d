"""A job: what is to be trained and evaluated, and doing it, with a checkpoint after every step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.dataset import Dataset, dataset_sha256, evenly_spaced
from ..data.load import load_mnist
from ..data.moving import position_biased
from ..models.build import build_model
from ..models.table import ARCHITECTURES, BY_NAME
from ..models.train import train
from ..ops import isa
from ..predict.predict_shifts import predict_shifts
from ..predict.progress import Reporter
from ..storage.proofs import Expectation
from ..study.experiments import position_bias
from ..version import __version__
from .checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from .defaults import QUICK_TEST, QUICK_TRAIN
from .folder import remove_earlier_run
from .settings import Config

EVALUATION = 0.5
"""How long an evaluation takes, in epochs; it only paces the progress bar."""


@dataclass(frozen=True)
class Job:
    """A job with its data at hand.

    ``rows`` are the test images that are evaluated: first the ``n_test`` that tables and metrics are
    about, drawn evenly over the set, then those of the figures that are not among them.
    """

    config: Config
    models: tuple[str, ...]
    method: str
    device: torch.device
    out: Path
    train: Dataset
    test: Dataset
    rows: tuple[int, ...]
    n_test: int
    sha256: Mapping[str, str]
    note: str
    figures: tuple[int, ...]

    @property
    def labels(self) -> Tensor:
        """Of the test images that the tables are about: int64 [n_test]."""
        return self.test.labels[list(self.rows[: self.n_test])]

    @property
    def units(self) -> float:
        """The work that there is, in epochs."""
        return len(self.models) * (self.config.epochs + EVALUATION)

    def settings(self) -> dict[str, Any]:
        """What decides the outcome; a checkpoint written under other settings is of no use."""
        return {
            **self.config.to_dict(),
            "method": self.method,
            "device": self.device.type,
            "isa": isa(),
            "lenetshift": __version__,
            "torch": str(torch.__version__),
            "data": " ".join(digest[:12] for digest in self.sha256.values()),
        }

    def expectation(self, model: str) -> Expectation:
        """What this job can go on from, for one of its models."""
        with torch.device("meta"):  # names and shapes only
            weights = build_model(ARCHITECTURES[model], self.config.activation).state_dict()
        n_steps = -(-len(self.train) // self.config.batch_size)
        answers = (len(self.rows), *self.config.grid.shape)
        return Expectation(self.settings(), weights, self.config.epochs, n_steps, answers)


def prepare(
    config: Config,
    models: tuple[str, ...],
    method: str,
    device: torch.device,
    out: Path,
    *,
    data: Path | None = None,
    quick: bool = False,
) -> Job:
    """Load the data and settle what is to be done.

    Args:
        config, models, method, device, out: as in :class:`Job`.
        data: folder of the IDX files; None for the packaged MNIST.
        quick: train and evaluate on small subsets.

    Raises:
        DataError: a data file is missing or damaged.
    """
    whole_train, test = load_mnist(data)
    parts = (("train", whole_train), ("test", test))
    sha256 = {
        f"{part}_{kind}": digest
        for part, dataset in parts
        for kind, digest in dataset_sha256(dataset).items()
    }
    n_train, n_test, note = len(whole_train), len(test), ""
    if quick and (n_train > QUICK_TRAIN or n_test > QUICK_TEST):
        n_train, n_test = min(QUICK_TRAIN, n_train), min(QUICK_TEST, n_test)
        config = replace(config, n_train=n_train, n_test=n_test)
        note = (
            f"Subset (--quick), drawn evenly: {n_train:,} of {len(whole_train):,} images to train, "
            f"{n_test:,} of {len(test):,} to test."
        )
    shown = tuple(index for index in position_bias.FIGURE_INDICES if index < len(test))
    drawn = evenly_spaced(n_test, len(test)).tolist()
    beyond = [index for index in shown if index not in set(drawn)]
    return Job(
        config=config,
        models=models,
        method=method,
        device=device,
        out=out,
        train=whole_train.subset(n_train),
        test=test,
        rows=(*drawn, *beyond),
        n_test=n_test,
        sha256=sha256,
        note=note,
        figures=shown,
    )


def run(job: Job, reporter: Reporter, *, resume: bool) -> dict[str, Checkpoint]:
    """Train and evaluate all models of a job, going on from what its folder holds if ``resume``.

    Raises:
        StorageError: the folder's checkpoints are damaged or of another job.
    """
    done: dict[str, Checkpoint] = {}
    if resume:
        for name in ARCHITECTURES:  # those not asked for too: what a folder holds is of one run
            checkpoint = load_checkpoint(job.out, name, job.expectation(name))
            if checkpoint is not None:
                done[name] = checkpoint
    remove_earlier_run(job.out, () if resume else ARCHITECTURES)
    # To the device once, not once for each model and epoch.
    train_set = job.train.to(job.device)
    images = job.test.images[list(job.rows)].to(job.device)
    for name in job.models:
        done[name] = _finish_model(job, name, done.get(name), train_set, images, reporter)
    return {name: done[name] for name in job.models}


def _finish_model(
    job: Job,
    name: str,
    kept: Checkpoint | None,
    train_set: Dataset,
    images: Tensor,
    reporter: Reporter,
) -> Checkpoint:
    """Do what remains to be done for one model; the data are on the job's device."""
    config = job.config
    model = build_model(ARCHITECTURES[name], config.activation, seed=config.seed)
    checkpoint = kept or Checkpoint(name, job.settings(), model.state_dict(), note=job.note)
    model.load_state_dict(checkpoint.state_dict)
    model.to(job.device)

    first_epoch = len(checkpoint.losses)
    reporter.advance(first_epoch)
    if first_epoch < config.epochs:
        biased = name == position_bias.MODEL
        dataset = position_biased(train_set, config.bias_rule) if biased else train_set
    for epoch in range(first_epoch, config.epochs):
        reporter.stage(f"{name}: training, epoch {epoch + 1} of {config.epochs}")
        before = 0.0

        def on_progress(_epoch: int, step: int, n_steps: int, _loss: float) -> None:
            nonlocal before
            reporter.advance(step / n_steps - before)
            before = step / n_steps

        start = time.perf_counter()
        checkpoint.losses += train(
            model,
            dataset,
            epochs=1,
            first_epoch=epoch,
            learning_rate=config.learning_rate,
            batch_size=config.batch_size,
            seed=config.seed,
            method=job.method if BY_NAME[name].has_fused_ops else "autograd",
            on_progress=on_progress,
        )
        checkpoint.training_seconds += time.perf_counter() - start
        checkpoint.state_dict = model.state_dict()
        save_checkpoint(job.out, checkpoint)
    reporter.line(_training_line(checkpoint, first_epoch))
    divergence = checkpoint.divergence()
    if divergence:
        reporter.line(
            f"warning: {name}: training diverged, {divergence}, so its answers mean nothing: "
            f"learning rate {config.learning_rate:g} is too large"
        )

    evaluated = checkpoint.predictions is not None
    if checkpoint.predictions is None:
        reporter.stage(f"{name}: evaluating")
        start = time.perf_counter()
        checkpoint.predictions = predict_shifts(model, images, config.grid).cpu()
        checkpoint.evaluation_seconds = time.perf_counter() - start
        save_checkpoint(job.out, checkpoint)
    reporter.advance(EVALUATION)
    reporter.line(
        f"{name}: {len(job.rows) * len(config.grid):,} patterns evaluated "
        f"in {checkpoint.evaluation_seconds:.2f} s" + (" (kept)" if evaluated else "")
    )
    return checkpoint


def _training_line(checkpoint: Checkpoint, n_kept: int) -> str:
    n_epochs = len(checkpoint.losses)
    epochs = f"{n_epochs} epoch{'' if n_epochs == 1 else 's'}"
    loss = f", mean loss {float(checkpoint.losses[-1].mean()):.4f}" if n_epochs else ""
    kept = f" ({n_kept} kept)" if n_kept else ""
    seconds = f"{checkpoint.training_seconds:.2f} s"
    return f"{checkpoint.model}: {epochs} trained in {seconds}{loss}{kept}"
