"""What the tests of dossiers share: a quick study, and what a forger would do to it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from command_line import run

from lenetshift.storage.files import write_json
from lenetshift.storage.sealed import pack_arrays, unpack_arrays
from lenetshift.study import plans, publish

PLAN = plans.Plan(2, ("table",), quick=True)

SETTINGS_PLAN = plans.Plan(2, ("settings",), quick=True)
"""Its runs keep the last predictions alone."""


def quick(folder, *more, experiment="table") -> tuple[int, str, str]:
    arguments = ("--quick", "--experiments", experiment, "--jobs", 1, "--out", folder, *more)
    return run("study", *arguments)


def publish_again(folder: Path, experiment="table") -> None:
    """Everything that follows from the runs' files is made anew, sealed and hashed."""
    status, _, errors = quick(folder, "--resume", experiment=experiment)
    assert status == 0, errors


def check_refused(done: tuple[int, str, str], status: int, message: str) -> None:
    """A command failed with one line that holds the message, besides how many runs are to do."""
    assert done[0] == status
    line, *others = [line for line in done[2].splitlines() if not line.endswith("runs to do")]
    assert (others, message in line) == ([], True), done[2]


def files_of(folder: Path, pattern: str = "*") -> dict[Path, bytes]:
    """The contents of a folder's files, by path."""
    return {path: path.read_bytes() for path in folder.rglob(pattern) if path.is_file()}


def change_arrays(path: Path, change) -> None:
    """Change the arrays of a run's file, and seal it again."""
    names = ("about", "losses", "predictions")
    arrays = unpack_arrays(path.read_bytes(), names, optional=("accuracies",))
    path.write_bytes(pack_arrays({**arrays, **change(arrays)}))


def refresh_sums(folder: Path) -> None:
    """What a forger would do: every hash fits again."""
    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    (folder / "SHA256SUMS").write_text("".join(lines))


def change(folder: Path, edit) -> None:
    """Edit ``dossier.json``, and make tables and sums fit."""
    value = json.loads((folder / "dossier.json").read_text())
    edit(value)
    write_json(folder / "dossier.json", value)
    for name, text in publish.tables(value).items():
        (folder / name).write_text(text)
    refresh_sums(folder)
