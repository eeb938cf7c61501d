"""What the report did and printed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lenetshift.models.table import ARCHITECTURES, DISPLAY_NAMES
from lenetshift.shifts import ShiftGrid
from lenetshift.study.experiments import position_bias, table


def test_only_model_3_does_not_add_up() -> None:
    assert tuple(table.PRINTED) == table.MODELS
    for model, row in table.PRINTED.items():
        assert sum(row.moved[:2]) == 550_000
        assert sum(row.unmoved[:2]) == (9950 if model == "pooled_mlp" else 10_000)
        assert row.misprint == (model == "pooled_mlp")


def test_every_model_has_a_name_for_people() -> None:
    assert list(ARCHITECTURES) == list(DISPLAY_NAMES)


def test_answers_by_position() -> None:
    grid = ShiftGrid(range(-1, 2), range(0, 1))
    predictions = torch.tensor([[[2, 0, 3]], [[2, 3, 1]]], dtype=torch.uint8)
    rule = {3: (1, 0), 2: (-1, 0), 5: (3, 0)}
    answers = position_bias.answers_by_position(predictions, rule, grid)
    assert [(answer["digit"], answer["fraction"]) for answer in answers] == [(3, 0.5), (2, 1.0)]


def test_figures_as_reported() -> None:
    """By hand: images of labels 4, 5, 2, 3; all answers are right except those set below."""
    labels = np.array([9, 4, 5, 2, 3])
    rows = {4017: 1, 4888: 2, 5392: 3, 8655: 4}
    predictions = np.repeat(labels.astype(np.uint8), 55).reshape(5, 5, 11).copy()
    found = position_bias.figures_as_reported(predictions, labels, rows)
    assert found == {"figures 1 and 2": 0.0, "figures 3 and 4": 0.0}
    predictions[1, :, 8:], predictions[1, :, :3] = 3, 2  # all of |dx| >= 3 by the position
    predictions[2, :, 8] = 3  # dx = 3 alone, of those to the right: a sixth of all
    predictions[3, 2, 5] = 0  # misread unmoved
    found = position_bias.figures_as_reported(predictions, labels, rows)
    assert found == pytest.approx({"figures 1 and 2": 350 / 6, "figures 3 and 4": 50.0})
    predictions[1, 2, 5] = 3  # misread unmoved: it is not counted
    found = position_bias.figures_as_reported(predictions, labels, rows)
    assert found["figures 1 and 2"] == pytest.approx(50 / 6)
    del rows[4017]
    assert list(position_bias.figures_as_reported(predictions, labels, rows)) == ["figures 3 and 4"]
