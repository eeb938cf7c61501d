"""The settings of a reproduction by default, which :class:`lenetshift.Config` explains. Nothing here imports
torch: the options of ``lenetshift reproduce`` show them."""

from ..checks.choices import ACTIVATIONS

SEED, EPOCHS, LEARNING_RATE, BATCH_SIZE = 0, 2, 0.1, 64

ACTIVATION = ACTIVATIONS[0]

QUICK_TRAIN, QUICK_TEST = 6_000, 1_000
"""The images of a reproduction that only shows that everything works."""
