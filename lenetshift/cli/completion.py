"""The command ``completion``: the completion script of a shell, made by shtab."""

from __future__ import annotations

import argparse

from .options import USUAL_STATUS

DESCRIPTION = (
    "Print the script that completes commands and options in a shell (made by shtab). bash reads it "
    "after the command below, zsh from a file _lenetshift in a folder of $fpath, tcsh with source, fish "
    "from the file ~/.config/fish/completions/lenetshift.fish."
)
EXAMPLE = "completion bash >> ~/.bash_completion"
STATUS = USUAL_STATUS
NEEDS = ("shtab",)

SHELLS = ("bash", "zsh", "tcsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("shell", choices=SHELLS, help="name of the shell")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from . import command

    print(shtab.complete(command.parser("lenetshift"), args.shell))
    return 0
