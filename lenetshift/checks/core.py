"""Finds the compiled core, and checks that it fits the package.

``python -m lenetshift.reproduce`` in the repository's root imports the source folder, which holds no
compiled core after a plain ``pip install .``; the installed package does. Both are searched. A core
that was not built from the sources in the folder is refused: other kernels would run than those.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import platform
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

from ..version import __version__
from .errors import CoreError

SOURCES = ("csrc/**/*.h", "csrc/**/*.cpp", "csrc/**/*.cu", "cmake/**/*.cmake", "CMakeLists.txt")
"""The files that the core is compiled from, below the repository's root."""


def sources_sha256(root: Path) -> str | None:
    """The checksum that ``cmake/sources_sha256.cmake`` compiles into the core; None if there are no sources.

    It is the SHA-256 of a text with a line for each file, as ``sha256sum`` prints it, sorted by name.
    """
    paths = [path for pattern in SOURCES for path in root.glob(pattern)]
    names = sorted(path.relative_to(root).as_posix() for path in paths)
    if "CMakeLists.txt" not in names or "csrc/kernels.h" not in names:
        return None
    digests = (hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names)
    lines = (f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def load_core() -> ModuleType:
    """The extension module ``lenetshift._core``; ImportError in one line if there is none that fits."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise ImportError(
            f"lenetshift: got a free-threaded Python {platform.python_version()}, expected one with the "
            "GIL, which keeps its calls apart"
        )
    # In this package's folder first, then in every other lenetshift folder on sys.path.
    package = sys.modules["lenetshift"]
    package.__path__ = pkgutil.extend_path(package.__path__, "lenetshift")
    try:
        core = importlib.import_module("lenetshift._core")
    except ModuleNotFoundError as error:
        if error.name != "lenetshift._core":
            raise
        raise CoreError("lenetshift's compiled core is missing") from None
    if core.__version__ != __version__:
        raise CoreError(
            f"lenetshift's compiled core is of version {core.__version__}, the package of {__version__}"
        )
    root = Path(__file__).parents[2]
    sha256 = sources_sha256(root)
    if sha256 is not None and getattr(core, "sources_sha256", None) != sha256:
        raise CoreError(
            f"lenetshift's compiled core, {core.__file__}, was not built from the sources in {root}"
        )
    return core


core = load_core()
