"""Measures that note what is read: the values of every seed that a verdict rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .criteria import Measures, Values

Key = tuple[str, str, int, str]
"""Experiment, setting, epochs and measure."""


class Recorded(Mapping[str, Measures]):
    """The measures of all experiments.

    Args:
        measures: experiment -> its measures.

    Attributes:
        read: what has been read so far.
    """

    def __init__(self, measures: Mapping[str, Measures]) -> None:
        self._measures = measures
        self.read: dict[Key, Values] = {}

    def __getitem__(self, experiment: str) -> Measures:
        """The measures of an experiment."""
        return _OfExperiment(self, experiment, self._measures[experiment])

    def __iter__(self) -> Iterator[str]:
        """The experiments' names."""
        return iter(self._measures)

    def __len__(self) -> int:
        """How many experiments there are."""
        return len(self._measures)

    def values_read(self, more: Iterable[Key] = ()) -> list[dict[str, Any]]:
        """What has been read, as a dossier holds it, in the order of its names.

        Args:
            more: what was read elsewhere.
        """
        for experiment, setting, epochs, measure in more:
            self[experiment][setting, epochs][measure]
        return [
            {"experiment": e, "setting": s, "epochs": n, "measure": m, "values": list(values)}
            for (e, s, n, m), values in sorted(self.read.items())
        ]


class _OfExperiment(Mapping[tuple[str, int], Mapping[str, Values]]):
    def __init__(self, all_measures: Recorded, experiment: str, measures: Measures) -> None:
        self._all, self._experiment, self._measures = all_measures, experiment, measures

    def __getitem__(self, key: tuple[str, int]) -> Mapping[str, Values]:
        return _OfSetting(self._all.read, (self._experiment, *key), self._measures[key])

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self._measures)

    def __len__(self) -> int:
        return len(self._measures)


class _OfSetting(Mapping[str, Values]):
    def __init__(
        self, read: dict[Key, Values], key: tuple[str, str, int], values: Mapping[str, Values]
    ) -> None:
        self._read, self._key, self._values = read, key, values

    def __getitem__(self, measure: str) -> Values:
        values = self._values[measure]
        experiment, setting, epochs = self._key
        self._read[experiment, setting, epochs, measure] = values
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
