"""The command ``page``: ``report.html`` from a finished result folder."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..dossier.checkpoints import Checkpoint, checkpoint_path, read_checkpoint
from ..dossier.files import write_text
from ..dossier.jobs import Job
from ..dossier.results import FILE, read_results
from ..errors import StorageError, UsageError
from ..experiments.settings import Config
from ..report.page import render_page
from ..shifts import ShiftGrid
from ..text import one_line
from .output import check_writable
from .reproduce import prepare, study_dossier


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
    asked = argparse.Namespace(
        data=args.data,
        quick=value["subset"],
        models=[[name] for name in value["models"]],
        method=value["config"]["method"],
        out=args.folder,
    )
    job = prepare(asked, config, torch.device("cpu"))
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
