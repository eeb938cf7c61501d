"""What an evaluation costs on an H100, counted: multiply-adds, activations, bytes, launches, copies,
time.

``python benchmarks/cuda_estimate.py`` prints the table of csrc/cuda/README.md. Nothing is timed and
no card is needed. 10,000 images of MNIST, 11 x 5 shifts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

import lenetshift

N, N_DX, N_DY = 10_000, 11, 5
SHIFTS = N_DX * N_DY
CHUNK_BYTES, GROUP = 256 << 20, 128  # csrc/cuda/math/fused_device.h, perceptron/predict.h

# NVIDIA H100 SXM: 132 multiprocessors x 128 lanes at 1.75 GHz, memory.
MULTIPLY_ADDS_PER_S = 132 * 128 * 1.75e9
BYTES_PER_S = 3.35e12
# Float32 products from registers usually reach this share of the peak.
SHARE = (0.75, 0.55)
ACTIVATION = 14  # instructions
LAUNCH_S = 5e-6
COPY_BYTES_PER_S = 12e9  # PCIe 5.0, from and to memory that is not pinned
COPY_S = N * (784 + SHIFTS) / COPY_BYTES_PER_S  # images up, predictions down


@dataclass(frozen=True)
class Cost:
    """An evaluation's cost."""

    name: str
    multiply_adds: float
    activations: float
    n_bytes: float
    launches: int

    def seconds(self, share: float) -> float:
        """Arithmetic, activations, memory, launches and copies one after the other."""
        instructions = self.multiply_adds / share + ACTIVATION * self.activations
        return (
            instructions / MULTIPLY_ADDS_PER_S
            + self.n_bytes / BYTES_PER_S
            + LAUNCH_S * self.launches
            + COPY_S
        )


def lossy_shifts(has_ink: Tensor, n: int) -> Tensor:
    """How many of n shifts, -(n // 2) ... n // 2, push ink out of the frame: has_ink [N, 28]."""
    first = has_ink.int().argmax(1)
    margin = torch.stack([first, has_ink.flip(1).int().argmax(1)])
    return (n // 2 - margin).clamp(min=0).sum(0).double()


def lenet5(name: str, connections: int) -> Cost:
    """C1 to S4 once for each image on its canvas, C5 to the answer once for each pattern
    (csrc/cuda/lenet5/canvas.h)."""
    ink = lenetshift.load_mnist()[1].images != 0
    x, y = lossy_shifts(ink.any(1), N_DX), lossy_shifts(ink.any(2), N_DY)  # edge lines of an image
    c1, c3 = 32 * 38, 23 * 29
    # S2 on edge lines takes four positions of C1; C3 on edge columns all 96 connections.
    s2_edges = float((x * (31 + y) + y * 37).mean())
    c3_columns, c3_rows = float((x * (23 + y)).mean()), float((y * 29).mean())
    s4 = float(((21 + y) * (27 + x)).mean())
    positions = c1 + 4 * s2_edges
    image = positions * 25 * 6 + (c3 + c3_rows) * 25 * connections + c3_columns * 25 * 96
    pattern = 48_000 + 10_080 + 840
    chunks = math.ceil(N / (CHUNK_BYTES // (16 * 26 * 38 * 4)))
    return Cost(
        name,
        N * (image + SHIFTS * pattern),
        N * (6 * positions + 16 * (c3 + c3_rows + c3_columns) + SHIFTS * (120 + 84)),
        N * (784 + 2 * 16 * s4 * 4 + SHIFTS),
        1 + 2 * chunks,
    )


def inked_pixels() -> float:
    """Pixels with ink in some image of a sharing group, the mean over groups."""
    images = lenetshift.load_mnist()[1].images.flatten(1)
    inked = [float((group != 0).any(0).sum()) for group in torch.split(images, GROUP)]
    return sum(inked) / math.ceil(N / GROUP)


def perceptron(name: str, terms: float, value_rows: float, launches: int) -> Cost:
    """Padded to 128 images; value_rows: rows of a sharing group's values, written and read once."""
    images = math.ceil(N / GROUP) * GROUP
    return Cost(
        name,
        images * SHIFTS * 512 * (math.ceil(terms / 16) * 16 + 10),
        images * SHIFTS * 512,
        N * (784 + SHIFTS) + 2 * 4 * images * value_rows,
        launches,
    )


def main() -> None:
    inked = inked_pixels()
    costs = [
        lenet5("Model 0, LeNet-5", 60),
        lenet5("Model 2, symmetric LeNet-5", 96),
        perceptron("Model 1, MLP", inked, inked, 4),
        perceptron("Model 3, pooled MLP", 49, 31 * 31 + 1, 3),
    ]
    print("| | multiply-adds | activations | memory traffic | launches | time, estimated |")
    print("|---|---:|---:|---:|---:|---:|")
    for cost in costs:
        best, worst = (cost.seconds(share) * 1e3 for share in SHARE)
        print(
            f"| {cost.name} | {cost.multiply_adds / 1e9:.1f} G | {cost.activations / 1e9:.2f} G "
            f"| {cost.n_bytes / 1e9:.2f} GB | {cost.launches} | {best:.1f} to {worst:.1f} ms |"
        )
    print(f"\nCopies: {COPY_S * 1e3:.1f} ms of each.")
    print(f"Inked pixels of a sharing group of {GROUP} images, mean: {inked:.0f} of 784.")


if __name__ == "__main__":
    main()
