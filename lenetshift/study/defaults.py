"""The size of a study. This file imports nothing: the options of ``lenetshift study`` show the seeds."""

SEEDS = 20

QUICK_SEEDS, QUICK_TRAIN, QUICK_TEST = 2, 600, 60
"""Seeds and images of a study that only shows that everything works."""
