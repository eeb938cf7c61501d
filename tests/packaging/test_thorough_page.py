"""The page about all settings that a thorough study tries."""

from __future__ import annotations

import copy
import re

import pytest
from made_up_study import made_up_summary

from lenetshift.study.experiments import settings
from lenetshift.study.experiments.variants import VARIANTS
from lenetshift.study.plans import Plan


@pytest.fixture(scope="module")
def summary():
    return made_up_summary(plan=Plan(2, ("settings",), thorough=True))


@pytest.fixture
def rows(script, summary):
    """Setting -> the cells beside it."""
    text = script("tools/generate/thorough.py").page(summary)
    lines = [line.strip("| ").split(" | ") for line in text.split("## All")[1].splitlines()]
    return {cells[0]: cells[1:] for cells in lines if len(cells) == 8}


def test_every_setting_has_a_row(rows, summary) -> None:
    grid = 2 * 6 * 5
    assert summary["settings"]["n_settings"] >= grid
    assert len(rows) - 2 == grid + len(VARIANTS) - 1  # less the head and the line below it
    assert rows[settings.in_words("relu", 0.3, 256)][0] == "8"
    assert rows[settings.in_words("tanh", 0.001, 16)][0] == "40"


def test_a_variant_of_two_models_is_compared_with_their_rows(rows) -> None:
    (cells,) = (of for name, of in rows.items() if "trainable pooling" in name)
    assert re.fullmatch(r"\d+ / \d+", cells[3])


def test_the_nearest_of_the_table_is_the_nearest_of_all(rows, summary) -> None:
    distances = [float(of[4]) for name, of in rows.items() if of[4][0].isdigit()]
    nearest = summary["settings"]["nearest"]["own epochs"]["distance"]
    assert distances == sorted(distances)
    assert distances[0] == pytest.approx(nearest, abs=0.05)


def test_the_lead_of_lenet5_after_equal_epochs_stands_below_the_nearest(script, summary) -> None:
    value = copy.deepcopy(summary)
    for of in value["settings"]["trajectories"].values():
        for model in ("lenet5", "symmetric_lenet5"):
            if model in of:
                of[model]["unmoved"] = [95.0 for _ in of[model]["unmoved"]]
                of[model]["moved"] = [50.0 for _ in of[model]["moved"]]
    of = next(iter(value["settings"]["trajectories"].values()))
    of["lenet5"]["moved"][0] = 54.5
    text = script("tools/generate/thorough.py").page(value)
    assert "by at most 4.5 points on the moved ones; by 11.4 in the report." in text
    of["symmetric_lenet5"]["unmoved"][0] = 80.0  # it has hardly begun to learn
    text = script("tools/generate/thorough.py").page(value)
    assert "by at most 0.0 points" in text
