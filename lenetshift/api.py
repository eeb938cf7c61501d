"""The public names of the package, which ``lenetshift`` itself offers, and its public modules."""

from __future__ import annotations

from . import c3_table, metrics, ops, reference, remedies  # noqa: F401  as attributes of lenetshift
from .c3_table import C3_TABLE, from_masked_dense, to_masked_dense
from .checks.errors import DataError
from .data.dataset import Dataset
from .data.load import load_mnist
from .data.moving import jitter, position_biased
from .data.normalize import Normalize
from .data.sources.opening import open_data
from .metrics import summarize
from .metrics.comparison import Comparison, compare
from .metrics.evaluate_shifts import evaluate_shifts
from .metrics.evaluation import Evaluation
from .models.build import build_model
from .models.lenet5 import LeNet5, SymmetricLeNet5
from .models.perceptrons import MLP, PooledMLP
from .models.train import train
from .ops import isa
from .predict.answers import Answers
from .predict.evaluator import ShiftEvaluator
from .predict.predict_shifts import predict_shifts
from .reproduce.settings import Config
from .shifts import ShiftGrid

__all__ = [
    "C3_TABLE",
    "MLP",
    "Answers",
    "Comparison",
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
    "compare",
    "evaluate_shifts",
    "from_masked_dense",
    "isa",
    "jitter",
    "load_mnist",
    "open_data",
    "position_biased",
    "predict_shifts",
    "summarize",
    "to_masked_dense",
    "train",
]
