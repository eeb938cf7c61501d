"""Builds of the emulation for tests: of the sources, and of copies of them that differ in some texts."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path

from .emulator import CUDA, Emulator

folder = tempfile.TemporaryDirectory(prefix="lenetshift_emulation_")
"""Where they lie; it goes with the process."""


@functools.cache
def emulator(build: str) -> Emulator:
    """The sources as they are."""
    return Emulator(Path(folder.name), build)


def changed(target: Path, changes: dict[str, tuple[str, str]], *units: str) -> list[Path]:
    """CUDA files in a copy of csrc in which a text of some files is replaced."""
    shutil.copytree(CUDA.parent, target / "csrc")
    for name, (text, replacement) in changes.items():
        file = target / "csrc" / "cuda" / name
        source = file.read_text()
        assert text in source, f"{name} no longer has {text!r}"
        file.write_text(source.replace(text, replacement))
    return [target / "csrc" / "cuda" / unit for unit in units]
