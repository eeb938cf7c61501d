"""Standard output and standard error that may be closed, full or without a reader.

A run must not end because nobody can read what it says: its results are its files.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from ..checks.text import one_line


class GuardedStream:
    """A text stream whose writes never raise: what cannot be written is lost, and noted.

    Args:
        stream: the stream itself; None, as Python sets ``sys.stdout`` where it is closed.

    Attributes:
        lost: why text was lost; empty while none was.
    """

    def __init__(self, stream: TextIO | None) -> None:
        """Guard a stream."""
        self.lost = ""
        self._closed = stream is None
        self._stream = _Nowhere() if stream is None else stream

    def __getattr__(self, name: str) -> Any:
        """All else is the stream's own: ``isatty``, ``encoding``, ``fileno``."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write what can be written."""
        if self._closed and text:
            self.lost = "closed"
        try:
            self._put(text)
        except (OSError, ValueError) as error:  # ValueError: of a stream closed within Python
            self._lose(error)
        return len(text)

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:  # a folder's name that the terminal cannot show
            encoding = getattr(self._stream, "encoding", None) or "ascii"
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def flush(self) -> None:
        """Pass on what is buffered, as far as that is possible."""
        try:
            self._stream.flush()
        except AttributeError:  # a stream that a program has made may have write() only
            pass
        except (OSError, ValueError) as error:
            self._lose(error)

    def _lose(self, error: OSError | ValueError) -> None:
        """Note the loss, and let the null device take what is still in the stream's buffer, or Python
        would fail on it once more at exit."""
        self.lost = getattr(error, "strerror", None) or str(error)
        # AttributeError: a stream that a program has made may have no descriptor.
        with (
            contextlib.suppress(AttributeError, OSError, ValueError),
            open(os.devnull, "w") as null,
        ):
            os.dup2(null.fileno(), self._stream.fileno())


class _Nowhere(io.TextIOBase):
    """In the place of a closed stream."""

    def write(self, text: str) -> int:
        return len(text)


@contextlib.contextmanager
def guarded_streams() -> Iterator[tuple[GuardedStream, GuardedStream]]:
    """Standard output and standard error, guarded within the context."""
    _fill_standard_descriptors()
    before = sys.stdout, sys.stderr
    guarded = GuardedStream(sys.stdout), GuardedStream(sys.stderr)
    sys.stdout, sys.stderr = guarded
    try:
        yield guarded
    finally:
        for stream in guarded:
            stream.flush()
        sys.stdout, sys.stderr = before


def _fill_standard_descriptors() -> None:
    """Put the null device where standard input, output or error is closed: the next file to be opened,
    a checkpoint for one, would otherwise take its place, and all that is written to it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


@contextlib.contextmanager
def printing_aside() -> Iterator[None]:
    """Have what other people's code prints go to standard error, and put the streams back that it replaces:
    standard output is for results."""
    with contextlib.redirect_stdout(sys.stderr), contextlib.redirect_stderr(sys.stderr):
        yield


def say(text: str) -> None:
    """A line on standard error, whatever the text holds."""
    print(one_line(text), file=sys.stderr, flush=True)
