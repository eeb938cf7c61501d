"""The command ``lenetshift``: its table of subcommands, and how each is run.

A command's options stand in :mod:`lenetshift.cli.parsers` and need no torch; what it does stands in the
module of its name here, which is imported once the options are in order.
"""

from __future__ import annotations

import argparse
import importlib
import warnings
from collections.abc import Sequence
from typing import Any

from ..checks.errors import DataError, Differs, StorageError, UsageError
from ..checks.text import in_a_line
from ..version import __version__
from . import interrupts
from .parsers import LOST_STATUS, STDERR_LOST, STDOUT_LOST, OneLineParser
from .streams import guarded_streams, say

COMMANDS = {
    "reproduce": "train and evaluate the report's models, print Table 1, draw the figures",
    "study": "test the report's numbers and claims over many seeds",
    "verify": "recompute all that a study's dossier says",
    "evaluate": "ask a network of your own, or a checkpoint, about every shift",
    "grid": "draw one test image under every shift, with a checkpoint's answers",
    "page": "write report.html from a finished result folder",
    "bench": "measure this package against plain PyTorch on this machine",
    "doctor": "say what is installed, what will be used and why, and what is wrong",
    "completion": "print the completion script of a shell",
}
"""Name -> what it does, in a line. A further command is a line here, its options in ``parsers/NAME.py``,
its work in ``NAME.py``."""

WITHOUT_TORCH = ("doctor", "completion")


def parser(prog: str = "lenetshift") -> argparse.ArgumentParser:
    """The command line with all subcommands."""
    made = OneLineParser(
        prog=prog,
        description="How robust is a digit classifier to moving the digit?",
        epilog=f"`{prog} COMMAND --help` has the options of one, with an example.",
    )
    made.add_argument("--version", action="version", version=f"lenetshift {__version__}")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, line in COMMANDS.items():
        about = _parser_module(name)
        one = commands.add_parser(
            name, help=line, description=about.DESCRIPTION, epilog=_epilog(about, prog)
        )
        _fill(one, name, about)
    return made


def _fill(one: argparse.ArgumentParser, name: str, about: Any) -> None:
    about.add_arguments(one)
    one.set_defaults(command=name, prog=one.prog)


def _epilog(about: Any, prog: str) -> str:
    return f"Example:\n\n    {prog} {about.EXAMPLE}\n\n{about.STATUS}; {LOST_STATUS}"


def _parser_module(name: str) -> Any:
    return importlib.import_module(f".parsers.{name}", __package__)


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
    about = _parser_module(name)
    prog = f"python -m lenetshift.{name}"
    epilog = _epilog(about, "lenetshift").replace(f"lenetshift {name}", prog)
    made = OneLineParser(prog=prog, description=about.DESCRIPTION, epilog=epilog)
    _fill(made, name, about)
    return _guarded(made, arguments)


def _guarded(made: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """The exit status, with what the streams lose."""
    with guarded_streams() as (output, errors):
        status = _status(made, arguments)
        output.flush()
        if output.lost:
            say(f"{made.prog}: standard output is lost: {output.lost}")
        errors.flush()
    if status == 0:
        status = STDOUT_LOST * bool(output.lost) + STDERR_LOST * bool(errors.lost)
    return status


def _status(made: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Run a command, and say in one line why it ends where it does."""
    interrupted = "interrupted"
    try:
        args, unknown = made.parse_known_args(arguments)
    except SystemExit as stop:  # --help, or an error that has been told
        return int(stop.code or 0)
    if unknown:  # told here, since argparse would name the whole command, not the subcommand
        say(f"{args.prog}: error: unrecognized arguments: {' '.join(unknown)}")
        return 2
    try:
        out = getattr(args, "out", None)
        interrupted = getattr(_parser_module(args.command), "INTERRUPTED", interrupted)
        return _run(args)
    except Differs as difference:
        say(f"{args.prog}: differs: {difference}")
        return 1
    except (StorageError, DataError, UsageError) as error:
        say(f"{args.prog}: error: {error}")
        return 2
    except KeyboardInterrupt as stop:
        say(interrupted.format(out=out))
        return stop.status if isinstance(stop, interrupts.Terminated) else interrupts.STATUS
    except OSError as error:  # a full disk, for one
        place = error.filename or out
        named = "" if place is None else f"{place}: "
        say(f"{args.prog}: error: {named}{error.strerror or in_a_line(error)}")
        return 2


def _run(args: argparse.Namespace) -> int:
    try:
        if args.command not in WITHOUT_TORCH:
            importlib.import_module("lenetshift.api")
        module = importlib.import_module(f".{args.command}", __package__)
    except ImportError as error:  # of torch, or of a core that does not fit
        reason = " ".join(str(error).split())
        raise UsageError(f"{reason} (`lenetshift doctor` says what to do)") from error
    interrupts.raise_again()
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        status: int = module.run(args)
    return status


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning in a line, without the code that it came from."""
    say(f"warning: {' '.join(str(message).split())}")
