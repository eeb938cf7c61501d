"""The command ``page``: ``report.html`` from a finished result folder."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..checks.errors import StorageError, UsageError
from ..checks.text import one_line
from ..page import render_page
from ..reproduce.checkpoints import Checkpoint, checkpoint_path, read_checkpoint
from ..reproduce.jobs import Job, prepare
from ..reproduce.results import FILE, read_results
from ..reproduce.settings import Config
from ..shifts import ShiftGrid
from ..storage.files import write_text
from .output import check_writable
from .reproduce import study_dossier


def run(args: argparse.Namespace) -> int:
    """Read what the folder holds, and write the page."""
    out = args.folder / "report.html" if args.out is None else args.out
    check_writable({"--out": out})
    value = read_results(args.folder)
    job = _job(args, value)
    dossier = study_dossier(args.study, job)
    checkpoints = {name: _evaluated(args.folder, name, job) for name in job.models}
    write_text(out, render_page(job, checkpoints, value, dossier))
    print(one_line(f"written: {out}"))
    return 0


def _job(args: argparse.Namespace, value: Mapping[str, Any]) -> Job:
    """The job that wrote the folder, on the same data."""
    path = args.folder / FILE
    try:
        config = _config(value["config"])
    except ValueError as error:
        raise StorageError(f"{path}: $.config: {error}") from error
    job = prepare(
        config,
        tuple(value["models"]),
        value["config"]["method"],
        torch.device("cpu"),
        args.folder,
        data=args.data,
        quick=value["subset"],
    )
    if (
        dict(job.sha256) != value["environment"]["data_sha256"]
        or job.n_test != value["data"]["n_test"]
    ):
        raise UsageError(f"argument --data: got other data than those that {path} is about")
    if "figures" in value:
        shown = [figure["index"] for figure in value["figures"]]
        if shown != list(job.figures):
            raise StorageError(
                f"{path}: $.figures: got test images {shown}, expected {list(job.figures)}"
            )
    return job


def _config(kept: Mapping[str, Any]) -> Config:
    """The settings as :meth:`Config.to_dict` gave them."""
    dx, dy = (range(first, last + 1) for first, last in (kept["grid"]["dx"], kept["grid"]["dy"]))
    return Config(
        seed=kept["seed"],
        epochs=kept["epochs"],
        learning_rate=kept["learning_rate"],
        batch_size=kept["batch_size"],
        activation=kept["activation"],
        grid=ShiftGrid(dx, dy),
        bias_rule={int(digit): (x, y) for digit, (x, y) in kept["bias_rule"].items()},
    )


def _evaluated(folder: Path, name: str, job: Job) -> Checkpoint:
    """A model's checkpoint, with its answers to the job's images."""
    path = checkpoint_path(folder, name)
    checkpoint = read_checkpoint(path)
    expected = (len(job.rows), *job.config.grid.shape)
    got = None if checkpoint.predictions is None else tuple(checkpoint.predictions.shape)
    if checkpoint.model != name or got != expected:
        raise StorageError(
            f"{path}: got answers {'none' if got is None else list(got)} of {checkpoint.model}, "
            f"expected {list(expected)} of {name}"
        )
    return checkpoint
