"""The grid of shifts."""

import dataclasses
from typing import Any

import pytest
import torch

from lenetshift.shifts import ShiftGrid


def test_default_is_the_reports_grid() -> None:
    grid = ShiftGrid()
    assert (grid.n_dx, grid.n_dy, grid.shape, len(grid)) == (11, 5, (5, 11), 55)
    assert list(grid.dx) == [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5]
    assert list(grid.dy) == [-2, -1, 0, 1, 2]
    assert grid.has_centre
    assert grid.index(0, 0) == (2, 5)


def test_shifts_are_dy_major_and_agree_with_index() -> None:
    grid = ShiftGrid(range(-1, 3), range(4, 7))
    shifts = grid.shifts()
    assert shifts.dtype == torch.int64
    assert shifts.shape == (12, 2)
    for i, (dx, dy) in enumerate(shifts.tolist()):
        row, column = grid.index(dx, dy)
        assert row * grid.n_dx + column == i
    assert shifts[:5].tolist() == [[-1, 4], [0, 4], [1, 4], [2, 4], [-1, 5]]


def test_a_grid_may_lack_the_centre() -> None:
    assert not ShiftGrid(range(1, 4), range(-2, 3)).has_centre
    assert not ShiftGrid(range(-5, 6), range(-2, 0)).has_centre
    assert ShiftGrid(range(1), range(1)).has_centre


def test_the_widest_grid() -> None:
    assert len(ShiftGrid(range(-27, 28), range(-27, 28))) == 55 * 55


def test_grids_have_steps_of_any_size() -> None:
    grid = ShiftGrid(range(-6, 7, 3), range(100, 201, 50))
    assert grid.shape == (3, 5)
    assert grid.shifts()[6].tolist() == [-3, 150]
    assert grid.index(3, 200) == (2, 3)
    expected = (
        r"^shift: .* expected dx in -6\.\.6 in steps of 3 and dy in 100\.\.200 in steps of 50$"
    )
    with pytest.raises(ValueError, match=expected):
        grid.index(1, 100)


def test_grids_are_values() -> None:
    assert ShiftGrid(range(2), range(2)) == ShiftGrid(range(0, 2), range(0, 2))
    assert len({ShiftGrid(), ShiftGrid()}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        ShiftGrid().dx = range(3)  # type: ignore[misc]


@pytest.mark.parametrize(
    "values",
    [range(0), range(3, 1), range(5, 0, 2), range(3, 0, -1), [0, 1], 3, None],
)
@pytest.mark.parametrize("name", ["dx", "dy"])
def test_bad_ranges_are_refused(name: str, values: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: got .*, expected [^\n]*$"):
        ShiftGrid(**{name: values})


@pytest.mark.parametrize(
    "values",
    [
        range(10**30),
        range(-(10**30), 1),
        range(10**30, 10**30 + 1),
        range(-(10**30), 10**30, 10**30),
    ],
)
def test_ranges_beyond_every_image_are_refused(values: range) -> None:
    """Those whose length Python cannot give."""
    with pytest.raises(ValueError, match=r"^dx: got .*, expected shifts within -"):
        ShiftGrid(dx=values)
    with pytest.raises(ValueError, match=r"^dy: got .*, expected "):
        ShiftGrid(dy=range(values[-1], values[0] - 1, -1))


def test_index_of_an_absent_shift_is_refused() -> None:
    expected = r"^shift: got \(dx, dy\) = \(6, 0\), expected dx in -5\.\.5 and dy in -2\.\.2$"
    with pytest.raises(ValueError, match=expected):
        ShiftGrid().index(6, 0)
    for shift in ((1.0, 0), (0, 1.0), (True, 0), (0, None)):
        with pytest.raises(ValueError, match=r"^shift: got \(dx, dy\) = \("):
            ShiftGrid().index(*shift)
    expected = r"expected dx in -4\.\.4 in steps of 2 and dy in 0\.\.6 in steps of 3$"
    with pytest.raises(ValueError, match=expected):
        ShiftGrid(range(-4, 5, 2), range(0, 7, 3)).index(1, 0)


def test_how_far_shifts_may_go() -> None:
    farthest = 2**40
    assert ShiftGrid(dx=range(-farthest, farthest + 1, farthest)).n_dx == 3
    for values, got in (
        (range(farthest + 1, farthest + 2), "1099511627777..1099511627777"),
        (range(-farthest - 1, 0, farthest), "-1099511627777..-1 in steps of 1099511627776"),
    ):
        with pytest.raises(
            ValueError, match=rf"^dy: got {got}, expected shifts within -\d+\.\.\d+$"
        ):
            ShiftGrid(dy=values)
