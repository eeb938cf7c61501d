"""The models, a row each: their names, what the report says about them, how the page computes them.

Every list of models is made from this table. It does not import torch, for which ``--help`` would wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ReportRow:
    """What the report prints for a model (Tanaka 2024, Table 1): right and wrong answers to MNIST's
    10,000 unmoved test images and to the 550,000 patterns, with the accuracies as it rounds them.

    Attributes:
        unmoved, moved: ``(correct, wrong, accuracy)``.
        misprint: whether the numbers do not add up.
    """

    unmoved: tuple[int, int, float]
    moved: tuple[int, int, float]
    misprint: bool = False


@dataclass(frozen=True)
class ModelSpec:
    """A model of Table 1.

    Attributes:
        name: in options and files, in the names of ops, and for :func:`lenetshift.build_model`.
        display: its name in tables.
        short: its name next to other models.
        sentence: its name within a sentence.
        caption: a line below its name.
        drawn: how the page computes it, for ``forward.js``: the ``kind`` ``"lenet"`` with the ``connections``
            of C3 (``"1998"`` or ``"all"``) and its ``pooling`` (``"average"`` or ``"max"``), or
            ``"perceptron"`` with the side of the squares that its ``pooling`` averages; and its
            ``activation`` if that is not the run's.
        made_by: its class, in ``lenet5.py`` or ``perceptrons.py``.
        has_fused_ops: whether ``torch.ops.lenetshift`` has ``predict_shifts_<name>`` and
            ``train_epoch_<name>``.
        report: the report's row; None for a model that is not in the report.
        trained_as: the name of the model that it is, trained on other images; None for a model of its own.
    """

    name: str
    display: str
    short: str
    sentence: str
    caption: str
    drawn: Mapping[str, Any] = field(hash=False)
    made_by: str
    has_fused_ops: bool = True
    report: ReportRow | None = None
    trained_as: str | None = None

    @property
    def architecture(self) -> str:
        """The name of the model that has the same layers."""
        return self.trained_as or self.name


_LENET = {"kind": "lenet", "connections": "1998", "pooling": "average"}
_SYMMETRIC = {"kind": "lenet", "connections": "all", "pooling": "average"}
_DENSE = {"kind": "perceptron", "pooling": 1}
_POOLED = {"kind": "perceptron", "pooling": 4}

ALL_MODELS = (
    ModelSpec(
        "lenet5",
        "Model 0 LeNet-5",
        "LeNet-5",
        "LeNet-5",
        "Model 0: convolution, C3 by the table of 1998",
        _LENET,
        "LeNet5",
        report=ReportRow((9696, 304, 0.97), (331140, 218860, 0.60)),
    ),
    ModelSpec(
        "mlp",
        "Model 1 MLP",
        "MLP",
        "the MLP",
        "Model 1: no convolution",
        _DENSE,
        "MLP",
        report=ReportRow((9278, 722, 0.93), (224942, 325058, 0.41)),
    ),
    ModelSpec(
        "symmetric_lenet5",
        "Model 2 symmetric LeNet-5",
        "Symmetric LeNet-5",
        "the symmetric LeNet-5",
        "Model 2: convolution, C3 fully connected",
        _SYMMETRIC,
        "SymmetricLeNet5",
        report=ReportRow((9618, 382, 0.96), (268626, 281374, 0.49)),
    ),
    ModelSpec(
        "pooled_mlp",
        "Model 3 pooled MLP",
        "Pooled MLP",
        "the pooled MLP",
        "Model 3: pooling, no convolution",
        _POOLED,
        "PooledMLP",
        report=ReportRow((8733, 1217, 0.87), (223386, 326614, 0.41), misprint=True),
    ),
    ModelSpec(
        "biased_lenet5",
        "LeNet-5, position-biased",
        "Position-biased LeNet-5",
        "the position-biased LeNet-5",
        "the same network, trained on moved digits",
        _LENET,
        "LeNet5",
        trained_as="lenet5",
    ),
)
"""In the order of the tables: the report's Models 0 to 3, then others."""

BY_NAME: dict[str, ModelSpec] = {spec.name: spec for spec in ALL_MODELS}

ARCHITECTURES: dict[str, str] = {spec.name: spec.architecture for spec in ALL_MODELS}
"""Each model, in the order of the tables -> the name with which ``build_model`` makes its layers."""

DISPLAY_NAMES: dict[str, str] = {spec.name: spec.display for spec in ALL_MODELS}
"""The models' names in tables and figures."""

BASE_MODELS = tuple(spec for spec in ALL_MODELS if spec.trained_as is None)
"""The models with their own layers, which are trained on the images as they are."""

FUSED = tuple(spec.name for spec in BASE_MODELS if spec.has_fused_ops)
"""Those of them that have fused ops."""

BIASED = "biased_lenet5"
"""LeNet-5, trained on position-biased images."""

BIAS_RULE: Mapping[int, tuple[int, int]] = {3: (3, 0), 2: (-3, 0)}
"""How the report moves its training images, digit -> (dx, dy) in pixels: every 3 by 3 to the right, every 2
by 3 to the left."""


def side_by_side() -> list[ModelSpec]:
    """All models in the order of the page: each network, followed by the models that are the same network
    trained on other images; networks with convolutions first."""
    base = sorted(BASE_MODELS, key=lambda spec: spec.drawn["kind"] != "lenet")
    return [
        s for spec in base for s in (spec, *(s for s in ALL_MODELS if s.trained_as == spec.name))
    ]
