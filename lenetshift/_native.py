"""Finds the compiled core.

``python -m lenetshift.reproduce`` in the repository's root imports the source folder, which holds no
compiled core after a plain ``pip install .``; the installed package does. Both are looked through.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

import lenetshift

HOW_TO_BUILD = "build and install it with `pip install .` in the repository's root"


def load_core() -> ModuleType:
    """The extension module ``lenetshift._core``; ImportError in one line where there is none."""
    # Beside this file first, then in every other lenetshift folder on sys.path.
    lenetshift.__path__ = pkgutil.extend_path(lenetshift.__path__, "lenetshift")
    try:
        core = importlib.import_module("lenetshift._core")
    except ModuleNotFoundError as error:
        if error.name != "lenetshift._core":
            raise
        raise ImportError(f"lenetshift's compiled core is missing: {HOW_TO_BUILD}") from None
    try:
        expected = version("lenetshift")
    except PackageNotFoundError:  # on sys.path without having been installed
        return core
    if core.__version__ != expected:
        raise ImportError(
            f"lenetshift's compiled core is of version {core.__version__}, the package of "
            f"{expected}: {HOW_TO_BUILD}"
        )
    return core


core = load_core()
