"""The heap is trimmed when the process has grown, and not before."""

from __future__ import annotations

import pytest

from lenetshift.data import memory

MOST = memory.MOST_GROWTH


@pytest.mark.parametrize(
    ("sizes", "n_trims"),
    [
        ([100, 100 + MOST, 100 + MOST + 1], 1),
        ([100, MOST // 2, MOST - 100, MOST + 100], 0),
        ([100, 200 + MOST, 300 + MOST, 200 + 2 * MOST], 1),
        ([100, 101 + MOST, 102 + 2 * MOST], 2),
        ([2 * MOST, 100, MOST + 101], 1),  # it had become smaller by itself
    ],
)
def test_trims_when_grown(monkeypatch, sizes, n_trims) -> None:
    trimmed, resident = [], [0]
    monkeypatch.setattr(memory, "_after_last_trim", None)
    monkeypatch.setattr(memory, "_malloc_trim", trimmed.append)
    monkeypatch.setattr(memory, "_resident", lambda: resident[-1])
    for size in sizes:
        resident.append(size)
        memory.trim_if_grown()
    assert trimmed == [0] * n_trims


def test_without_glibc_nothing_is_done(monkeypatch) -> None:
    monkeypatch.setattr(memory, "_malloc_trim", None)
    monkeypatch.setattr(memory, "_resident", lambda: pytest.fail("is not needed"))
    memory.trim_if_grown()
