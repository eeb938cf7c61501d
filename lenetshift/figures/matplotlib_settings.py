"""Matplotlib, imported and set up so that a user's settings neither break nor change a figure."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

INK = "#222222"
"""The colour of text and plain lines."""

_SETTINGS: dict[Any, Any] = {
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "lenetshift",  # the same figure gives the same file
}


def import_matplotlib() -> ModuleType:
    """Matplotlib, also if MPLBACKEND names a backend that is not installed.

    Such a name makes the import raise, and a notebook's ``!python`` passes on that of the notebook.
    No figure here needs a backend.
    """
    if "matplotlib" not in sys.modules:
        backend = os.environ.pop("MPLBACKEND", "")
        try:
            # Not at the top of the file: a command that fails early should not wait for Matplotlib.
            import matplotlib
        finally:
            if backend:
                os.environ["MPLBACKEND"] = backend
        if backend:
            with suppress(ValueError):
                matplotlib.rcParams["backend"] = backend  # for the calling code's pyplot
    return sys.modules["matplotlib"]


@contextmanager
def figure_settings() -> Iterator[None]:
    """Matplotlib's defaults and the few changes of this package, whatever the user has set.

    A ``matplotlibrc`` or the calling code may ask for LaTeX, or for fonts that are not installed. Their
    settings are restored afterwards. Whole figures are made and saved under these settings; ``plot_*``
    uses the caller's settings, since it draws on the caller's axes.
    """
    matplotlib = import_matplotlib()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield
