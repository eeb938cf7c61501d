"""How other people's code is run. This file needs no torch."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from ...checks.errors import UsageError
from ...checks.text import in_a_line


@contextlib.contextmanager
def printing_aside() -> Iterator[None]:
    """Send what other people's code prints to standard error, since standard output is for results, and
    restore the streams if it replaces them."""
    with contextlib.redirect_stdout(sys.stderr), contextlib.redirect_stderr(sys.stderr):
        yield


@contextlib.contextmanager
def of_a_person(what: str) -> Iterator[None]:
    """Run a person's own code: what it prints goes to standard error, and anything it raises, even
    SystemExit, becomes a UsageError that begins with ``what``, unless it is one already."""
    try:
        with printing_aside():
            yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"{what}: {in_a_line(error)}") from error
