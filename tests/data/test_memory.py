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
        memory.trim_if_grown(always=True)
    assert trimmed == [0] * n_trims


@pytest.mark.parametrize(
    ("seconds", "growth", "always", "n_trims"),
    [
        (1.0, 1.5, False, 1),  # 0.05 s were paid, which is 4 % of 1.25 s
        (1.5, 1.5, False, 2),
        (1.0, 1.5, True, 2),
        (1.0, 2.1, False, 2),  # too much to wait
    ],
)
def test_trimming_takes_little_of_the_time(monkeypatch, seconds, growth, always, n_trims) -> None:
    now, resident, trimmed = [100.0], [0], []

    def trim(_: int) -> None:
        trimmed.append(now[0])
        resident[0] = 0
        now[0] += 0.05

    monkeypatch.setattr(memory, "_after_last_trim", 0)
    monkeypatch.setattr(memory, "_not_before", 0.0)
    monkeypatch.setattr(memory, "SECONDS_PER_BYTE", 0.0)
    monkeypatch.setattr(memory, "_malloc_trim", trim)
    monkeypatch.setattr(memory, "_resident", lambda: resident[0])
    monkeypatch.setattr(memory.time, "monotonic", lambda: now[0])
    resident[0] = 2 * MOST
    memory.trim_if_grown()
    now[0] += seconds
    resident[0] = int(growth * MOST)
    memory.trim_if_grown(always=always)
    assert len(trimmed) == n_trims


def test_without_glibc_nothing_is_done(monkeypatch) -> None:
    monkeypatch.setattr(memory, "_malloc_trim", None)
    monkeypatch.setattr(memory, "_resident", lambda: pytest.fail("is not needed"))
    memory.trim_if_grown()
