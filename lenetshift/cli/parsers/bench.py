"""The options of ``lenetshift bench``."""

from __future__ import annotations

import argparse

from ...models.table import BIASED
from ..words import MODELS
from . import add_device, add_json, add_threads, names_of

NETWORKS = tuple(name for name in MODELS if name != BIASED)

DESCRIPTION = (
    "Measure on this machine how fast the four models answer the report's 55 shifts: by this package, "
    "and by plain PyTorch on images that are moved before its time. Both give the same answers, which is "
    "checked first. A few seconds; benchmarks/ in the repository has the full measurements, with more "
    "peers."
)
EXAMPLE = "bench --models lenet5 --json"
STATUS = (
    "Exit status: 0 done, 2 not possible as asked, or the answers differ (one line says why), "
    "130 interrupted"
)


def add_arguments(made: argparse.ArgumentParser) -> None:
    """Its options."""
    made.add_argument(
        "--models", nargs="+", type=_names, default=[NETWORKS], metavar="NAME",
        help=f"some of {', '.join(NETWORKS)}, separated by spaces or commas (default: all)",
    )  # fmt: skip
    add_device(made)
    add_threads(made)
    add_json(made, "machine, times and ratios")


def _names(text: str) -> tuple[str, ...]:
    return names_of(NETWORKS, text)
