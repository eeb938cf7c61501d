"""The command ``page``: ``report.html`` from a finished result folder."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checks.errors import Differs, StorageError, UsageError
from ..checks.text import one_line
from ..models.table import ARCHITECTURES
from .options import (
    FILE,
    FOLDER,
    USUAL_STATUS,
    add_data,
    add_path,
    check_folder,
    in_order,
    naming,
)
from .output import check_writable

if TYPE_CHECKING:
    from ..reproduce.checkpoints import Checkpoint
    from ..reproduce.reproduction import Reproduction
    from ..reproduce.settings import Config

DESCRIPTION = (
    "Write report.html from a finished result folder: after a run with --no-page, or to add a study's "
    "verdicts. Nothing is trained or evaluated."
)
EXAMPLE = "page results --study study --out report.html"
STATUS = USUAL_STATUS
NEEDS = ("lenetshift.api", "lenetshift.page", "lenetshift.reproduce.reproduction")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_path(
        parser, "folder", FOLDER, metavar="DIR", help="result folder of a finished `reproduce`"
    )
    add_path(parser, "--out", FILE, metavar="FILE", help="the page (default: report.html in DIR)")
    add_data(parser, "; must be the data of the results")
    add_path(
        parser, "--study", FOLDER, metavar="DIR",
        help="dossier of a study of the same data, whose intervals and verdicts are shown",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Read what the folder holds, and write the page."""
    from ..page import render_page
    from ..reproduce.results import read_results
    from ..storage.files import write_text

    check_folder(args.folder, "results.json", "a finished `reproduce`")
    out = args.folder / "report.html" if args.out is None else args.out
    check_writable({"--out": out})
    with naming("DIR"):
        value = read_results(args.folder)
        job = _job(args.folder, args.data, value)
    dossier = dossier_about(args.study, job.sha256)
    with naming("DIR"):
        checkpoints = {name: _evaluated(args.folder, name, job) for name in job.models}
    write_text(out, render_page(job, checkpoints, value, dossier))
    print(one_line(f"written: {out}"))
    return 0


def dossier_about(folder: Path | None, sha256: Mapping[str, str]) -> dict[str, Any] | None:
    """The dossier in the folder of ``--study``, if one is given; UsageError unless it is about data with
    these hashes."""
    if folder is None:
        return None
    from ..study.verification import read_dossier  # a fifth of a second to import

    check_folder(folder, "dossier.json", "a finished `study`", "--study")
    try:
        with naming("--study"):
            dossier = read_dossier(folder)
    except Differs as error:
        raise UsageError(f"argument --study: {error}") from error
    if dossier["data_sha256"] != dict(sha256):
        raise UsageError(f"argument --study: {folder} is about other data than this run")
    return dossier


def _job(folder: Path, data: Path | None, value: Mapping[str, Any]) -> Reproduction:
    """The job that wrote the folder, on the same data."""
    import torch

    from ..reproduce.reproduction import prepare
    from ..reproduce.results import FILE as RESULTS

    path = folder / RESULTS
    try:
        config = _config(value["config"])
    except ValueError as error:
        raise StorageError(f"{path}: $.config: {error}") from error
    with naming(None if data is None else "--data"):
        job = prepare(
            config,
            in_order(tuple(ARCHITECTURES), [value["models"]]),
            value["config"]["method"],
            torch.device("cpu"),
            folder,
            data=data,
            quick=value["subset"],
        )
    if (
        dict(job.sha256) != value["environment"]["data_sha256"]
        or job.n_test != value["data"]["n_test"]
    ):
        raise UsageError(f"argument --data: got other data than those of {path}")
    if "figures" in value:
        shown = [figure["index"] for figure in value["figures"]]
        if shown != list(job.figures):
            raise StorageError(
                f"{path}: $.figures: got test images {shown}, expected {list(job.figures)}"
            )
    return job


def _config(kept: Mapping[str, Any]) -> Config:
    """The settings that ``Config.to_dict`` returned."""
    from ..api import Config, ShiftGrid

    dx, dy = (range(first, last + 1) for first, last in (kept["grid"]["dx"], kept["grid"]["dy"]))
    plain = ("seed", "epochs", "learning_rate", "batch_size", "activation")
    return Config(
        **{name: kept[name] for name in plain},
        grid=ShiftGrid(dx, dy),
        bias_rule={int(digit): (x, y) for digit, (x, y) in kept["bias_rule"].items()},
    )


def _evaluated(folder: Path, name: str, job: Reproduction) -> Checkpoint:
    """A model's checkpoint, with its predictions for the job's images."""
    from ..reproduce.checkpoints import checkpoint_path, read_checkpoint

    path, expected = checkpoint_path(folder, name), job.answers
    checkpoint = read_checkpoint(path)
    got = None if checkpoint.predictions is None else tuple(checkpoint.predictions.shape)
    if checkpoint.model != name or got != expected:
        raise StorageError(
            f"{path}: got answers {'none' if got is None else list(got)} of {checkpoint.model}, "
            f"expected {list(expected)} of {name}"
        )
    return checkpoint
