"""What Ctrl-C does to a command depends on what the process is doing.

While it imports, nothing can be lost, and an exception may surface anywhere in the code of others: Ctrl-C
ends the process at once. While it works, Ctrl-C is a KeyboardInterrupt, as usual. Once its work is done,
Ctrl-C does nothing: an exception while Python shuts down can abort the process.

A process that ignores Ctrl-C, such as a background job of a shell, ignores it throughout.

A command with processes of its own to end handles SIGTERM and SIGHUP in the same way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

STATUS = 130
"""The exit status of an interrupted command, as in shells: 128 plus the number of SIGINT."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came, which is handled like Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


@contextlib.contextmanager
def terminated_in_order() -> Iterator[None]:
    """Raise :class:`Terminated` on SIGTERM and SIGHUP, unless they are ignored, so that what is open is
    closed."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    for number in numbers:
        _change(signal.SIG_DFL, _terminate, number)
    try:
        yield
    finally:
        for number in numbers:
            _change(_terminate, signal.SIG_DFL, number)


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)


@contextlib.contextmanager
def never_hidden() -> Iterator[None]:
    """Raise the KeyboardInterrupt again that other code has made another exception of: an extension module
    that is interrupted while it is imported reports that its initialization failed."""
    try:
        yield
    except Exception as error:
        stop = _interrupt_behind(error)
        if stop is None:
            raise
        raise stop from None


def _interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause


def leave_at_once() -> None:
    """From now on Ctrl-C ends the process in one line, without an exception."""
    _change(signal.default_int_handler, _leave)


def raise_again() -> None:
    """Undo :func:`leave_at_once`, if it was called."""
    _change(_leave, signal.default_int_handler)


def as_process(main: Callable[[], int]) -> int:
    """The status of ``main``, after which this process does nothing but end."""
    try:
        status = main()
    except KeyboardInterrupt:  # it came when everything was printed
        status = STATUS
    for handler in (signal.default_int_handler, _leave):
        _change(handler, signal.SIG_IGN)
    return status


def _leave(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"interrupted\n")
    os._exit(STATUS)


def _change(
    before: object,
    after: Callable[[int, FrameType | None], object] | int,
    number: int = signal.SIGINT,
) -> None:
    """Replace one handler with another, which only the main thread may do."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(number) is before:
        signal.signal(number, after)
