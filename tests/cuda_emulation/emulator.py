"""Builds the CUDA sources as plain C++ and runs their ops on numpy arrays."""

from __future__ import annotations

import functools
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CUDA = ROOT / "csrc" / "cuda"

#: What a build is for: values; accesses beyond an array, and what C++ leaves undefined; races.
BUILDS = {
    "plain": ("-O1",),
    "address": ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "thread": ("-O1", "-g1", "-fsanitize=thread"),
}


class EmulationError(RuntimeError):
    """The emulated program ended with an error; the text is what it wrote."""


def compiler() -> str | None:
    """The C++ compiler, or None. clang's sanitizers would do, but its fibres are untested."""
    return shutil.which(os.environ.get("CXX", "g++"))


def _compile(arguments: Sequence[str]) -> None:
    command = [compiler() or "g++", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EmulationError(done.stderr)


_objects = tempfile.TemporaryDirectory(prefix="lenetshift_emulation_")


@functools.cache
def _compiled(unit: Path, build: str) -> Path:
    """The object file of a C++ or CUDA file; made once a process."""
    flags = ["-std=c++17", "-DLENETSHIFT_CUDA_EMULATION", "-w", *BUILDS[build]]
    include = [f"-I{HERE}", f"-I{CUDA}"]
    handle, name = tempfile.mkstemp(".o", f"{build}_{unit.name}_", _objects.name)
    os.close(handle)
    _compile([*flags, *include, "-x", "c++", "-c", str(unit), "-o", name])
    return Path(name)


class Emulator:
    """The program made of kernel sources and their calls, in one of the builds.

    Args:
        folder: where the program is put.
        build: a name of BUILDS.
        sources: CUDA files.
        calls: C++ files that register the ops of call.h.
    """

    def __init__(
        self, folder: Path, build: str, sources: Sequence[Path], calls: Sequence[Path]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.program = folder / build
        units = [*sources, *calls, HERE / "program.cpp"]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda unit: str(_compiled(unit, build)), units))
        _compile([*BUILDS[build], *objects, "-o", str(self.program)])

    def __call__(
        self,
        name: str,
        numbers: Sequence[int],
        arrays: Sequence[np.ndarray],
        order: str = "forward",
    ) -> list[np.ndarray]:
        """Runs an op; returns the arrays as the op left them.

        Raises:
            EmulationError: a sanitizer or the emulation stopped the program.
        """
        packed = [np.ascontiguousarray(array) for array in arrays]
        message = struct.pack("<q", len(name)) + name.encode()
        message += struct.pack(f"<{1 + len(numbers)}q", len(numbers), *numbers)
        message += struct.pack("<q", len(packed))
        message += b"".join(struct.pack("<q", a.nbytes) + a.tobytes() for a in packed)
        environment = os.environ | {"EMULATION_ORDER": order, "TSAN_OPTIONS": "halt_on_error=1"}
        # ThreadSanitizer does not run where the kernel lays out addresses too randomly.
        fixed = ["setarch", "-R"] if shutil.which("setarch") else []
        done = subprocess.run(
            [*fixed, str(self.program)],
            input=message,
            capture_output=True,
            env=environment,
            check=False,
        )
        if done.returncode != 0:
            raise EmulationError(done.stderr.decode(errors="replace"))
        results, at = [], 0
        for array in packed:
            part = np.frombuffer(done.stdout, array.dtype, array.size, at)
            results.append(part.reshape(array.shape).copy())
            at += array.nbytes
        return results
