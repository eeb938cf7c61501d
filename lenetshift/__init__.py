"""lenetshift: how robust is a digit classifier to moving the digit?

Importing the package registers the ops ``torch.ops.lenetshift.*`` (:mod:`lenetshift.ops`).
"""

__version__ = "0.1.0"

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
