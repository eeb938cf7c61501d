"""The list of metrics: what each needs, what is public, and its table in ``docs/using.md``.

To write the table anew: ``python tests/metrics/test_registry.py``. A metric may be missing from it until
then; what it has must be right.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenetshift import Evaluation, ShiftGrid, compare, metrics
from lenetshift.checks.errors import NotAvailable
from lenetshift.metrics.registry import METRICS, NEEDS

PAGE = Path(__file__).parents[2] / "docs" / "using.md"
BEGIN, END = "<!-- metrics: begin -->\n", "<!-- metrics: end -->\n"

MODULES = [
    importlib.import_module(f"lenetshift.metrics.{module.name}")
    for module in pkgutil.iter_modules(metrics.__path__)
]


def table() -> str:
    """The metrics in Markdown."""
    rows = (
        (f"`{m.name}`", m.description, ", ".join(NEEDS[need] for need in m.needs) or "nothing")
        for m in METRICS.values()
    )
    lines = [("metric", "what it is", "needs besides predictions"), ("---",) * 3, *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def test_the_table_says_what_the_definitions_say() -> None:
    written = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].splitlines()
    assert [line for line in table().splitlines() if line in written] == written


@pytest.mark.parametrize(
    ("dx", "dy", "shown"),
    [
        (range(-1, 2), range(-1, 2), "flip rate"),
        (range(-4, 5, 2), range(-4, 5, 2), "flip rate (steps of 2 pixels)"),
        (range(-4, 5, 2), range(1), "flip rate (steps of 2 pixels)"),
        (range(1), range(0, 7, 3), "flip rate (steps of 3 pixels)"),
        (range(-4, 5, 2), range(2), "flip rate (steps dx 2, dy 1)"),
        (range(2), range(0, 1, 5), "flip rate"),
        (range(0, 21, 10), range(0, 13, 12), "flip rate (steps dx 10, dy 12)"),
    ],
)
def test_a_flip_rate_over_larger_steps_says_so(dx: range, dy: range, shown: str) -> None:
    grid = ShiftGrid(dx, dy)
    made = Evaluation(np.zeros((1, *grid.shape), np.uint8), np.array([0]), grid)
    titles = {row.name: row.title for row in made.rows()}
    assert titles["flip_rate"] == shown
    assert titles["agreement"] == "agreement"
    assert [line for line in str(made).splitlines() if line.startswith(f"  {shown} ")]
    assert {len(str(row)) for row in made.rows()} == {40}
    compared = {row.name: row.title for row in compare(made, made).rows()}
    assert compared["flip_rate"] == shown


def evaluation(*lacking: str) -> Evaluation:
    """One of a square of shifts that lacks these needs and no others."""
    n = 1 if "neighbours" in lacking else 3
    shape = (2, n, n)
    around_0 = range(-(n // 2), n - n // 2)
    return Evaluation(
        np.zeros(shape, np.uint8),
        np.array([0, 1]),
        ShiftGrid(range(1, n + 1) if "centre" in lacking else around_0, around_0),
        logits=None if "logits" in lacking else np.zeros((*shape, 2)),
        lost_ink=None if "lost_ink" in lacking else np.zeros(shape),
    )


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_needs_what_it_says_and_nothing_else(name: str) -> None:
    can_lack = set(NEEDS) - {"labels"}
    needs = can_lack.intersection(METRICS[name].needs)
    others = evaluation(*can_lack - needs)
    assert np.isfinite(others.metric(name).value)
    assert all(len(end) for end in [others.heading(), others.rows()])
    for need in needs:
        lacks = evaluation(need)
        with pytest.raises(
            NotAvailable, match=r"^(grid|logits|lost): got [^\n]*, expected [^\n]*$"
        ):
            lacks.metric(name)
        (row,) = (row for row in lacks.rows() if row.name == name)
        assert row.value is None
        assert str(row).endswith(" -")
        assert lacks.to_dict()["metrics"][name] is None
        assert (lacks.unmoved is None) == (need == "centre")
    takes_labels = "labels" in inspect.signature(METRICS[name].function).parameters
    assert takes_labels == ("labels" in METRICS[name].needs)


def test_an_error_that_is_a_fault_is_not_left_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(predictions: Any) -> Any:
        raise ValueError("a fault")

    broken = METRICS["flip_rate"].__class__("flip_rate", "flip rate", "", (), fails)
    monkeypatch.setitem(METRICS, "flip_rate", broken)
    for shown in (str, Evaluation.to_dict, Evaluation.rows):
        with pytest.raises(ValueError, match="a fault"):
            shown(evaluation())


def test_names_and_titles_are_of_one_metric_each_and_public_ones_are_offered() -> None:
    """``lenetshift.metrics`` has imported every module that defines one."""
    text = "".join(inspect.getsource(module) for module in MODULES)
    assert len(re.findall(r"^@metric\(", text, re.MULTILINE)) == len(METRICS)
    assert len({m.title for m in METRICS.values()}) == len(METRICS)
    for m in METRICS.values():
        name = m.function.__name__
        assert (name in metrics.__all__) == (not name.startswith("_"))
        assert name.startswith("_") or getattr(metrics, name) is m.function


@pytest.mark.parametrize("name", metrics.__all__)
def test_every_public_function_has_an_example(name: str) -> None:
    value = getattr(metrics, name)
    assert not inspect.isfunction(value) or ">>> " in (value.__doc__ or "")


@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64", "float8_e5m2"])
def test_logits_without_a_softmax_leave_the_score_change_empty(dtype: str) -> None:
    """A model may answer with counts; its other metrics are there all the same."""
    of = evaluation()
    counts = torch.zeros(2, 3, 3, 2).to(getattr(torch, dtype))
    counted = Evaluation(of.predictions, of.labels, of.grid, logits=counts)
    assert counted.to_dict()["metrics"]["score_change"] is None
    said = str(counted)
    assert re.search(r"^  score change +-$", said, re.MULTILINE)
    assert f"No score change: logits: got {dtype} [2, 3, 3, 2], expected floating" in said
    with pytest.raises(
        NotAvailable, match=rf"^logits: got {dtype} \[2, 3, 3, 2\], expected floating "
    ):
        counted.metric("score_change")


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(before + BEGIN + table() + END + after, encoding="utf-8")
