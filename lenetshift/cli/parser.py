"""The parser of the command line: argparse's, with errors in one line that name what was probably meant."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

from ..checks.repository import documentation
from .streams import complaint

COMMAND = "COMMAND"
"""What the usage calls the first argument of ``lenetshift``."""


_ONE_OF = re.compile("one of the arguments (.*) is required")
"""argparse's error about options of which one must be given."""


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage that --help prints anyway, and that accepts no
    abbreviated options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(
            *args, **{"formatter_class": HelpWithDefaults, "allow_abbrev": False, **kwargs}
        )
        self._given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """What argparse's own method returns; :meth:`error` looks at what was given."""
        self._given = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def _parse_optional(self, arg_string: str) -> Any:
        """None for a value. argparse takes ``-5e-1`` and ``-inf`` for options, since its pattern of a
        negative number has neither exponents nor names."""
        return None if is_number(arg_string) else super()._parse_optional(arg_string)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raise ArgumentError unless the value is one of the choices; of commands, name the nearest.
        Of options for several names, :func:`lenetshift.cli.options.names_of` has checked them."""
        if isinstance(value, tuple):
            return
        if action.metavar == COMMAND and value not in (action.choices or ()):
            meant = did_you_mean(value, action.choices or ())
            listed = f"`{self.prog.removesuffix(' help')} help` lists them"
            self.error(f"unknown command {value!r}{meant} ({listed})")
        super()._check_value(action, value)

    def format_help(self) -> str:
        """The help, which ends with the place of the documentation."""
        return f"{super().format_help()}\n{documentation()}\n"

    def error(self, message: str) -> NoReturn:
        """End the process with the error in one line. An option that does not exist is named first: what
        else is wrong, such as a missing option, may only follow from it."""
        unknown = list(self._unknown_options())
        needed = _ONE_OF.fullmatch(message)
        if needed:
            message = f"expected {' or '.join(needed[1].split())}"
        problem = self.unknown(unknown) if unknown else message
        self.exit(2, complaint(self.prog, "error", problem) + "\n")

    def unknown(self, arguments: Sequence[str]) -> str:
        """The error about arguments that this parser does not know."""
        meant = ""
        for argument in arguments:
            name = argument.partition("=")[0]
            meant = meant or did_you_mean(name, self._option_string_actions)
        return f"unrecognized arguments: {' '.join(arguments)}{meant}"

    def _unknown_options(self) -> Iterator[str]:
        """The long options that were given and do not exist; of ``lenetshift``, those before its command."""
        for text in self._given:
            is_option = text.startswith("--") and " " not in text
            if text == "--" or (self._subparsers is not None and not is_option):
                return
            if is_option and text.partition("=")[0] not in self._option_string_actions:
                yield text


def did_you_mean(given: str, names: Iterable[str]) -> str:
    """A question about the name that is most like the given one; empty if none is like it."""
    near = difflib.get_close_matches(given, list(names), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def is_number(text: str) -> bool:
    """Whether Python can read the text as a number, in any notation."""
    try:
        float(text)
    except ValueError:
        return False
    return True


class HelpWithDefaults(argparse.ArgumentDefaultsHelpFormatter):
    """Adds defaults to the help, except None and False, which say nothing; keeps the lines of an example."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = (
            action.default is None or action.default is False or "(default" in (action.help or "")
        )
        return action.help if silent else super()._get_help_string(action)

    def _format_action(self, action: argparse.Action) -> str:
        """The list of commands without a line that says COMMAND."""
        text = super()._format_action(action)
        return text.partition("\n")[2] if isinstance(action, argparse._SubParsersAction) else text

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = text.split("\n\n")
        return "\n\n".join(
            part if part.startswith(" ") else super(HelpWithDefaults, self)._fill_text(part, width, indent)
            for part in parts
        )  # fmt: skip
