"""The options of ``lenetshift completion``."""

from __future__ import annotations

import argparse

from . import USUAL_STATUS

DESCRIPTION = (
    "Print the script that completes commands and options in a shell (made by shtab). bash reads it "
    "with the line below, zsh from a file _lenetshift in a folder of $fpath, tcsh by source."
)
EXAMPLE = "completion bash >> ~/.bash_completion"
STATUS = USUAL_STATUS


def add_arguments(made: argparse.ArgumentParser) -> None:
    """Its options."""
    made.add_argument(
        "shell", choices=("bash", "zsh", "tcsh"), help="which shell: bash, zsh or tcsh"
    )
