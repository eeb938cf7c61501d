"""The options of ``lenetshift doctor``."""

from __future__ import annotations

import argparse

from . import add_json

DESCRIPTION = (
    "Say what is installed, what will be used and why (instruction set, threads, CUDA), whether the "
    "packaged data and the compiled core are what they should be, and, for each thing that is wrong, "
    "what to do. Runs where torch is missing or broken: what could crash is tried in another process."
)
EXAMPLE = "doctor --json"
STATUS = (
    "Exit status: 0 all is well, 1 something is wrong, 2 not possible as asked, 130 interrupted"
)


def add_arguments(made: argparse.ArgumentParser) -> None:
    """Its options."""
    made.add_argument(
        "--no-torch", action="store_true",
        help="do not start torch, which takes seconds: its version is named, but not tried, nor CUDA",
    )  # fmt: skip
    add_json(made, "all that is found")
