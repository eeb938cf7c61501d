"""Whether an evaluation's memory depends on the number of images: the peak of a process that evaluates 2,000
generated images of 3 x 224 x 224, and of one that evaluates 20,000, read one by one.

``python tools/stress/many_images.py`` prints both, and exits with 1 if they differ by more than 5 %.
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

ROOT = Path(__file__).parents[2]
SIZE, MOST = (224, 224, 3), 1.05


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
    """Evaluate n images with a tiny network, and print the process's peak memory in MiB."""
    torch.set_num_threads(1)  # threads that wait for each other take longer on a busy machine
    model = nn.Sequential(nn.AvgPool2d(32, 32), nn.Flatten(), nn.Linear(147, 4))
    grid = lenetshift.ShiftGrid(range(-1, 2), range(-1, 2))
    lenetshift.evaluate_shifts(model, lenetshift.open_data(Generated(n)), grid=grid)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def peak(n: int) -> float:
    """The peak memory in MiB of a process that evaluates n images."""
    command = [sys.executable, __file__, "--evaluate", str(n)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def main() -> int:
    """Measure, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=int, nargs=2, default=[2_000, 20_000], metavar="N")
    parser.add_argument("--evaluate", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.evaluate is not None:
        evaluate(args.evaluate)
        return 0
    peaks = [peak(n) for n in args.images]
    for n, mebibytes in zip(args.images, peaks, strict=True):
        print(f"{n:,} images: {mebibytes:,.0f} MiB")
    print(f"{peaks[1] / peaks[0]:.3f} x, at most {MOST} x allowed")
    return int(peaks[1] > MOST * peaks[0])


if __name__ == "__main__":
    sys.exit(main())
