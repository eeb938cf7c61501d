"""What the commands of a study share: a failure is one line and an exit status."""

from __future__ import annotations

from collections.abc import Callable

from ..dossier.files import StorageError
from ..dossier.verification import Differs
from ..idx import DataError
from .parser import STDERR_LOST, STDOUT_LOST
from .streams import guarded_streams, say


class UsageError(Exception):
    """An option is not possible: one line that names it and the reason."""


def attempt(name: str, do: Callable[[], int], interrupted: str) -> int:
    """Do what a command does, and return the exit status.

    Args:
        name: of the command, for its errors.
        do: returns the exit status; SystemExit is argparse's.
        interrupted: what to say on Ctrl-C.
    """
    with guarded_streams() as (output, errors):
        status = _status(name, do, interrupted)
        output.flush()
        if output.lost:
            say(f"standard output is lost: {output.lost}")
        errors.flush()
    if status == 0:
        status = STDOUT_LOST * bool(output.lost) + STDERR_LOST * bool(errors.lost)
    return status


def _status(name: str, do: Callable[[], int], interrupted: str) -> int:
    try:
        return do()
    except SystemExit as stop:  # --help, or an error that has been told
        return int(stop.code or 0)
    except Differs as difference:
        say(f"{name}: differs: {difference}")
        return 1
    except (StorageError, DataError, UsageError) as error:
        say(f"{name}: error: {error}")
        return 2
    except KeyboardInterrupt:
        say(interrupted)
        return 130
    except OSError as error:  # a full disk, for one
        say(f"{name}: error: {error.filename or ''}: {error.strerror or error}")
        return 2
