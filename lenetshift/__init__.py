"""lenetshift: how robust is a digit classifier to moving the digit?

Importing the package registers the ops ``torch.ops.lenetshift.*`` (:mod:`lenetshift.ops`).

Only in a process that is one of the package's own commands do names and ops wait until the first of
them is asked for: ``--help`` need not wait for torch, and ``doctor`` must run where torch does not.
"""

import importlib
import sys
from typing import TYPE_CHECKING

__version__ = "0.2.0"


def _is_command() -> bool:
    """Whether this process is a command of the package: ``lenetshift``, or ``python -m`` of one of its
    modules, in whose search ``sys.argv[0]`` is "-m" (docs.python.org/3/using/cmdline.html). ``-m`` of a
    package of others, which imports this one in that search, is not one."""
    if "lenetshift_command" in sys.modules:
        return True
    if getattr(sys, "argv", [])[:1] != ["-m"] or "-m" not in sys.orig_argv[:-1]:
        return False
    return sys.orig_argv[sys.orig_argv.index("-m") + 1].split(".")[0] == __name__


_waits = not globals().get("_waits", False) and _is_command()
"""Whether names and ops are still to come; no more where this file is executed once more."""

if _waits:
    from lenetshift.cli import interrupts

    interrupts.leave_at_once()

if TYPE_CHECKING or not _waits:
    from lenetshift.answers import Answers
    from lenetshift.c3_table import C3_TABLE, from_masked_dense, to_masked_dense
    from lenetshift.data import Dataset, load_mnist
    from lenetshift.evaluate import ShiftEvaluator, predict_shifts
    from lenetshift.evaluation import Evaluation, evaluate_shifts
    from lenetshift.experiments.settings import Config
    from lenetshift.idx import DataError
    from lenetshift.metrics import summarize
    from lenetshift.models import MLP, LeNet5, PooledMLP, SymmetricLeNet5, build_model
    from lenetshift.moving import jitter, position_biased
    from lenetshift.normalize import Normalize
    from lenetshift.ops import isa
    from lenetshift.shifts import ShiftGrid
    from lenetshift.train import train

else:

    def __getattr__(name: str) -> object:
        """A name of the package, and with it all that importing the package gives elsewhere."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        load()
        return globals()[name]

    def __dir__() -> list[str]:
        """All names, those to come among them."""
        return sorted({*globals(), *__all__})


def load() -> None:
    """Bring in names and ops where they have waited for it (in a command of the package)."""
    if _waits:
        importlib.reload(sys.modules[__name__])


__all__ = [
    "C3_TABLE",
    "MLP",
    "Answers",
    "Config",
    "DataError",
    "Dataset",
    "Evaluation",
    "LeNet5",
    "Normalize",
    "PooledMLP",
    "ShiftEvaluator",
    "ShiftGrid",
    "SymmetricLeNet5",
    "build_model",
    "evaluate_shifts",
    "from_masked_dense",
    "isa",
    "jitter",
    "load_mnist",
    "position_biased",
    "predict_shifts",
    "summarize",
    "to_masked_dense",
    "train",
]
