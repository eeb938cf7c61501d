"""What Ctrl-C does to a command depends on what the process is doing.

While it imports, nothing can be lost, and an exception may surface anywhere in the code of others: Ctrl-C
ends the process at once. While it works, Ctrl-C is a KeyboardInterrupt, as usual. Once its work is done,
Ctrl-C does nothing: an exception while Python shuts down can abort the process.

A process that ignores Ctrl-C, such as a background job of a shell, ignores it throughout.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

STATUS = 130
"""The exit status of an interrupted command, as in shells: 128 plus the number of SIGINT."""


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


def _change(before: object, after: Callable[[int, FrameType | None], object] | int) -> None:
    """Replace one handler with another, which only the main thread may do."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is before:
        signal.signal(signal.SIGINT, after)
