"""The names and numbers that the command line shows, written out: where they are used, torch is.

``tests/cli/test_command.py`` compares each with the package's own.
"""

from __future__ import annotations

from ..models.table import BY_NAME

MODELS = tuple(BY_NAME)
"""Those of Table 1."""

EXPERIMENTS = (
    *("table", "convolution", "pooling", "symmetry", "settings_grid", "position_bias"),
    "place_blind",
)
"""``lenetshift.study.experiments.EXPERIMENTS``."""

ACTIVATIONS = ("tanh", "relu")
"""``lenetshift.ops.activations.ACTIVATIONS``."""

TRAINING_METHODS = ("fused", "autograd")
"""``lenetshift.models.train.METHODS``."""

EVALUATION_METHODS = ("auto", "fused", "shared", "plain")
"""``lenetshift.predict.evaluator.METHODS``."""

SEED, EPOCHS, LEARNING_RATE, BATCH_SIZE = 0, 2, 0.1, 64
DX, DY = (-5, 5), (-2, 2)
BIAS_RULE = {3: (3, 0), 2: (-3, 0)}
"""Those of ``lenetshift.Config()``."""

SEEDS, QUICK_SEEDS = 20, 2
"""``lenetshift.study.plans``: ``Plan.n_seeds`` and ``QUICK_SEEDS``."""
