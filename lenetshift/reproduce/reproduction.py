"""A reproduction: a run of each of the report's models, with a checkpoint after every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.dataset import Dataset, evenly_spaced
from ..data.load import load_mnist
from ..models.table import ARCHITECTURES
from ..predict.progress import Reporter
from ..storage.files import partial_path
from ..storage.folder import PRODUCTS
from ..study.experiments import position_bias
from ..study.experiments.ground import data_sha256, ground
from ..study.experiments.networks import build_network
from ..study.experiments.runs import BIASED, CENTRED, Run, continue_run
from .checkpoints import Checkpoint, checkpoint_path, load_checkpoint, save_checkpoint
from .defaults import QUICK_TEST, QUICK_TRAIN
from .settings import Config

EVALUATION = 0.5
"""How long an evaluation takes, in epochs; it only paces the progress bar."""


@dataclass(frozen=True)
class Reproduction:
    """What is reproduced, with the data at hand.

    ``rows`` are the test images that are evaluated: first the ``n_test`` of the tables and metrics, drawn
    evenly over the set, then those of the figures that are not among them.
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
        """The labels of the test images in the tables: int64 [n_test]."""
        return self.test.labels[list(self.rows[: self.n_test])]

    @property
    def units(self) -> float:
        """All work, in epochs."""
        return sum(self.config.epochs_of(model) + EVALUATION for model in self.models)

    def run_of(self, model: str) -> Run:
        """The run of one of the models."""
        config, biased = self.config, model == position_bias.MODEL
        rule = tuple((digit, *shift) for digit, shift in config.bias_rule.items())
        return Run(
            "reproduce", model, config.seed, ARCHITECTURES[model], (config.epochs_of(model),),
            config.learning_rate, config.batch_size, config.activation,
            BIASED if biased else CENTRED, rule if biased else (),
        )  # fmt: skip

    def settings(self, model: str) -> dict[str, Any]:
        """What decides a model's outcome; a checkpoint written under other settings is refused."""
        return {
            **self.config.to_dict(),
            "epochs": self.config.epochs_of(model),
            "method": self.method,
            "device": self.device.type,
            **ground(self.sha256),
        }

    @property
    def answers(self) -> tuple[int, int, int]:
        """The shape of a model's predictions, (n_rows, n_dy, n_dx)."""
        return len(self.rows), *self.config.grid.shape


def prepare(
    config: Config,
    models: tuple[str, ...],
    method: str,
    device: torch.device,
    out: Path,
    *,
    data: Path | None = None,
    quick: bool = False,
) -> Reproduction:
    """Load the data and decide what is done.

    Args:
        config, models, method, device, out: as in :class:`Reproduction`.
        data: folder of the IDX files; None for the packaged MNIST.
        quick: train and evaluate on small subsets.

    Raises:
        DataError: a data file is missing or damaged.
    """
    whole_train, test = load_mnist(data)
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
    return Reproduction(
        config=config,
        models=models,
        method=method,
        device=device,
        out=out,
        train=whole_train.subset(n_train),
        test=test,
        rows=(*drawn, *beyond),
        n_test=n_test,
        sha256=data_sha256(whole_train, test),
        note=note,
        figures=shown,
    )


def carry_out(
    reproduction: Reproduction, reporter: Reporter, *, resume: bool
) -> dict[str, Checkpoint]:
    """Train and evaluate all models, going on from what the folder holds if ``resume``.

    Raises:
        StorageError: the folder's checkpoints are damaged or were written under other settings.
    """
    out, done = reproduction.out, {}
    if resume:
        n_steps = -(-len(reproduction.train) // reproduction.config.batch_size)
        for name in ARCHITECTURES:  # also those that are not asked for: all files of a folder match
            settings, answers = reproduction.settings(name), reproduction.answers
            checkpoint = load_checkpoint(out, name, settings, n_steps, answers)
            if checkpoint is not None:
                done[name] = checkpoint
    checkpoints = [checkpoint_path(out, name) for name in ARCHITECTURES]
    old = [*(out / name for name in PRODUCTS), *map(partial_path, checkpoints)]
    for path in old if resume else [*old, *checkpoints]:
        path.unlink(missing_ok=True)
    # To the device once, not once for each model and epoch.
    train_set = reproduction.train.to(reproduction.device)
    images = reproduction.test.images[list(reproduction.rows)].to(reproduction.device)
    for name in reproduction.models:
        done[name] = _finish(reproduction, name, done.get(name), train_set, images, reporter)
    return {name: done[name] for name in reproduction.models}


def _finish(
    reproduction: Reproduction,
    name: str,
    kept: Checkpoint | None,
    train_set: Dataset,
    images: Tensor,
    reporter: Reporter,
) -> Checkpoint:
    """Do the rest of one model's run; the data are on the reproduction's device."""
    config, run = reproduction.config, reproduction.run_of(name)
    network = build_network(run.network, run.activation, run.seed)
    checkpoint = kept or Checkpoint(
        network.state_dict(),
        model=name,
        settings=reproduction.settings(name),
        note=reproduction.note,
    )
    last = run.epochs[-1]
    n_kept, was_evaluated = len(checkpoint.losses), checkpoint.predictions is not None
    reporter.advance(n_kept)
    reported = float(n_kept)

    def on_progress(epoch: int, step: int, n_steps: int, _loss: float) -> None:
        nonlocal reported
        before, reported = reported, epoch + step / n_steps
        reporter.advance(reported - before)

    def report() -> None:
        n_epochs = len(checkpoint.losses)
        if n_epochs < last:
            reporter.stage(f"{name}: training, epoch {n_epochs + 1} of {last}")
            return
        epochs = f"{n_epochs} epoch{'' if n_epochs == 1 else 's'}"
        loss = f", mean loss {float(checkpoint.losses[-1].mean()):.4f}" if n_epochs else ""
        of_them = f" ({n_kept} kept)" if n_kept else ""
        seconds = f"{checkpoint.training_seconds:.2f} s"
        reporter.line(f"{name}: {epochs} trained in {seconds}{loss}{of_them}")
        if divergence := checkpoint.divergence():
            reporter.line(
                f"warning: {name}: training diverged, {divergence}, so its answers mean nothing: "
                f"learning rate {config.learning_rate:g} is too large"
            )
        reporter.stage(f"{name}: evaluating")

    report()
    method = reproduction.method if run.method == "fused" else "autograd"
    for _ in continue_run(
        run, network, checkpoint, train_set, images,
        grid=config.grid, method=method, on_progress=on_progress,
    ):  # fmt: skip
        save_checkpoint(reproduction.out, checkpoint)
        if checkpoint.predictions is None:
            report()
    reporter.advance(EVALUATION)
    n_patterns = reproduction.n_test * len(config.grid)  # those of the table
    reporter.line(
        f"{name}: {n_patterns:,} patterns evaluated "
        f"in {checkpoint.evaluation_seconds:.2f} s" + (" (kept)" if was_evaluated else "")
    )
    return checkpoint
