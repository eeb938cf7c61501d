"""Whether an evaluation's memory depends on the number of images: a process evaluates 2,000 generated images
of 3 x 224 x 224, and another 20,000, read one by one.

``python tools/stress/many_images.py`` prints the peak of each, and what it holds in the end, after its heap
has been trimmed. It exits with 1 if the second holds 5 % more than the first, or if its peak is higher by
more than a heap may grow before it is trimmed (lenetshift/data/memory.py): where in its growth a heap is at
its largest is chance, and more images have more chances.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import lenetshift
from lenetshift.data import memory

ROOT = Path(__file__).parents[2]
SIZE, MOST, MEBIBYTE = (224, 224, 3), 1.05, 1 << 20


class Generated:
    """A data set of ``n`` images that are made when they are asked for."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        """The number of images."""
        return self.n

    def __getitem__(self, i: int) -> tuple[NDArray[np.uint8], int]:
        """An image and its label."""
        return np.full(SIZE, i % 251, np.uint8), i % 4


def evaluate(n: int) -> None:
    """Evaluate n images with a tiny network, and print the process's memory in MiB: its peak, and its end."""
    torch.set_num_threads(1)  # threads that wait for each other take longer on a busy machine
    model = nn.Sequential(nn.AvgPool2d(32, 32), nn.Flatten(), nn.Linear(147, 4))
    grid = lenetshift.ShiftGrid(range(-1, 2), range(-1, 2))
    evaluation = lenetshift.evaluate_shifts(model, lenetshift.open_data(Generated(n)), grid=grid)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    memory.trim_if_grown(0, always=True)
    print(peak, memory._resident() / MEBIBYTE)
    assert len(evaluation.predictions) == n  # the answers are part of what it holds


def peak_and_end(n: int) -> tuple[float, float]:
    """The memory in MiB of a process that evaluates n images: its peak, and its end."""
    command = [sys.executable, __file__, "--evaluate", str(n)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    peak, end = map(float, done.stdout.split())
    return peak, end


def main() -> int:
    """Measure, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=int, nargs=2, default=[2_000, 20_000], metavar="N")
    parser.add_argument("--evaluate", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.evaluate is not None:
        evaluate(args.evaluate)
        return 0
    memories = [peak_and_end(n) for n in args.images]
    for n, (peak, end) in zip(args.images, memories, strict=True):
        print(f"{n:,} images: at most {peak:,.0f} MiB, {end:,.0f} MiB in the end")
    (peak, end), (higher, later) = memories
    most = memory.MOST_GROWTH / MEBIBYTE
    print(f"the peak: {higher - peak:+.0f} MiB, at most {most:+.0f} allowed")
    print(f"the end: {later / end:.3f} x, at most {MOST} x allowed")
    return int(higher > peak + most or later > MOST * end)


if __name__ == "__main__":
    sys.exit(main())
