"""Standard output and standard error, which may be closed, full or without a reader.

A run must not end because nobody can read its messages: its results are its files.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from ..checks.text import one_line
from .colour import RED, painted


class GuardedStream:
    """A text stream whose writes never raise: text that cannot be written is lost, and the loss is noted.

    Args:
        stream: the stream itself; None if it is closed, as Python sets ``sys.stdout``.

    Attributes:
        lost: why text was lost; empty if none was.
        unread: whether text was lost because the program that reads the stream has ended.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.lost = ""
        self.unread = False
        self._closed = stream is None
        self._stream = _Nowhere() if stream is None else stream

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's own: ``isatty``, ``encoding``, ``fileno``."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write as much as possible."""
        if self._closed and text:
            self.lost = "closed"
        try:
            self._put(text)
        except (OSError, ValueError) as error:  # ValueError: the stream was closed within Python
            self._lose(error)
        return len(text)

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:  # the name of a folder that the terminal cannot show
            encoding = getattr(self._stream, "encoding", None) or "ascii"
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def flush(self) -> None:
        """Write out as much of the buffer as possible."""
        try:
            self._stream.flush()
        except AttributeError:  # the stream of another program may have only write()
            pass
        except (OSError, ValueError) as error:
            self._lose(error)

    def _lose(self, error: OSError | ValueError) -> None:
        """Note the loss, and send what is still in the stream's buffer to the null device: Python would fail
        on it again at exit."""
        self.lost = getattr(error, "strerror", None) or str(error)
        self.unread = isinstance(error, BrokenPipeError)
        # AttributeError: the stream of another program may have no descriptor.
        with (
            contextlib.suppress(AttributeError, OSError, ValueError),
            open(os.devnull, "w") as null,
        ):
            os.dup2(null.fileno(), self._stream.fileno())


class _Nowhere(io.TextIOBase):
    """Replaces a closed stream."""

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
    """Open the null device in place of closed standard streams. The next file to be opened, such as a
    checkpoint, would otherwise become that stream, and receive everything written to it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


def say(text: str) -> None:
    """Print a text in one line on standard error."""
    print(one_line(text), file=sys.stderr, flush=True)


def complaint(prog: str, kind: str, text: object) -> str:
    """A line for standard error: the program, what it is about, such as "error", and the text."""
    return f"{one_line(prog)}: {painted(f'{kind}:', RED, sys.stderr)} {one_line(text)}"


def complain(prog: str, kind: str, text: object) -> None:
    """Print such a line."""
    print(complaint(prog, kind, text), file=sys.stderr, flush=True)
