"""Fixtures of the tests of commands."""

from __future__ import annotations

import pytest

from lenetshift.cli import bench
from lenetshift.cli.checkup import probe
from lenetshift.cli.checkup.finding import Finding


@pytest.fixture
def short_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "IMAGES", {"cpu": (4, 2)})
    monkeypatch.setattr(bench, "BATCH_SIZES", {"cpu": (11, 55)})
    monkeypatch.setattr(bench, "REPETITIONS", 3)


@pytest.fixture
def no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doctor starts no process."""
    found = [Finding("core", "nothing is tried", "nothing")]
    monkeypatch.setattr(probe, "probe", lambda _: found)
