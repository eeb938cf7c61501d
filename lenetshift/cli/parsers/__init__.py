"""The options of each command, a file a command, and what they share. Nothing here imports torch: a
person who asks for ``--help`` need not wait for it.

Each file has ``DESCRIPTION``, ``EXAMPLE``, ``STATUS`` (its exit status, in a sentence) and
``add_arguments``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ...checks.text import one_line

MAX_THREADS = 1024

STDOUT_LOST, STDERR_LOST = 4, 8
"""Exit status of a run that is complete but for what it had to say; their sum where both is lost."""

USUAL_STATUS = "Exit status: 0 done, 2 not possible as asked (one line says why), 130 interrupted"
LOST_STATUS = (
    f"{STDOUT_LOST} done, all files are written, but standard output is lost (closed, full or without "
    f"a reader), {STDERR_LOST} standard error, {STDOUT_LOST + STDERR_LOST} both."
)

FILE: dict[str, str] = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}
FOLDER: dict[str, str] = {"bash": "_shtab_compgen_dirs", "zsh": "_files -/", "tcsh": "d"}
"""What a shell offers after an option that takes a path, as shtab's ``FILE`` and ``DIRECTORY`` have
it."""


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage that --help gives anyway, and that takes
    no abbreviated options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As the parser, with help that shows defaults."""
        super().__init__(
            *args, **{"formatter_class": HelpWithDefaults, "allow_abbrev": False, **kwargs}
        )

    def _parse_optional(self, arg_string: str) -> Any:
        """What an argument is: None for a value. argparse takes ``-5e-1`` and ``-inf`` for options, since its
        pattern of a negative number has neither exponent nor name."""
        return None if _is_number(arg_string) else super()._parse_optional(arg_string)

    def error(self, message: str) -> NoReturn:
        """End the process with the error in one line."""
        if message.endswith(": COMMAND"):
            message += f" (`{self.prog} --help` lists them)"
        self.exit(2, f"{self.prog}: error: {one_line(message)}\n")


def _is_number(text: str) -> bool:
    """Whether Python reads a number there, in whatever notation."""
    try:
        float(text)
    except ValueError:
        return False
    return True


class HelpWithDefaults(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults in the help text, save those that say nothing (None, off); an example on lines of its
    own."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default in (None, False) or "(default" in (action.help or "")
        return action.help if silent else super()._get_help_string(action)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = text.split("\n\n")
        return "\n\n".join(
            part if part.startswith(" ") else super(HelpWithDefaults, self)._fill_text(part, width, indent)
            for part in parts
        )  # fmt: skip


def completed(action: argparse.Action, how: dict[str, str]) -> None:
    """Let a shell offer files or folders after an option."""
    action.complete = how  # type: ignore[attr-defined]


def add_data(made: argparse._ActionsContainer, more: str = "") -> None:
    """The option for a folder of IDX files."""
    option = made.add_argument(
        "--data", type=a_path, metavar="DIR",
        help=f"folder with the four IDX files, raw or .gz (default: the packaged MNIST){more}",
    )  # fmt: skip
    completed(option, FOLDER)


def add_threads(made: argparse._ActionsContainer) -> None:
    """The option for the CPU threads."""
    made.add_argument(
        "--threads", type=threads, metavar="N",
        help="CPU threads, no more than there are CPUs (default: PyTorch's choice)",
    )  # fmt: skip


def add_device(made: argparse._ActionsContainer) -> None:
    """The option for the device."""
    made.add_argument(
        "--device", choices=("cpu", "cuda", "auto"), default="cpu",
        help="auto takes CUDA where it works, else the CPU",
    )  # fmt: skip


def add_json(made: argparse._ActionsContainer, what: str) -> None:
    """The option for JSON in a file or on standard output."""
    option = made.add_argument(
        "--json", type=file_or_stdout, nargs="?", const="-", metavar="FILE",
        help=f"write {what} as JSON, to standard output without FILE or for -, in the place of the "
        "text",
    )  # fmt: skip
    completed(option, FILE)


def a_path(text: str) -> Path:
    """A path as an option gives it, ``~`` the home folder."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a path")
    try:
        return Path(text).expanduser()  # "~/mnist", where the shell has left it as it is
    except RuntimeError as error:  # nobody has that name
        raise argparse.ArgumentTypeError(f"got {text!r}: {error}") from error


def file_or_stdout(text: str) -> str | Path:
    """A file's path, or "-" for standard output."""
    return text if text == "-" else a_path(text)


def picture(text: str) -> Path:
    """The path of a figure that is to be written."""
    path = a_path(text)
    if path.suffix.lower() not in (".png", ".svg"):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a name ending with .png or .svg")
    return path


def threads(text: str) -> int:
    """A number of threads."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_THREADS:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a whole number in 1..{MAX_THREADS}"
        )
    return int(text)


def names_of(choices: Sequence[str], text: str) -> tuple[str, ...]:
    """Names separated by commas, each of them one of the choices."""
    names = tuple(name for name in text.split(",") if name)
    for name in names or (text,):
        if name not in choices:
            raise argparse.ArgumentTypeError(
                f"unknown model {name!r} (choose from {', '.join(choices)})"
            )
    return names
