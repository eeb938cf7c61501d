"""docs/sharing.md states the counts that follow from the kernels' sizes."""

from __future__ import annotations

import pytest
import torch

from lenetshift import ShiftGrid
from lenetshift.models.build import build_model


@pytest.fixture
def sharing(script):
    return script("tools/generate/sharing.py")


def test_the_table_is_what_the_command_writes(sharing) -> None:
    text = sharing.PAGE.read_text()
    assert sharing.render(text) == text


def test_plain_counts_are_those_of_the_layers(sharing) -> None:
    """Counted again in a forward pass of the model."""
    model, counted = build_model("symmetric_lenet5", seed=0), []

    def count(layer, inputs, output) -> None:
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            counted.append(layer.weight[0].numel() * output.numel())

    for layer in model.modules():
        layer.register_forward_hook(count)
    model(torch.zeros(1, 1, 28, 28))
    c1, dense_c3, c5, f6, output = counted
    n = len(ShiftGrid())
    expected = {"C1": c1, "C3": dense_c3 * 60 / 96, "C5": c5, "F6 and output": f6 + output}
    assert sharing.counts(ShiftGrid()).plain == {name: n * v for name, v in expected.items()}


def test_one_shift_shares_nothing(sharing) -> None:
    """Except the canvas of C3, which has all places, while one shift reads every second one."""
    found = sharing.counts(ShiftGrid(range(1), range(1)))
    assert found.shared["C1"] == found.plain["C1"]
    assert found.shared["C5"] == found.in_forms["C5"] == found.plain["C5"]
    assert found.shared["C3"] / found.plain["C3"] == (19 / 10) ** 2


def test_the_small_form_holds() -> None:
    a, b, c, x0, x1, x2, x3 = torch.randn(7, dtype=torch.float64)
    m1, m2 = (x0 - x2) * a, (x1 + x2) * (a + b + c) / 2
    m4, m3 = (x1 - x3) * c, (x2 - x1) * (a - b + c) / 2
    torch.testing.assert_close(m1 + m2 + m3, a * x0 + b * x1 + c * x2)
    torch.testing.assert_close(m2 - m3 - m4, a * x1 + b * x2 + c * x3)
