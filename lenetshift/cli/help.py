"""The command ``help``: what ``--help`` prints, of all commands or of one."""

from __future__ import annotations

import argparse

from .options import USUAL_STATUS
from .parser import COMMAND, OneLineParser

DESCRIPTION = "Show the list of commands, or the options of one command, as its option --help does."
EXAMPLE = "help evaluate"
STATUS = USUAL_STATUS
NEEDS = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from .command import COMMANDS

    parser.add_argument(
        "about",
        nargs="?",
        choices=(*COMMANDS,),
        metavar=COMMAND,
        help="one of those that `help` lists",
    )


def run(args: argparse.Namespace) -> int:
    """Print the help."""
    from .command import of_command, parser

    prog, name = args.prog.removesuffix(" help"), args.about
    made = parser(prog) if name is None else of_command(name, f"{prog} {name}", OneLineParser)
    made.print_help()
    return 0
