"""The compiler's report on the CUDA kernels, as a Markdown table. It needs no card.

``python benchmarks/cuda_report.py [--architectures 75 90 ...]``

Registers, local memory (stack frames, and spills stored and loaded), shared memory, and the
theoretical occupancy: the share of a multiprocessor's warps that can be resident at once, and what
limits it. Exits with status 1 if a kernel uses local memory, is not bounded to the threads that a block
has, or is unknown to the table of dynamic shared memory. As in the build, every architecture's code
is made of PTX of 7.5.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CUDA = Path(__file__).resolve().parents[1] / "csrc" / "cuda"

THREADS = 256  # of a block: kThreads in csrc/cuda/device.h
MORE_THREADS = {"lenet5_gradients": 512}  # launch<n>: kernel -> n

# Dynamic shared memory, which the compiler does not know, by what the kernels' names begin with.
# tests/ops/test_cuda_report.py compares it with what the emulated kernels are launched with.
DYNAMIC_SHARED = {
    "c3_convolve<float, PatchShape<5": 30672,
    "c3_convolve<float, PatchShape<7": 20256,
    "c3_convolve<double, PatchShape<5": 40896,
    "c3_convolve<double, PatchShape<7": 27008,
    "c3_grad_weight<float": 25272,
    "c3_grad_weight<double": 50544,
    "c3_lenet5_output<1, 1>": 18672,
    "c3_lenet5_output<5, 8>": 61312,
    "c3_lenet5_gradients<1>": 27776,
    "c3_lenet5_gradients<4>": 61184,
    "c3_sum_slots<": 0,
    "shift_each_runs<": 0,
    "translate_runs<": 0,
    "translate_gradient<": 0,
    "pack_lenet5": 0,
    "lenet5_s4<": 64912,
    "lenet5_answers": 65472,
    "list_ink": 0,
    "gather_pixels": 25216,
    "sum_windows": 25216,
    "pack_perceptron": 0,
    "perceptron_answers": 41024,
    "ink_boxes": 0,
    "place_images": 0,
    "pixels_at_points": 25216,
    "weights_at_points": 0,
    "sums_of_cells": 57552,
    "answers_of_tile": 0,
    "pack_strips": 0,
    "answers_of_items": 58496,
    "lenet5_gradients": 57592,
    "lenet5_update": 0,
    "perceptron_hidden<": 0,
    "perceptron_output": 0,
    "perceptron_update<": 0,
}


def dynamic_shared(kernel: str) -> int:
    """The bytes that a kernel is launched with; RuntimeError if the table does not have it."""
    known = [n_bytes for start, n_bytes in DYNAMIC_SHARED.items() if kernel.startswith(start)]
    if len(known) != 1:
        raise RuntimeError(f"DYNAMIC_SHARED: {len(known)} entries for {kernel}, expected 1")
    return known[0]


@dataclass(frozen=True)
class Multiprocessor:
    """What the blocks on one multiprocessor share (CUDA C++ Programming Guide, compute
    capabilities): warps, blocks, bytes of shared memory. Each has 65536 registers, given to a warp
    by the 256, and each block costs 1024 bytes of shared memory from 8.0 on.
    """

    warps: int
    blocks: int
    shared: int
    shared_of_block: int = 1024

    def occupancy(self, threads: int, registers: int, shared: int) -> tuple[float, str]:
        """The share of warps that can be resident, and what limits it."""
        warps = -(-threads // 32)
        registers_of_warp = -(-registers * 32 // 256) * 256
        shared_of_block = -(-(shared + self.shared_of_block) // 128) * 128
        limits = {
            "warps": self.warps // warps,
            "blocks": self.blocks,
            "registers": 65536 // registers_of_warp // warps,
            "shared memory": self.shared // shared_of_block if shared_of_block else self.blocks,
        }
        limit = min(limits, key=lambda name: limits[name])
        return limits[limit] * warps / self.warps, limit


MULTIPROCESSORS = {
    75: Multiprocessor(32, 16, 64 << 10, 0),
    80: Multiprocessor(64, 32, 164 << 10),
    86: Multiprocessor(48, 16, 100 << 10),
    89: Multiprocessor(48, 24, 100 << 10),
    90: Multiprocessor(64, 32, 228 << 10),
    100: Multiprocessor(64, 32, 228 << 10),
    120: Multiprocessor(48, 24, 100 << 10),
}


MAY_SPILL = re.compile(r"(translate|shift_each)_runs<long,")
"""Kernels that may use local memory: those that count an image of more than 2^30 pixels in 64 bits
keep some registers there while they divide, which takes many instructions anyway."""


@dataclass(frozen=True)
class Kernel:
    """One kernel's line in the compiler's report."""

    name: str
    threads: int
    registers: int
    stack: int
    spilled: int
    shared: int


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout + done.stderr


def short_name(demangled: str) -> str:
    """A kernel's name without namespaces, result type and parameters."""
    name = re.sub(r"lenetshift::|cuda::|\(anonymous namespace\)::|^void ", "", demangled)
    depth = 0
    for i, character in enumerate(name):
        depth += (character == "<") - (character == ">")
        if character == "(" and depth == 0:
            return name[:i]
    return name


def ptx() -> str:
    """The device code as the build embeds it, all files in one unit."""
    with tempfile.TemporaryDirectory() as folder:
        unit, compiled = Path(folder) / "kernels.cu", Path(folder) / "kernels.ptx"
        unit.write_text("".join(f'#include "{file}"\n' for file in sorted(CUDA.rglob("*.cu"))))
        options = ("-std=c++17", f"-I{CUDA.parent}", "-arch=compute_75", "-ptx")
        run("nvcc", *options, str(unit), "-o", str(compiled))
        return compiled.read_text()


def files() -> dict[str, str]:
    """Kernel -> the file that defines it."""
    definition = re.compile(r"__global__ void\s+__launch_bounds__\([^)]*\)\s+(\w+)\(")
    return {
        kernel: str(file.relative_to(CUDA))
        for file in CUDA.rglob("*")
        if file.suffix in (".cu", ".h")
        for kernel in definition.findall(file.read_text())
    }


def kernels_of(ptx: str, architecture: int) -> list[Kernel]:
    """Assembles for an architecture and parses the output of ptxas."""
    with tempfile.TemporaryDirectory() as folder:
        source, cubin = Path(folder) / "kernels.ptx", Path(folder) / "kernels.cubin"
        source.write_text(ptx)
        said = run("ptxas", "-v", f"-arch=sm_{architecture}", str(source), "-o", str(cubin))
    threads = {
        symbol: int(count)
        for symbol, count in re.findall(r"\.entry (\w+)\([^)]*\)\s*\.maxntid (\d+)", ptx)
    }
    kernels = []
    for part in said.split("Compiling entry function '")[1:]:
        symbol = part.split("'", 1)[0]
        local = re.search(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part
        )
        registers = re.search(r"Used (\d+) registers", part)
        shared = re.search(r"(\d+) bytes smem", part)
        if local is None or registers is None:
            raise RuntimeError(f"ptxas: expected registers and spills of {symbol}, got {part!r}")
        name = short_name(run("c++filt", symbol).strip())
        kernels.append(
            Kernel(
                name,
                threads.get(symbol, 0),
                int(registers[1]),
                int(local[1]),
                int(local[2]) + int(local[3]),
                (int(shared[1]) if shared else 0) + dynamic_shared(name),
            )
        )
    return sorted(kernels, key=lambda kernel: kernel.name)


def report(architectures: Sequence[int]) -> tuple[str, list[str]]:
    """The table, and a list of faults."""
    lines = [
        "| file | kernel | architecture | registers | stack bytes | spilled bytes | shared bytes | "
        "occupancy | limited by |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    wrong, code, file_of = [], ptx(), files()
    for architecture in architectures:
        for k in kernels_of(code, architecture):
            if (k.stack or k.spilled) and not MAY_SPILL.match(k.name):
                wrong.append(f"{k.name} uses local memory on {architecture}")
            threads = MORE_THREADS.get(k.name, THREADS)
            if k.threads != threads:
                wrong.append(f"{k.name} is bounded to {k.threads} threads, expected {threads}")
            share, limit = MULTIPROCESSORS[architecture].occupancy(threads, k.registers, k.shared)
            lines.append(
                f"| {file_of[k.name.partition('<')[0]]} | `{k.name}` | {architecture} "
                f"| {k.registers} | {k.stack} | {k.spilled} | {k.shared} | {share:.0%} | {limit} |"
            )
    return "\n".join(lines), wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--architectures", nargs="+", type=int, default=[75, 80, 86, 90, 100, 120],
        choices=sorted(MULTIPROCESSORS), metavar="SM",
    )  # fmt: skip
    arguments = parser.parse_args()
    missing = [tool for tool in ("nvcc", "ptxas", "c++filt") if shutil.which(tool) is None]
    if missing:
        parser.error(f"not on PATH: {', '.join(missing)}")
    table, wrong = report(arguments.architectures)
    print(table)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
