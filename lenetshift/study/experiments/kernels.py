"""Claim 1: is LeNet-5 more robust to movement with larger kernels?

What is varied: the side of C1's and C3's kernels, 3, 5, 7 and 9 pixels, with borders such that all maps keep
their sizes. What is measured: accuracy over all patterns, and against dx. What decides: the largest kernels
less the smallest, in points. Whether robustness ends where the kernel does is not tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .convolution import lost_at
from .criteria import ROBUSTNESS, Part, larger, looks, of
from .drawing import against_dx, legend_above, page, rows_of
from .experiment import Experiment
from .runs import Run, per_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NETWORKS = {3: "lenet5_kernel_3", 5: "lenet5", 7: "lenet5_kernel_7", 9: "lenet5_kernel_9"}
"""Side of the kernels -> network."""


def runs(seeds: Sequence[int], quick: bool = False) -> list[Run]:
    """Each network on centred images."""
    return per_seed(seeds, [Run("kernels", name, 0, name) for name in NETWORKS.values()])


def draw(value: Mapping[str, Any]) -> Figure:
    """Accuracy against dx, a line for each size of the kernels."""
    figure, (axes,) = page(
        "Are larger kernels more robust to movement?",
        "accuracy after 2 epochs, dy = 0; bands: 95 % over seeds",
        1,
    )
    rows = rows_of(value, "kernels")
    of_sizes = {f"kernels of {k} x {k}": rows[name, 2] for k, name in NETWORKS.items()}
    against_dx(axes, "", of_sizes, "")
    axes.set_ylabel("accuracy, per cent")
    legend_above(figure, axes, 2)
    return figure


EXPERIMENT = Experiment(
    "kernels",
    runs,
    draw,
    "Accuracy against dx for LeNet-5 with kernels of 3, 5, 7 and 9 pixels a side",
    (
        Part(
            1,
            "larger kernels help",
            "With larger kernels LeNet-5 is more robust to movement.",
            "LeNet-5 with kernels of 9 pixels a side less LeNet-5 with kernels of 3",
            larger(of("lenet5_kernel_9"), of("lenet5_kernel_3")),
            looks((2,), *ROBUSTNESS),
            known=False,
        ),
        Part(
            1,
            "larger kernels, small shifts",
            "The same at half of LeNet-5's kernel.",
            "points lost at |dx| = 2, dy = 0: LeNet-5 with kernels of 3 pixels a side less with kernels of 9",
            larger(lost_at("lenet5_kernel_3", 2), lost_at("lenet5_kernel_9", 2)),
            looks((2,), "lost at 2 pixels"),
            known=False,
        ),
    ),
)
