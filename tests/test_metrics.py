"""Counts and fractions against a loop."""

import json

import pytest
import torch

from lenetshift.metrics import summarize
from lenetshift.shifts import ShiftGrid


def random_case(n: int, grid: ShiftGrid) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(n)
    predictions = torch.randint(0, 3, (n, *grid.shape), dtype=torch.uint8, generator=generator)
    return predictions, torch.randint(0, 3, (n,), generator=generator)


@pytest.mark.parametrize("n", [1, 17])
@pytest.mark.parametrize(
    "grid", [ShiftGrid(), ShiftGrid(range(1), range(1)), ShiftGrid(range(-1, 4), range(3))]
)
def test_against_a_loop(grid: ShiftGrid, n: int) -> None:
    predictions, labels = random_case(n, grid)
    right = {
        (dx, dy): sum(int(predictions[i][grid.index(dx, dy)] == labels[i]) for i in range(n))
        for dx, dy in grid.shifts().tolist()
    }
    total = sum(right.values())
    centre = right[0, 0]
    assert summarize(predictions, labels, grid) == {
        "unmoved": {"correct": centre, "wrong": n - centre, "accuracy": centre / n},
        "moved": {
            "correct": total,
            "wrong": n * len(grid) - total,
            "accuracy": total / (n * len(grid)),
        },
        "accuracy_map": [[right[dx, dy] / n for dx in grid.dx] for dy in grid.dy],
    }


@pytest.mark.parametrize(
    "grid", [ShiftGrid(dx=range(1, 4)), ShiftGrid(dy=range(-2, 0)), ShiftGrid(range(5, 6))]
)
def test_a_grid_without_centre(grid: ShiftGrid) -> None:
    predictions, labels = random_case(5, grid)
    summary = summarize(predictions, labels, grid)
    assert summary["unmoved"] is None
    assert summary["moved"]["correct"] + summary["moved"]["wrong"] == 5 * len(grid)
    assert len(summary["accuracy_map"]) == grid.n_dy
    assert {len(row) for row in summary["accuracy_map"]} == {grid.n_dx}


def test_a_label_of_256_is_not_a_prediction_of_0() -> None:
    grid = ShiftGrid(range(1), range(1))
    summary = summarize(torch.zeros(1, 1, 1, dtype=torch.uint8), torch.tensor([256]), grid)
    assert summary["moved"]["correct"] == 0


def test_the_summary_is_json() -> None:
    summary = summarize(*random_case(4, ShiftGrid()), ShiftGrid())
    assert json.loads(json.dumps(summary)) == summary


@pytest.mark.parametrize(
    ("predictions", "labels", "complaint"),
    [
        (torch.zeros(2, 5, 11), torch.zeros(2).long(), r"predictions: got float32 \[2, 5, 11\]"),
        (torch.zeros(2, 11, 5).byte(), torch.zeros(2).long(), r"predictions: got uint8 \[2, 11"),
        (torch.zeros(2, 55).byte(), torch.zeros(2).long(), r"predictions: got uint8 \[2, 55\]"),
        (torch.zeros(0, 5, 11).byte(), torch.zeros(0).long(), r"predictions: got uint8 \[0, 5, 11"),
        (torch.zeros(2, 5, 11).byte(), torch.zeros(2), r"labels: got float32 \[2\]"),
        (torch.zeros(2, 5, 11).byte(), torch.zeros(1).long(), r"labels: got int64 \[1\]"),
    ],
)
def test_bad_arguments_are_refused(
    predictions: torch.Tensor, labels: torch.Tensor, complaint: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{complaint}.*, expected [^\n]*$"):
        summarize(predictions, labels, ShiftGrid())
