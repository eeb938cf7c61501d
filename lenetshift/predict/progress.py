"""Progress of long jobs: a bar on a terminal, lines anywhere else."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TextIO

from ..checks.text import one_line


class ImageCounter:
    """Reports each answered image once, also when a second method answers it again.

    Args:
        on_progress: called with the number of images since its last call; None for nobody.
    """

    def __init__(self, on_progress: Callable[[int], None] | None) -> None:
        self._on_progress, self._reported = on_progress, 0

    def reached(self, n: int) -> None:
        """Report that the first ``n`` images are answered."""
        if self._on_progress and n > self._reported:
            self._on_progress(n - self._reported)
            self._reported = n


class Reporter(Protocol):
    """What a long job reports to."""

    def stage(self, name: str) -> None:
        """Report the stage that begins."""

    def advance(self, units: float) -> None:
        """Count finished units of work."""

    def line(self, text: str) -> None:
        """Report a finished stage."""


class Progress:
    """One bar over the whole job on a terminal, with a line above it per finished stage.

    Anywhere else (a pipe, a file) there are only the lines, without carriage returns. If the stream cannot be
    written to, or no longer, its text is lost, but the job goes on.

    Args:
        total: units of work in the whole job; None if unknown.
        stream: where to report; by default standard error.
        shown: whether a terminal gets a bar.
    """

    def __init__(
        self, total: float | None, stream: TextIO | None = None, *, shown: bool = True
    ) -> None:
        self._stream = sys.stderr if stream is None else stream  # None if it is closed
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
        """Remove the bar, also after an error."""
        self._draw(lambda bar: bar.close())

    def stage(self, name: str) -> None:
        """Name the stage that begins (on the bar only)."""
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
        """Change the bar if there still is one: its terminal may be gone."""
        if self._bar is None:
            return
        try:
            draw(self._bar)
        except (OSError, ValueError):
            self._bar.disable = True  # or it would be closed, and fail, when it is collected
            self._bar = None


def _is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal: not if it is closed, and not if it lacks the methods of a stream."""
    try:
        return bool(stream.isatty())
    except (AttributeError, OSError, ValueError):
        return False
