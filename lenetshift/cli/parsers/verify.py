"""The options of ``lenetshift verify`` and ``python -m lenetshift.verify``."""

from __future__ import annotations

import argparse

from . import FOLDER, a_path, completed

DESCRIPTION = (
    "Recompute every number, interval and verdict of a study's dossier from its predictions and the "
    "data, check schema and hashes, and name the first that differs."
)
EXAMPLE = "verify study"
STATUS = (
    "Exit status: 0 all is true, 1 something differs, 2 not possible (one line says why), "
    "130 interrupted"
)


def add_arguments(made: argparse.ArgumentParser) -> None:
    """Its options."""
    folder = made.add_argument("folder", type=a_path, metavar="DIR", help="the dossier")
    completed(folder, FOLDER)
    data = made.add_argument(
        "--data", type=a_path, metavar="DIR",
        help="folder with the IDX files that it is about (default: the packaged MNIST)",
    )  # fmt: skip
    completed(data, FOLDER)
    made.add_argument(
        "--retrain", action="store_true",
        help="do one run again too, chosen at random, and say how far its answers are off",
    )  # fmt: skip
