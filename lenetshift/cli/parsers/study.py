"""The options of ``lenetshift study`` and ``python -m lenetshift.study``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..words import EXPERIMENTS, QUICK_SEEDS, SEEDS
from . import FOLDER, USUAL_STATUS, a_path, add_data, completed

DESCRIPTION = (
    "Train the report's networks and their variants from many seeds, judge each cell of Table 1 and "
    "each claim by rules that are written down in lenetshift.study.experiments, and write all of "
    "it into a folder, the dossier, that python -m lenetshift.verify recomputes."
)
EXAMPLE = "study --quick --out study"
STATUS = USUAL_STATUS
INTERRUPTED = "interrupted: the same command with --resume goes on from the finished runs"


def add_arguments(made: argparse.ArgumentParser) -> None:
    """Its options."""
    out = made.add_argument(
        "--out", type=a_path, default=Path("study"), metavar="DIR", help="the dossier's folder"
    )
    completed(out, FOLDER)
    add_data(made)
    made.add_argument(
        "--seeds", type=int, metavar="N",
        help="seeds 0..N-1; a network without fused training has 5 at most "
        f"(default: {SEEDS}; {QUICK_SEEDS} with --quick)",
    )  # fmt: skip
    made.add_argument(
        "--experiments", nargs="+", choices=EXPERIMENTS, default=EXPERIMENTS,
        metavar="NAME", help=f"some of {', '.join(EXPERIMENTS)} (default: all)",
    )  # fmt: skip
    made.add_argument(
        "--quick", action="store_true",
        help="a few images and settings only: shows that all works, and says so in every file",
    )  # fmt: skip
    made.add_argument(
        "--jobs", type=int, metavar="N",
        help="processes, each with one thread, no more than there are CPUs (default: as many)",
    )  # fmt: skip
    made.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="do the runs on the workers of this Dask scheduler, as tcp://10.0.0.1:8786, instead "
        "(needs lenetshift[dask], here and there; --jobs plays no part)",
    )  # fmt: skip
    made.add_argument(
        "--resume", action="store_true", help="keep the finished runs in --out and do the others"
    )
