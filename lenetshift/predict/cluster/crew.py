"""The workers of a cluster that can be used.

A worker with another version of lenetshift or PyTorch, another instruction set or other data would give
other answers: it is given no work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...checks.errors import ClusterError
from .connection import PATIENCE

if TYPE_CHECKING:
    from ..progress import Reporter

LOOK = 2.0
"""Seconds between two checks of which workers there are."""

Ground = Callable[[], Mapping[str, Any]]
"""What decides answers besides the work itself, asked in the process whose ground it is."""


class Crew:
    """The workers that are used: those on the same ground as this process.

    Args:
        client: of the scheduler.
        ground: is run on each worker, and must be the same there as ``expected``.
        reporter: told about each worker that is not used.
        patience: seconds to wait for a worker if there is none.
        advice: what to do if none comes, the end of a sentence; may be empty.
    """

    def __init__(
        self,
        client: Any,
        ground: Ground,
        expected: Mapping[str, Any],
        reporter: Reporter,
        patience: float = PATIENCE,
        advice: str = "",
    ) -> None:
        self._client, self._ground, self._expected = client, ground, expected
        self._patience, self._reporter, self._advice = patience, reporter, advice
        self._checked: dict[str, bool] = {}  # address -> whether it is fit

    def fit_workers(self) -> Mapping[str, int]:
        """Address -> number of threads of the workers that are there now; each is checked once.

        Raises:
            ClusterError: there was none for the patience's seconds.
            ConnectionError: the scheduler is gone.
        """
        deadline = time.monotonic() + self._patience
        while True:
            # A client that has lost its scheduler tries to reconnect, but has cancelled what it submitted.
            is_there = self._client.status == "running"
            present = is_there and self._client.scheduler_info(n_workers=-1).get("workers")
            if not isinstance(present, Mapping):
                raise ConnectionError("the scheduler is gone")
            for address in present:
                if address not in self._checked:
                    self._checked[address] = self._is_fit(address)
            fit = {a: int(w["nthreads"]) for a, w in present.items() if self._checked[a]}
            if fit:
                return fit
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"the cluster has no worker that can be used ({len(present)} others){self._advice}"
                )
            time.sleep(min(LOOK, self._patience / 10))

    def leave_out(self, address: str, reason: str) -> None:
        """Use a worker no longer, and report why."""
        if self._checked.get(address, True):
            self._reporter.line(f"worker {address} is not used: {reason}")
        self._checked[address] = False

    def _is_fit(self, address: str) -> bool:
        """Whether a worker is on the same ground; if not, the reason is reported."""
        try:
            answer = self._client.run(self._ground, workers=[address])
        except Exception as error:  # whatever importing or reading raises over there
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self.leave_out(address, first)
            return False
        if address not in answer:  # it went away meanwhile
            return False
        for name, expected in self._expected.items():
            got = answer[address].get(name)
            if got != expected:
                self.leave_out(address, f"{name}: got {got}, expected {expected}")
                return False
        return True
