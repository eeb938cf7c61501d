"""What the report did and printed."""

from __future__ import annotations

import torch

from lenetshift.experiments import ARCHITECTURES, position_bias, table
from lenetshift.report.tables import DISPLAY_NAMES
from lenetshift.shifts import ShiftGrid


def test_only_model_3_does_not_add_up() -> None:
    assert tuple(table.OUTCOMES) == table.MODELS
    for model, outcome in table.OUTCOMES.items():
        assert outcome.moved["correct"] + outcome.moved["wrong"] == 550_000
        total = outcome.unmoved["correct"] + outcome.unmoved["wrong"]
        assert total == (9950 if model == "pooled_mlp" else 10_000)
        assert outcome.misprint == (model == "pooled_mlp")


def test_every_model_has_a_name_for_people() -> None:
    assert list(ARCHITECTURES) == list(DISPLAY_NAMES)


def test_answers_by_position() -> None:
    grid = ShiftGrid(range(-1, 2), range(0, 1))
    predictions = torch.tensor([[[2, 0, 3]], [[2, 3, 1]]], dtype=torch.uint8)
    rule = {3: (1, 0), 2: (-1, 0), 5: (3, 0)}
    answers = position_bias.answers_by_position(predictions, rule, grid)
    assert [(answer["digit"], answer["fraction"]) for answer in answers] == [(3, 0.5), (2, 1.0)]
