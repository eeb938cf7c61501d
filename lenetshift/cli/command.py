"""The command ``lenetshift``: its table of subcommands, and how each is run.

Each subcommand has a module of its name here: its options need no torch, and its work imports what it needs
once the options are in order. Such a module has ``DESCRIPTION``, ``EXAMPLE``, ``STATUS`` (its exit status, in
a sentence), ``add_arguments(parser)``, ``run(args)`` and ``NEEDS``, the modules imported before ``run``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..checks.errors import DataError, Differs, StorageError, UsageError
from ..checks.text import in_a_line, one_line
from ..version import __version__
from . import interrupts
from .colour import YELLOW, painted
from .options import LOST_STATUS, STDERR_LOST, STDOUT_LOST, UNREAD
from .parser import COMMAND, OneLineParser
from .streams import complain, guarded_streams, say

COMMANDS = {
    "reproduce": "train the report's models and compare them with its Table 1",
    "study": "test the report's numbers and claims over many seeds",
    "verify": "recompute a study's numbers, and some of its predictions",
    "evaluate": "run a network of your own, or a checkpoint, under every shift",
    "compare": "say which of two evaluated networks is more robust",
    "grid": "draw one test image under every shift, with the answers",
    "page": "write report.html from a finished result folder",
    "bench": "measure this package against plain PyTorch on this machine",
    "doctor": "show what is installed, what will be used, what is wrong",
    "completion": "print the completion script of a shell",
    "help": "show this list, or the options of a command",
}
"""Name -> what it does, in a line of 61 characters at most, so that none wraps. For another command, add a
line here and a module of its name."""


def parser(prog: str = "lenetshift") -> OneLineParser:
    """The command line with all subcommands."""
    made = OneLineParser(
        prog=prog,
        description="How robust is a digit classifier to moving the digit?",
        epilog=f"`{prog} help COMMAND` shows the options of a command, with an example.",
    )
    made.add_argument(
        "-V", "--version", action="version", version=f"lenetshift {__version__}",
        help="show the version and exit",
    )  # fmt: skip
    made.set_defaults(prog=prog, parser=made)
    commands = made.add_subparsers(dest="command", metavar=COMMAND)
    made._positionals.title = "commands"
    for name, line in COMMANDS.items():
        of_command(name, f"{prog} {name}", partial(commands.add_parser, name, help=line))
    return made


def of_command(name: str, prog: str, make: Callable[..., OneLineParser]) -> OneLineParser:
    """The parser of one command, made by ``make``."""
    module = _module(name)
    example = prog + module.EXAMPLE.removeprefix(name)
    epilog = f"Example:\n\n    {example}\n\n{module.STATUS}; {LOST_STATUS}"
    made = make(prog=prog, description=module.DESCRIPTION, epilog=epilog)
    module.add_arguments(made)
    made.set_defaults(command=name, prog=prog, parser=made)
    return made


def _module(name: str) -> Any:
    return importlib.import_module(f".{name}", __package__)


def console() -> int:
    """The console script ``lenetshift``; its exit status."""
    return interrupts.as_process(main)


def console_reproduce() -> int:
    """The console script ``lenetshift-reproduce``; its exit status."""
    return interrupts.as_process(lambda: alone("reproduce"))


def main(arguments: Sequence[str] | None = None, prog: str = "lenetshift") -> int:
    """Run the command line, by default that of the process, and return the exit status."""
    return _guarded(parser(prog), arguments)


def alone(name: str, arguments: Sequence[str] | None = None) -> int:
    """The same for one command in a module of its own, ``python -m lenetshift.<name>``."""
    return _guarded(of_command(name, f"python -m lenetshift.{name}", OneLineParser), arguments)


def _guarded(made: OneLineParser, arguments: Sequence[str] | None) -> int:
    """The exit status, including what the streams have lost."""
    with guarded_streams() as (output, errors):
        status = _status(made, arguments)
        output.flush()
        if output.lost and not output.unread:
            say(f"{made.prog}: standard output is lost: {output.lost}")
        errors.flush()
    if status != 0:
        return status
    if output.unread:
        return UNREAD
    return STDOUT_LOST * bool(output.lost) + STDERR_LOST * bool(errors.lost)


def _status(made: OneLineParser, arguments: Sequence[str] | None) -> int:
    """Run a command, and say in one line why it failed."""
    try:
        args, unknown = made.parse_known_args(arguments)
        if (
            unknown
        ):  # reported here, since argparse would name the whole command, not the subcommand
            args.parser.error(args.parser.unknown(unknown))
    except SystemExit as stop:  # --help, or an error that has been reported
        return int(stop.code or 0)
    if args.command is None:
        made.print_help()
        return 0
    out = getattr(args, "out", None)
    try:
        return _run(args)
    except Differs as difference:
        complain(args.prog, "differs", difference)
        return 1
    except (StorageError, DataError, UsageError) as error:
        complain(args.prog, "error", error)
        return 2
    except KeyboardInterrupt as stop:
        interrupted = getattr(_module(args.command), "INTERRUPTED", "interrupted")
        say(interrupted.format(out=out))
        return stop.status if isinstance(stop, interrupts.Terminated) else interrupts.STATUS
    except OSError as error:  # a full disk, for one
        place = error.filename or out
        named = "" if place is None else f"{place}: "
        complain(args.prog, "error", f"{named}{error.strerror or in_a_line(error)}")
        return 2


def _run(args: argparse.Namespace) -> int:
    module = _module(args.command)
    try:
        for name in module.NEEDS:
            importlib.import_module(name)
    except ImportError as error:  # torch is missing, or the core does not fit
        reason = " ".join(str(error).split())
        raise UsageError(f"{reason} (`lenetshift doctor` says what to do)") from error
    interrupts.raise_again()
    with warnings.catch_warnings(), interrupts.never_hidden():
        warnings.showwarning = _show_warning
        status: int = module.run(args)
    return status


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning in a line, without its source code."""
    line = one_line(" ".join(str(message).split()))
    print(painted("warning:", YELLOW, sys.stderr), line, file=sys.stderr, flush=True)
