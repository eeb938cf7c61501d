"""Lines in tables: what each window reads, and that windows share a line wherever they read the same."""

from __future__ import annotations

import gc
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import with_every_axis_operation
from torch import nn

from lenetshift import ShiftGrid
from lenetshift.predict.shared.canvas import Frame
from lenetshift.predict.shared.geometry import BEYOND, MOST_KNOWN, PADDED, Axis, NotShared, Taps
from lenetshift.predict.shared.model import SharedModel
from lenetshift.predict.shared.recorder import record

Windows = list[list[Hashable]]
"""What each place of each window holds: a pixel, or what was read for it."""


def contents(axis: Axis, lines: list[Hashable]) -> Windows:
    """The windows of an axis whose lines hold ``lines``."""
    assert len(lines) == axis.lines
    return [[lines[line] for line in row] for row in axis.table]


def read_by(taps: Taps, lines: list[Hashable]) -> list[Hashable]:
    """What each line of a result has read."""
    outside = {PADDED: "padded", BEYOND: "beyond"}
    return [
        tuple(outside[tap] if tap < 0 else lines[tap] for tap in row) for row in taps.table.tolist()
    ]


def slid(
    window: list[Hashable], kernel: int, stride: int, dilation: int, padding: int, ceil_mode: bool
) -> list[Hashable]:
    """A kernel slid over one window, place by place, as PyTorch's documentation describes it."""
    size, reach = len(window), (kernel - 1) * dilation + 1
    read: list[Hashable] = []
    first = -padding
    covered = 0
    while True:
        fits = first + reach <= size + padding
        hangs_over = ceil_mode and first < size and covered < size + padding
        if not fits and not hangs_over:
            return read
        places = [first + k * dilation for k in range(kernel)]
        read.append(
            tuple(
                "beyond" if at >= size + padding else window[at] if 0 <= at < size else "padded"
                for at in places
            )
        )
        covered, first = first + reach, first + stride


@st.composite
def steps(draw: st.DrawFn, axis: Axis, lines: list[Hashable], windows: Windows) -> Any:
    """An operation on an axis: the axis after it, what its lines hold, and the windows place by place."""
    size = axis.size
    kind = draw(st.sampled_from(["slid", "slid", "read", "padded", "chosen", "joined", "written"]))
    if kind == "slid":
        dilation = draw(st.integers(1, 2))
        kernel = draw(st.integers(1, max(1, min(4, (size - 1) // dilation + 1))))
        stride, padding = draw(st.integers(1, 3)), draw(st.integers(0, kernel // 2))
        ceil_mode = draw(st.booleans())
        after, taps = axis.slid(kernel, stride, dilation, padding, ceil_mode=ceil_mode)
        by_place = [slid(w, kernel, stride, dilation, padding, ceil_mode) for w in windows]
        return after, read_by(taps, lines), by_place
    places = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=6))
    if kind == "read":
        table = [[at, BEYOND if at % 2 else 0] for at in places]
        after, taps = axis.read(np.array(table))
        by_place = [[(w[at], "beyond" if at % 2 else w[0]) for at in places] for w in windows]
        return after, read_by(taps, lines), by_place
    if kind == "padded":
        before, behind = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        number = ("number", len(lines))
        by_place = [[number] * before + w + [number] * behind for w in windows]
        return axis.padded(before, behind), [*lines, number], by_place
    if kind == "chosen":
        return axis.chosen(places), lines, [[w[at] for at in places] for w in windows]
    other = axis.chosen([(3 * k + 1) % size for k in range(size)])
    turned = [[w[(3 * k + 1) % size] for k in range(size)] for w in windows]
    if kind == "joined":
        after, taken = axis.joined((other,))
        held = [tuple(pair) for pair in zip(*(read_by(t, lines) for t in taken), strict=True)]
        by_place = [
            [((a,), (b,)) for a, b in zip(*pair, strict=True)]
            for pair in zip(windows, turned, strict=True)
        ]
        return after, held, by_place
    start = draw(st.integers(0, size - 1))
    at = range(start, size, draw(st.integers(1, 3)))
    after, taps = axis.written(other.chosen(at), at)
    held = read_by(taps, [("kept", line) for line in lines] + [("new", line) for line in lines])
    by_place = [
        [(("new", t[k]),) if k in at else (("kept", w[k]),) for k in range(size)]
        for w, t in zip(windows, turned, strict=True)
    ]
    return after, held, by_place


@settings(max_examples=300, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_windows_hold_what_they_would_hold_place_by_place(data: st.DataObject) -> None:
    n, step, size = (data.draw(st.integers(low, 5)) for low in (1, 0, 1))
    axis = Axis.spaced(n, step, size + 3)
    lines: list[Hashable] = list(range(axis.lines))
    windows: Windows = [[m * step + i for i in range(size + 3)] for m in range(n)]
    for _ in range(data.draw(st.integers(1, 4))):
        axis, lines, windows = data.draw(steps(axis, lines, windows))
        assert contents(axis, lines) == windows
        assert (axis.windows, axis.size) == (n, len(windows[0]))
        if axis.size == 0 or axis.size > 30:
            return
    after, taps = axis.slid(1)
    assert after.lines == len(taps.table) == len({value for w in windows for value in w})


@pytest.mark.parametrize(
    ("step", "stride", "even"),
    [(1, 2, (0, 1, 1)), (2, 2, (0, 2, 1)), (4, 6, None), (3, 2, None), (0, 3, (0, 3, 1))],
)
def test_there_is_a_line_for_each_receptive_field(
    step: int, stride: int, even: tuple[int, int, int] | None
) -> None:
    after, taps = Axis.spaced(5, step, 20).slid(3, stride)
    assert after.lines == len({m * step + i * stride for m in range(5) for i in range(after.size)})
    assert taps.even == even
    # With padding, the first and last place of every window have a line of their own.
    padded, taps = Axis.spaced(5, 1, 20).slid(3, padding=1)
    assert padded.lines == 22 + 2 * 5
    assert taps.even is None


@given(
    st.integers(0, 5), st.integers(0, 3), st.integers(0, 3), st.integers(1, 4), st.integers(1, 4)
)
def test_even_tables_are_known(first: int, step: int, gap: int, n: int, size: int) -> None:
    table = first + step * np.arange(n)[:, None] + gap * np.arange(size)
    steps = (step if n > 1 else 1, gap if size > 1 else 1)
    assert Axis(table, 40).even == (first, *steps)
    assert Taps(table).even == ((first, *steps) if min(steps) > 0 else None)
    assert Taps(table).takes_all(n) == (first == 0 and steps[0] == 1 and size == 1)
    assert not Taps(table).takes_all(n + 1)
    for at in np.ndindex(n, size):
        other = table.copy()
        other[at] = other[at] + 1 if max(at) > 1 else -1  # another distance; outside
        assert Taps(other).even is None


def test_windows_of_different_sizes_are_not_joined() -> None:
    axis = Axis.spaced(3, 1, 5)
    for other in (Axis.spaced(3, 1, 4), Axis.spaced(2, 1, 5)):
        with pytest.raises(NotShared, match="combines maps of different sizes"):
            axis.joined((other,))


def every_axis(axes: list[Axis]) -> set[int]:
    """All axes and tables that axes know, by id."""
    found: set[int] = set()
    stack: list[Any] = list(axes)
    while stack:
        value = stack.pop()
        if isinstance(value, (tuple, list)):
            stack.extend(value)
        elif isinstance(value, (Axis, Taps)) and id(value) not in found:
            found.add(id(value))
            stack.extend(value._known.items() if isinstance(value, Axis) else ())
    return found


def shared_model(network: nn.Module) -> tuple[SharedModel, torch.Tensor]:
    images = torch.rand(3, 1, 9, 8)
    frame = Frame(ShiftGrid(range(-1, 2), range(2)), (9, 8), (9, 8), torch.zeros(1))
    return SharedModel(record(network, images), frame, images), images


def test_nothing_grows_from_call_to_call() -> None:
    shared, images = shared_model(with_every_axis_operation())
    known = every_axis([*shared.frames[0].axes(shared.margin)])
    assert len(known) > 20
    for _ in range(3):
        shared.answer(images)
    gc.collect()
    assert every_axis([*shared.frames[0].axes(shared.margin)]) == known


def test_threads_that_ask_at_once_get_the_same_axis() -> None:
    n = 8
    for _ in range(20):
        axis, start = Axis.spaced(40, 1, 60), Barrier(n)

        def ask(_: int, axis: Axis = axis, start: Barrier = start) -> Axis:
            start.wait()
            return axis.slid(3, padding=1)[0]

        with ThreadPoolExecutor(n) as threads:
            assert len({id(after) for after in threads.map(ask, range(n))}) == 1


@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 3), st.integers(1, 2), st.data())
def test_padding_on_a_canvas_takes_what_is_blank(
    n: int, kernel: int, padding: int, stride: int, data: st.DataObject
) -> None:
    """Every window reads its own values, and for padding a line that is blank, or none."""
    size, margin = data.draw(st.integers(4, 8)), data.draw(st.integers(0, 3))
    axis = Axis.spaced(n, data.draw(st.integers(1, 3)), size, margin)
    blank = np.array(data.draw(st.lists(st.booleans(), min_size=axis.lines, max_size=axis.lines)))
    after, taps = axis.slid_on_canvas(kernel, stride, 1, padding, blank.tobytes())
    for window, own in zip(after.table, axis.table, strict=True):
        for place, line in enumerate(window):
            for tap, read in enumerate(taps.table[line]):
                at = place * stride + tap - padding
                if 0 <= at < size:
                    assert read == own[at]
                else:
                    there = own[0] + at
                    usable = 0 <= there < axis.lines and blank[there]
                    assert read == (there if usable else PADDED)


def test_a_canvas_forgets_what_images_of_many_kinds_need() -> None:
    axis = Axis.spaced(9, 1, 12, margin=2)
    for number in range(1000):
        blank = np.array([number >> bit & 1 for bit in range(axis.lines)], bool)
        axis.slid_on_canvas(3, 1, 1, 2, blank.tobytes())
        assert len(axis._known) <= MOST_KNOWN + 1
