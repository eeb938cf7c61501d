"""How a long job reports: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TextIO

from ..checks.text import one_line


class Reporter(Protocol):
    """What a long job reports its progress to."""

    def stage(self, name: str) -> None:
        """Report what is being done now."""

    def advance(self, units: float) -> None:
        """Count finished units of work."""

    def line(self, text: str) -> None:
        """Report a finished stage."""


class Progress:
    """One bar over the whole job on a terminal, with a line above it per finished stage.

    Anywhere else (a pipe, a file) there are the lines only, without carriage returns. A stream that
    cannot be written to, or no longer, costs what would have been said there, and not the job.

    Args:
        total: units of work in the whole job; None where nobody knows.
        stream: where to report; by default standard error.
        shown: whether there is a bar at all.
    """

    def __init__(
        self, total: float | None, stream: TextIO | None = None, *, shown: bool = True
    ) -> None:
        """Start reporting."""
        self._stream = sys.stderr if stream is None else stream  # None where it is closed
        self._bar: Any = None
        if shown and _is_terminal(self._stream):
            from tqdm import tqdm  # type: ignore[import-untyped]

            layout = "{l_bar}{bar}| {elapsed} < {remaining}"
            with contextlib.suppress(OSError, ValueError):
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
        self._draw(lambda bar: bar.close())

    def stage(self, name: str) -> None:
        """Say what is being done now (on the bar only)."""
        self._draw(lambda bar: bar.set_description(name))

    def advance(self, units: float) -> None:
        """Count finished units of work (on the bar only)."""
        self._draw(lambda bar: bar.update(units))

    def line(self, text: str) -> None:
        """Report a finished stage on a line of its own."""
        shown = one_line(text)
        if self._bar is not None:
            self._draw(lambda bar: bar.write(shown, file=self._stream))
        elif self._stream is not None:  # print would take standard output in its place
            with contextlib.suppress(AttributeError, OSError, ValueError):
                self._stream.write(f"{shown}\n")
                self._stream.flush()

    def _draw(self, draw: Callable[[Any], object]) -> None:
        """Change the bar, if there is one still: its terminal may be gone."""
        if self._bar is None:
            return
        try:
            draw(self._bar)
        except (OSError, ValueError):
            self._bar.disable = True  # or it would be closed, and fail, when it is collected
            self._bar = None


def _is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal: not where it is closed, nor where something without the methods of a
    stream stands in its place."""
    try:
        return bool(stream.isatty())
    except (AttributeError, OSError, ValueError):
        return False
