"""Helpers for the tests of ``report.html``."""

import torch

from lenetshift.cli import command
from lenetshift.cli import reproduce as command_line
from lenetshift.cli.options import in_order
from lenetshift.predict.progress import Progress
from lenetshift.reproduce.reproduction import carry_out, prepare
from lenetshift.reproduce.results import compute_results


def finished(small, tmp_path, *options):
    """A job, its checkpoints and the contents of its ``results.json``; ``small`` is the folder of its data,
    None for MNIST."""
    folders = ["--out", str(tmp_path), *(["--data", str(small)] if small else [])]
    args = command.parser().parse_args(["reproduce", *folders, "--epochs", "0", *options])
    job = prepare(
        command_line.config_of(args),
        in_order(command_line.MODELS, args.models),
        args.method,
        torch.device("cpu"),
        args.out,
        data=args.data,
        quick=args.quick,
    )
    (tmp_path / "checkpoints").mkdir()
    with Progress(job.units) as progress:
        checkpoints = carry_out(job, progress, resume=False)
    return job, checkpoints, compute_results(job, checkpoints)


def a_dossier():
    """The parts of a study's ``dossier.json`` that the page uses, with one row and one claim."""
    cell = {"report": 96.96, "n": 20, "mean": 96.9, "sd": 0.4, "interval": [96.1, 97.7]}
    cell |= {"distance": 0.06, "distance_in_sds": 0.1, "p": 0.9, "p_corrected": 1.0}
    far = {"mean": 60.9, "interval": [57.0, 64.9], "distance": -12.1, "verdict": "deviates"}
    near = {"column": "unmoved", "verdict": "agrees"}
    cells = [
        cell | {"model": "lenet5"} | near,
        cell | {"model": "lenet5", "column": "moved"} | far,
    ]
    part = {"name": "Model 3", "hypothesis": "No more robust.", "measure": "Model 3 less Model 1"}
    looks = [{"value": -0.4, "interval": [-0.6, -0.2]}, {"value": 0.7, "interval": [0.5, 0.9]}]
    part |= {"verdict": "supported", "looks": looks}
    claim = {"claim": 2, "sentence": "Pooling gives none.", "verdict": "supported", "parts": [part]}
    table = {"misprint": "", "cells": cells}
    return {"note": "", "study": {"seeds": 20, "quick": False}, "table": table, "claims": [claim]}
