"""The settings of a reproduction by default, which :class:`lenetshift.Config` explains. Nothing here imports
torch: the options of ``lenetshift reproduce`` show them."""

from ..checks.choices import ACTIVATIONS

SEED, EPOCHS, LEARNING_RATE, BATCH_SIZE = 0, 2, 0.1, 64

ACTIVATION = ACTIVATIONS[0]

CHOSEN = ("epochs", "learning_rate", "batch_size", "activation")
"""The settings that the report does not give, but the seed."""

SETTINGS = ("default", "report")
"""Where they come from: from the numbers above, or from :meth:`lenetshift.Config.report`."""

FITTED = (
    "These settings were found afterwards: of those tried they come nearest to the report's Table 1, with "
    "four whole numbers of epochs fitted to its eight accuracies. That does not show that the report used "
    "them."
)
"""What a reader must know of the settings ``report``."""

QUICK_TRAIN, QUICK_TEST = 6_000, 1_000
"""The images of a reproduction that only shows that everything works."""
