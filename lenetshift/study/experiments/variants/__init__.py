"""Trainings of the report's four models with one thing different from the package's own.

Could something that the report does not mention explain its numbers? Each variant changes one thing of the
training that :func:`lenetshift.train` does: the order of the images, the loss, the momentum, the initial
weights, or a part of the network. :data:`VARIANTS` says which. All train by autograd.

In the order of reading: ``table.py`` has the variants and :func:`build`; ``networks.py`` and
``initial_weights.py`` what some of them use; ``trainer.py`` the training.
"""

from __future__ import annotations

from .table import VARIANTS, Variant, build
from .trainer import Trainer

__all__ = ["VARIANTS", "Trainer", "Variant", "build"]
