"""Builds the CUDA sources as plain C++ and runs their ops on numpy arrays."""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CUDA = ROOT / "csrc" / "cuda"
CALLS = sorted(HERE.glob("*_calls.cpp"))

#: What each build finds: accesses beyond an array and undefined behaviour; races.
BUILDS = {
    "address": ("-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "thread": ("-g1", "-fsanitize=thread"),
}


class EmulationError(RuntimeError):
    """The emulated program ended with an error; the text is what it wrote."""


def compiler() -> str | None:
    """The C++ compiler, or None. The sanitizers of clang would work, but its fibres are untested."""
    return shutil.which(os.environ.get("CXX", "g++"))


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EmulationError(done.stderr)
    return done.stdout


_objects = tempfile.TemporaryDirectory(prefix="lenetshift_emulation_")


@functools.cache
def _compiled(unit: Path, build: str, optimise: str) -> str:
    """The object file of a C++ or CUDA file; compiled once in a process."""
    flags = ["-std=c++17", "-DLENETSHIFT_CUDA_EMULATION", "-w", optimise, *BUILDS[build]]
    # A copy of csrc is complete.
    csrc = next((folder for folder in unit.parents if folder.name == "csrc"), CUDA.parent)
    include = [f"-I{HERE}", f"-I{csrc}"]
    handle, name = tempfile.mkstemp(".o", f"{build}_{unit.name}_", _objects.name)
    os.close(handle)
    _run(compiler() or "g++", *flags, *include, "-x", "c++", "-c", str(unit), "-o", name)
    return name


def sources(folder: Path = CUDA) -> list[Path]:
    """The CUDA files with kernels, in a folder and its subfolders."""
    return [file for file in sorted(folder.rglob("*.cu")) if file.name != "device.cu"]


class Emulator:
    """The program made of all kernels and their calls, in one of the builds.

    Args:
        folder: where the program is put.
        build: a name of BUILDS.
        changed: CUDA files in a copy of csrc, that replace those of the same name.
    """

    def __init__(self, folder: Path, build: str, changed: Sequence[Path] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.program = folder / build
        #: Of every launch so far: the kernel's address from the program's start, and the bytes of
        #: dynamic shared memory.
        self.launches: set[tuple[int, int]] = set()
        kept = [
            file
            for file in sources()
            if not any(other.match(f"csrc/cuda/{file.relative_to(CUDA)}") for other in changed)
        ]
        units = [(unit, build, "-O1") for unit in (*kept, *CALLS, HERE / "program.cpp")]
        # Changed files run only a few cases: compiling takes longer than running.
        units += [(unit, build, "-O0") for unit in changed]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda unit: _compiled(*unit), units))
        _run(compiler() or "g++", *BUILDS[build], *objects, "-o", str(self.program))
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(
        self,
        name: str,
        numbers: Sequence[int],
        arrays: Sequence[np.ndarray],
        reverse: bool = False,
        replays: int = 1,
    ) -> list[np.ndarray]:
        """Runs an op; returns the arrays as the op left them.

        Args:
            name: as in the files *_calls.cpp, which say what numbers and arrays it takes.
            numbers: its numbers.
            arrays: its arrays; their addresses' alignment is kept.
            reverse: the last blocks and threads come first.
            replays: how often the op's launches run, on the arrays as they then are.

        Raises:
            EmulationError: a sanitizer or the emulation stopped the program.
        """
        packed = [np.ascontiguousarray(array) for array in arrays]
        message = struct.pack("<qqq", reverse, replays, len(name)) + name.encode()
        message += struct.pack(f"<{1 + len(numbers)}q", len(numbers), *numbers)
        message += struct.pack("<q", len(packed))
        message += b"".join(
            struct.pack("<qq", array.ctypes.data % 16, array.nbytes) + array.tobytes()
            for array in packed
        )
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(message)
        process.stdin.flush()
        results = []
        for array in packed:
            part = np.frombuffer(self._read(array.nbytes), array.dtype)
            results.append(part.reshape(array.shape).copy())
        (n_launches,) = struct.unpack("<q", self._read(8))
        self.launches.update(struct.iter_unpack("<qq", self._read(16 * n_launches)))
        return results

    def kernels(self) -> set[tuple[str, int]]:
        """The kernels launched so far, demangled, and their bytes of dynamic shared memory."""
        names = {at: name for at, _, _, name in self._symbols}
        return {(names[at], shared) for at, shared in self.launches}

    @functools.cached_property
    def _symbols(self) -> list[tuple[int, int, str, str]]:
        """The program's: address from its start, bytes, nm's type, demangled name."""
        symbols = re.findall(
            r"^(\w+)(?: (\w+))? (\w) (.*)$", _run("nm", "-CS", str(self.program)), re.M
        )
        start = next(int(at, 16) for at, *_, name in symbols if name == "__executable_start")
        return [
            (int(at, 16) - start, int(size or "0", 16), kind, name)
            for at, size, kind, name in symbols
        ]

    def _start(self) -> subprocess.Popen[bytes]:
        """Starts the program, which then takes one call after the other."""
        # ThreadSanitizer does not run if the kernel randomizes addresses too much.
        fixed = ["setarch", "-R"] if shutil.which("setarch") else []
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  it ends with this object
        self._process = subprocess.Popen(
            [*fixed, str(self.program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=os.environ | {"TSAN_OPTIONS": "halt_on_error=1"},
        )
        atexit.register(self._process.communicate)  # it ends with its input
        # Of the kernels' variables only shared arrays are static.
        static = [
            (at, size)
            for at, size, kind, name in self._symbols
            if kind in "bd" and re.fullmatch(r"lenetshift::cuda::.*\)::\w+", name)
        ]
        numbers = [len(static), *(number for array in static for number in array)]
        assert self._process.stdin is not None
        self._process.stdin.write(struct.pack(f"<{len(numbers)}q", *numbers))
        return self._process

    def _read(self, n_bytes: int) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        answer = self._process.stdout.read(n_bytes)
        if len(answer) == n_bytes:
            return answer
        self._process.wait()
        self._process = None
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")
        raise EmulationError(said or "the program crashed")
