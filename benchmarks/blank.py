"""What is blank in all images of a group, which the perceptrons' CUDA kernels leave out.

    python benchmarks/blank.py

Prints the numbers of it in csrc/cuda/README.md: inked cells of an image's group, which the MLP in tiles
multiplies, and inked windows under the 55 shifts, which the pooled MLP does; on average over MNIST's test
images, in their own order and sorted by the box of their ink.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import lenetshift
from lenetshift import ShiftGrid

SIDE = 28
POOL = 4
CELL = 3
"""The side of a cell of the MLP, in pixels."""

Mask = NDArray[np.bool_]


def main() -> None:
    """Print both tables."""
    ink = lenetshift.load_mnist()[1].images.numpy() > 0
    orders = {
        "unsorted": np.arange(len(ink)),
        f"sorted in cells of {CELL}": order(ink, CELL),
        "sorted in pixels": order(ink, 1),
    }
    for what, inked, sizes in (
        (f"cells of {CELL} x {CELL} pixels", inked_cells(ink), (1, 32)),
        (f"windows of {POOL} x {POOL} pixels under 55 shifts", inked_windows(ink), (8, 32, 128)),
    ):
        print(f"{what}, on average with ink in an image of a group")
        print(f"{'images in a group':26}" + "".join(f"{size:8}" for size in sizes))
        for name, places in orders.items():
            counts = [groups(inked[places], size).sum(-1).mean() for size in sizes]
            print(f"{name:26}" + "".join(f"{count:8.1f}" for count in counts))


def order(ink: Mask, side: int) -> NDArray[np.intp]:
    """The images by the first and last column, then row, that have ink, in cells of side x side pixels."""
    keys = []
    for lines in (ink.any(1), ink.any(2)):
        keys += [lines.argmax(1) // side, (SIDE - 1 - lines[:, ::-1].argmax(1)) // side]
    return np.lexsort(keys[::-1])


def inked_cells(ink: Mask) -> Mask:
    """[images, cells]: which have ink."""
    n = -(-SIDE // CELL)
    padded = np.pad(ink, ((0, 0), (0, n * CELL - SIDE), (0, n * CELL - SIDE)))
    return padded.reshape(len(ink), n, CELL, n, CELL).any((2, 4)).reshape(len(ink), -1)


def inked_windows(ink: Mask) -> Mask:
    """[images, shifts, windows]: which of the windows that a shift reads have ink."""
    padded = np.pad(ink, ((0, 0), (SIDE, SIDE), (SIDE, SIDE)))
    read = []
    for dx, dy in ShiftGrid().shifts().tolist():
        moved = padded[:, SIDE - dy : 2 * SIDE - dy, SIDE - dx : 2 * SIDE - dx]
        pooled = moved.reshape(len(ink), SIDE // POOL, POOL, SIDE // POOL, POOL)
        read.append(pooled.any((2, 4)).reshape(len(ink), -1))
    return np.stack(read, 1)


def groups(inked: Mask, size: int) -> Mask:
    """Which have ink in any image of a group; a last group may be smaller."""
    return np.logical_or.reduceat(inked, np.arange(0, len(inked), size))


if __name__ == "__main__":
    main()
