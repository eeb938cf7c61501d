"""What the options of several commands share. Nothing here imports torch: ``--help`` and errors in arguments
need not wait for it."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..checks.errors import ArgumentError, ClusterError, DataError, StorageError, UsageError
from .parser import is_number

MAX_THREADS = 1024

STDOUT_LOST, STDERR_LOST = 4, 8
"""Exit status if all work is done, but what was printed is lost; their sum if both streams are lost."""

UNREAD = 141
"""Exit status if all work is done, but the program that reads standard output has ended, such as ``head``:
128 plus the number of SIGPIPE, as a shell reports it of other programs."""

USUAL_STATUS = "Exit status: 0 done, 2 cannot be done (one line says why), 130 interrupted"
LOST_STATUS = (
    f"done, but what was printed is lost: {STDOUT_LOST} standard output, {STDERR_LOST} standard error, "
    f"{STDOUT_LOST + STDERR_LOST} both (closed or full), {UNREAD} standard output, because the program that "
    "reads it has ended."
)

FILE = {
    **{"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"},
    "fish": "(__fish_complete_path (commandline -ct))",
}
FOLDER = {
    **{"bash": "_shtab_compgen_dirs", "zsh": "_files -/", "tcsh": "d"},
    "fish": "(__fish_complete_directories)",
}
"""What a shell offers after an option that takes a path: shtab's ``FILE`` and ``DIRECTORY``."""


# Options


def add_path(
    parser: argparse._ActionsContainer, name: str, offer: dict[str, str], **settings: Any
) -> None:
    """An option or argument for a path, after which a shell offers files or folders."""
    option = parser.add_argument(name, **{"type": a_path, **settings})
    option.complete = offer  # type: ignore[attr-defined]


def add_data(parser: argparse._ActionsContainer, more: str = "") -> None:
    """The option for a folder of IDX files."""
    add_path(
        parser, "--data", FOLDER, metavar="DIR",
        help=f"folder with the four IDX files, raw or .gz (default: the packaged MNIST){more}",
    )  # fmt: skip


def add_names(
    parser: argparse._ActionsContainer, option: str, choices: Sequence[str], more: str = ""
) -> None:
    """An option for some of the names, such as ``--models``; :func:`in_order` reads it."""
    kind = option.strip("-").removesuffix("s")
    parser.add_argument(
        option, nargs="+", type=partial(names_of, kind, choices), default=[choices], choices=choices,
        metavar="NAME",
        help=f"some of {', '.join(choices)}, separated by spaces or commas{more} (default: all)",
    )  # fmt: skip


def add_device_and_threads(parser: argparse._ActionsContainer) -> None:
    """The options for the device and the CPU threads."""
    parser.add_argument(
        "--device", choices=("cpu", "cuda", "auto"), default="cpu",
        help="auto is CUDA if it works, else the CPU",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=threads, metavar="N",
        help="CPU threads, at most the number of CPUs (default: PyTorch's choice)",
    )  # fmt: skip


def add_json(parser: argparse._ActionsContainer, what: str) -> None:
    """The option for JSON in a file or on standard output."""
    add_path(
        parser, "--json", FILE, type=file_or_stdout, nargs="?", const="-", metavar="FILE",
        help=f"write {what} as JSON to a file; without FILE, or for -, to standard output instead of "
        "the text",
    )  # fmt: skip


# Types of their values


def a_path(text: str) -> Path:
    """A path, in which ``~`` is the home folder."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a path")
    try:
        return Path(text).expanduser()  # "~/mnist", if the shell has left it as it is
    except RuntimeError as error:  # there is no user of that name
        raise argparse.ArgumentTypeError(f"got {text!r}: {error}") from error


def file_or_stdout(text: str) -> str | Path:
    """The path of a file, or "-" for standard output."""
    return text if text == "-" else a_path(text)


def picture(text: str) -> Path:
    """The path of a figure to be written."""
    path = a_path(text)
    if path.suffix.lower() not in (".png", ".svg"):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a name ending with .png or .svg")
    return path


def saved_evaluation(text: str) -> Path:
    """The path of an evaluation to be saved."""
    path = a_path(text)
    if path.suffix.lower() != ".npz":
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a name ending with .npz")
    return path


def finite_number(text: str) -> float:
    """A finite number, in any notation."""
    if not is_number(text) or not math.isfinite(float(text)):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a finite number")
    return float(text)


def threads(text: str) -> int:
    """A number of threads."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_THREADS:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a whole number in 1..{MAX_THREADS}"
        )
    return int(text)


def names_of(kind: str, choices: Sequence[str], text: str) -> tuple[str, ...]:
    """Names separated by commas, each of them one of the choices."""
    names = tuple(name for name in text.split(",") if name)
    for name in names or (text,):
        if name not in choices:
            raise argparse.ArgumentTypeError(
                f"unknown {kind} {name!r} (choose from {', '.join(choices)})"
            )
    return names


def in_order(choices: Sequence[str], given: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The names of all lists, in the order of the choices and each once."""
    return tuple(name for name in choices if any(name in names for names in given))


# Their values together


def shift_range(option: str, given: Sequence[int], *, steps: bool = False) -> range:
    """The shifts from the first to the last, with a step if one is given and admitted.

    Raises:
        UsageError: other values.
    """
    if (
        len(given) not in ((2, 3) if steps else (2,))
        or given[0] > given[1]
        or min(given[2:], default=1) < 1
    ):
        expected = "the first shift, then the last"
        expected += ", then optionally a step of 1 or more" if steps else ""
        raise UsageError(f"argument {option}: got {' '.join(map(str, given))}, expected {expected}")
    return range(given[0], given[1] + 1, *given[2:])


def check_folder(folder: Path, file: str, of: str, argument: str = "DIR") -> None:
    """Raise UsageError unless an argument of a command is a folder that has the file.

    Args:
        folder: what was given.
        file: the name of the file that is written last.
        of: what writes such a folder, for the message.
        argument: its name.
    """
    expected = f"expected the folder of {of}"
    if not folder.is_dir():
        state = "not a folder" if folder.exists() else "no such folder"
        raise UsageError(f"argument {argument}: {folder}: {state}, {expected}")
    if not os.path.lexists(folder / file):
        raise UsageError(f"argument {argument}: {folder}: has no {file}, {expected}")


OPTION_OF = {
    **{name: f"--{name.replace('_', '-')}" for name in (
        "activation", "batch_size", "classes", "crop", "dx", "dy", "epochs", "executor", "fill",
        "learning_rate", "mean", "method", "model", "resize", "scheduler", "seed", "std", "tune",
    )},
    "channels": "--grey, --rgb",
    "grid": "--dx, --dy",
    "grid.dx": "--dx",
    "grid.dy": "--dy",
    "n_images": "--images",
    "rule": "--bias",
    "transform": "--mean",
}  # fmt: skip
"""An argument of the package -> the option, or options, that give it."""


@contextlib.contextmanager
def naming_options() -> Iterator[None]:
    """Turn an ArgumentError about an argument in :data:`OPTION_OF` into a UsageError that names the
    option."""
    try:
        yield
    except ArgumentError as error:
        option = OPTION_OF.get(error.name.partition("[")[0])  # rule[3]
        if option is None:
            raise
        raise UsageError(f"argument {option}: {error.problem}") from error


@contextlib.contextmanager
def naming(argument: str | None) -> Iterator[None]:
    """Turn an error in a file or folder into a UsageError that names the argument that gave it; None: no
    argument did, as for the packaged MNIST. An error of a cluster is one of --scheduler."""
    try:
        yield
    except ClusterError as error:
        raise UsageError(f"argument --scheduler: {error}") from error
    except (DataError, StorageError) as error:
        if argument is None:
            raise
        raise UsageError(f"argument {argument}: {error}") from error


@contextlib.contextmanager
def entered(argument: str, folder: contextlib.AbstractContextManager[None]) -> Iterator[None]:
    """The context of an open folder. An error in opening it names the argument that gave it; one of what is
    done in it names its own file."""
    with contextlib.ExitStack() as stack:
        with naming(argument):
            stack.enter_context(folder)
        yield
