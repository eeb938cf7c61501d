"""How a long job reports: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, TextIO


class Progress:
    """One bar over the whole job on a terminal, with a line above it per finished stage.

    Anywhere else (a pipe, a file) there are the lines only, without carriage returns.

    Args:
        total: units of work in the whole job; None where nobody knows.
        stream: where to report; by default standard error.
        shown: whether there is a bar at all.
    """

    def __init__(
        self, total: float | None, stream: TextIO | None = None, *, shown: bool = True
    ) -> None:
        """Start reporting."""
        self._stream = sys.stderr if stream is None else stream
        self._bar: Any = None
        if shown and self._stream is not None and self._stream.isatty():
            from tqdm import tqdm  # type: ignore[import-untyped]

            layout = "{l_bar}{bar}| {elapsed} < {remaining}"
            self._bar = tqdm(total=total, file=self._stream, leave=False, bar_format=layout)

    def __enter__(self) -> Progress:
        """The progress itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away, whatever happened."""
        if self._bar is not None:
            self._bar.close()

    def stage(self, name: str) -> None:
        """Say what is being done now (on the bar only)."""
        if self._bar is not None:
            self._bar.set_description(name)

    def advance(self, units: float) -> None:
        """Count finished units of work (on the bar only)."""
        if self._bar is not None:
            self._bar.update(units)

    def line(self, text: str) -> None:
        """Report a finished stage on a line of its own."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)
