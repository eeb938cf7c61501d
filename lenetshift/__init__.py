"""lenetshift: how robust is a digit classifier to moving the digit?

Importing the package registers the ops ``torch.ops.lenetshift.*`` (:mod:`lenetshift.ops`).

In a process that is one of the package's own commands, the public names and the ops are imported when one
of them is first used: ``--help`` does not wait for torch, and ``doctor`` runs even if torch does not.
"""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .version import __version__ as __version__


def _is_command() -> bool:
    """Whether this process is a command of the package: a console script, or ``python -m`` of one of its
    modules, whose ``sys.argv[0]`` is "-m" while the module is located
    (docs.python.org/3/using/cmdline.html)."""
    program = (getattr(sys, "argv", None) or [""])[0]
    if program == "-m":
        options = sys.orig_argv
        return "-m" in options[:-1] and options[options.index("-m") + 1].split(".")[0] == __name__
    return Path(program).name.removesuffix(".exe") in ("lenetshift", "lenetshift-reproduce")


IS_COMMAND = _is_command()
"""Found out here, since ``sys.argv`` is another one when the command runs."""

if TYPE_CHECKING or not IS_COMMAND:
    from .api import *  # noqa: F403
    from .api import __all__ as __all__
else:

    def __getattr__(name: str) -> object:
        """A public name. The first one imports them all, and registers the ops."""
        if name == "__all__" or not name.startswith("__"):
            api = importlib.import_module("lenetshift.api")
            if hasattr(api, name):
                return getattr(api, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """The names of this file, and the public ones."""
        return sorted({*globals(), *importlib.import_module("lenetshift.api").__all__})
