"""The command ``completion``: the completion script of a shell, by shtab."""

from __future__ import annotations

import argparse

import shtab

from . import command


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    print(shtab.complete(command.parser("lenetshift"), args.shell))
    return 0
