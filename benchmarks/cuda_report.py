"""What the compiler says of the CUDA kernels, as a markdown table: no card is needed.

``python benchmarks/cuda_report.py [--architectures 75 90 ...] [FILE.cu ...]``

Registers, spills (bytes stored and loaded), shared memory, and the theoretical occupancy: the share
of a multiprocessor's warps that can be resident at once, and what limits it. Exits with 1 where a
kernel spills. As in the build, every architecture's code is made of PTX of 7.5.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

CUDA = Path(__file__).resolve().parents[1] / "csrc" / "cuda"

# Dynamic shared memory, which the compiler does not know, by what a kernel's name begins with; for
# LeNet-5's sizes and the default 5 x 11 shifts. EMULATION_LAUNCHES=1 makes the emulated kernels
# print theirs (tests/cuda_emulation/emulation.h).
DYNAMIC_SHARED = {
    "c3_convolve<float, Tile<5": 30672,
    "c3_convolve<float, Tile<7": 20256,
    "c3_convolve<double, Tile<5": 40896,
    "c3_convolve<double, Tile<7": 27008,
    "c3_grad_weight<float": 25272,
    "c3_grad_weight<double": 50544,
    "lenet5_s4": 64912,
    "lenet5_answers": 65472,
    "lenet5_gradients": 43632,
    "gather_pixels": 25216,
    "sum_windows": 25216,
    "perceptron_answers<MlpModel": 41024,
    "perceptron_answers<PooledMlpModel": 38144,
}


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
        """The share of the warps that can be resident, and what limits it."""
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


@dataclass(frozen=True)
class Kernel:
    """One kernel's line in the compiler's report."""

    name: str
    threads: int
    registers: int
    spilled: int
    shared: int


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout + done.stderr


def short_name(symbol: str) -> str:
    """Demangled, without namespaces and parameters."""
    name = run("c++filt", symbol).strip()
    name = name.replace("(anonymous namespace)::", "").replace("lenetshift::cuda::", "")
    name = name.removeprefix("void ")
    depth = 0
    for i, character in enumerate(name):
        depth += (character == "<") - (character == ">")
        if character == "(" and depth == 0:
            return name[:i]
    return name


def ptx_of(source: Path) -> str:
    """The device code as the build embeds it."""
    with tempfile.TemporaryDirectory() as folder:
        ptx = Path(folder) / "kernels.ptx"
        run("nvcc", "-std=c++17", "-arch=compute_75", "-ptx", str(source), "-o", str(ptx))
        return ptx.read_text()


def kernels_of(ptx: str, architecture: int) -> list[Kernel]:
    """Assembles for an architecture and reads what ptxas says."""
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
        spills = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", part)
        registers, shared = (
            re.search(r"Used (\d+) registers", part),
            re.search(r"(\d+) bytes smem", part),
        )
        if spills is None or registers is None:
            raise RuntimeError(f"ptxas: expected registers and spills of {symbol}, got {part!r}")
        name = short_name(symbol)
        dynamic = sum(n for start, n in DYNAMIC_SHARED.items() if name.startswith(start))
        kernels.append(
            Kernel(
                name,
                threads.get(symbol, 256),
                int(registers[1]),
                int(spills[1]) + int(spills[2]),
                (int(shared[1]) if shared else 0) + dynamic,
            )
        )
    return sorted(kernels, key=lambda kernel: kernel.name)


def report(sources: Iterable[Path], architectures: Sequence[int]) -> tuple[str, bool]:
    """The table, and whether any kernel spills."""
    lines = [
        "| file | kernel | architecture | threads | registers | spilled bytes | shared bytes | "
        "occupancy | limited by |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    spills = False
    for source in sources:
        ptx = ptx_of(source)
        for architecture in architectures:
            for k in kernels_of(ptx, architecture):
                spills = spills or k.spilled > 0
                share, limit = MULTIPROCESSORS[architecture].occupancy(
                    k.threads, k.registers, k.shared
                )
                lines.append(
                    f"| {source.name} | `{k.name}` | {architecture} | {k.threads} | {k.registers} "
                    f"| {k.spilled} | {k.shared} | {share:.0%} | {limit} |"
                )
    return "\n".join(lines), spills


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", type=Path, help="CUDA files; default: all")
    parser.add_argument(
        "--architectures", nargs="+", type=int, default=[75, 80, 86, 90, 100, 120],
        choices=sorted(MULTIPROCESSORS), metavar="SM",
    )  # fmt: skip
    arguments = parser.parse_args()
    missing = [tool for tool in ("nvcc", "ptxas", "c++filt") if shutil.which(tool) is None]
    if missing:
        parser.error(f"not on PATH: {', '.join(missing)}")
    table, spills = report(arguments.sources or sorted(CUDA.glob("*.cu")), arguments.architectures)
    print(table)
    return 1 if spills else 0


if __name__ == "__main__":
    sys.exit(main())
