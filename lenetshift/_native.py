"""Finds the compiled core.

``python -m lenetshift.reproduce`` in the repository's root imports the source folder, which holds no
compiled core after a plain ``pip install .``; the installed package does. Both are looked through.
What is found may be older than the source folder, and take other arguments: then it is refused.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import lenetshift

HOW_TO_BUILD = "build and install it with `pip install .` in the repository's root"

_BINDINGS = (
    "csrc/host/bindings.cpp",
    "csrc/host/bindings.h",
    "csrc/cuda/host/bindings_cuda.h",
)
"""The sources whose SHA-256 CMakeLists.txt compiles into the core, in its order."""


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
    if core.__version__ != lenetshift.__version__:
        raise ImportError(
            f"lenetshift's compiled core is of version {core.__version__}, the package of "
            f"{lenetshift.__version__}: {HOW_TO_BUILD}"
        )
    sources = [Path(__file__).parents[1] / name for name in _BINDINGS]
    if all(path.is_file() for path in sources):  # a source folder
        sha256 = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in sources)
        if getattr(core, "bindings_sha256", None) != sha256:
            raise ImportError(
                f"lenetshift's compiled core, {core.__file__}, was not built from the bindings in "
                f"{sources[0].parent}: {HOW_TO_BUILD}"
            )
    return core


core = load_core()
