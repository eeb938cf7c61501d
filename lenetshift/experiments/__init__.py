"""What the report did (Tanaka 2024, "Characteristics of convolutional neural networks"), a file an
experiment: its models, what is varied, what is measured, and the report's own outcome."""

from __future__ import annotations

from . import position_bias, table

ARCHITECTURES: dict[str, str] = {
    **{name: name for name in table.MODELS},
    position_bias.MODEL: position_bias.ARCHITECTURE,
}
"""Each model of a run, in the order of the tables -> the name that ``build_model`` knows it by."""
