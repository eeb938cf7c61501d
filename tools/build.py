"""What the tools share: a temporary folder, running commands, building the core of some sources."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PYTEST = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider")
"""Arguments of Python that run tests until the first fails."""


class FailedError(Exception):
    """A command failed, and the text is its output; or its results differ."""


def in_scratch(work: Callable[[Path], int | None]) -> int:
    """Work in a temporary folder; returns the exit status, 1 with the end of the text on a FailedError."""
    try:
        with tempfile.TemporaryDirectory(prefix="lenetshift_") as scratch:
            return work(Path(scratch).resolve()) or 0
    except FailedError as error:
        print(str(error)[-6000:], file=sys.stderr)
        return 1


def run(command: list[str], cwd: Path, variables: dict[str, str] | None = None) -> str:
    """The standard output of a command; FailedError with all of its output if it fails."""
    done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True)
    if done.returncode:
        output = done.stdout + done.stderr
        raise FailedError(f"{' '.join(command[:6])} ...: status {done.returncode}\n{output}")
    return done.stdout


def configure(source: Path, folder: Path, *options: str) -> None:
    """Prepare a build folder for the core of some sources, for this Python, without CUDA."""
    version = re.search(r'__version__ = "(.*)"', (source / "lenetshift/version.py").read_text())
    assert version is not None
    cmakedir = run([sys.executable, "-m", "pybind11", "--cmakedir"], ROOT).strip()
    run(
        ["cmake", "-G", "Ninja", "-S", str(source), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release",
         "-DLENETSHIFT_CUDA=OFF", f"-DSKBUILD_PROJECT_VERSION={version[1]}",
         f"-Dpybind11_DIR={cmakedir}", f"-DPython_EXECUTABLE={sys.executable}", *options],
        source,
    )  # fmt: skip


def compile_core(source: Path, folder: Path) -> None:
    """Build the core of a copy of the repository, and put it into the copy's package."""
    configure(source, folder)
    run(["cmake", "--build", str(folder), "--target", "_core"], source)
    for old in (source / "lenetshift").glob("_core*"):
        old.unlink()
    for core in folder.glob("_core*.so"):
        shutil.copy(core, source / "lenetshift")


def replace(file: Path, text: str, planted: str) -> None:
    """Replace the first occurrence of a text in a file; FailedError if there is none."""
    contents = file.read_text()
    if text not in contents:
        raise FailedError(f"{file.name} no longer has {text!r}")
    file.write_text(contents.replace(text, planted, 1))


def path_of_test(name: str) -> str:
    """The path of a test file from the folder ``tests``, such as ``ops/test_isa.py``."""
    (path,) = (ROOT / "tests").rglob(name)
    return path.relative_to(ROOT / "tests").as_posix()
