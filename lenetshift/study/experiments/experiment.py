"""What an experiment is: its runs, its figure, and the parts of claims that it decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .criteria import Part
from .runs import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Experiment:
    """A question with its runs.

    Attributes:
        name: of small letters and _; a part of file names.
        runs: its runs for some seeds, all of them or those of a quick look.
        draw: draws its figure from what ``dossier.json`` holds.
        shows: what the figure shows, for readers who cannot see it.
        parts: of the claims that it decides.
        more_runs: what a thorough study does besides, for some seeds.
    """

    name: str
    runs: Callable[[Sequence[int], bool], list[Run]]
    draw: Callable[[Mapping[str, Any]], Figure]
    shows: str
    parts: tuple[Part, ...] = ()
    more_runs: Callable[[Sequence[int]], list[Run]] | None = None
