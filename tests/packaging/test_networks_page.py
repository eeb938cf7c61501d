"""docs/networks.md is written from its results, and the command keeps what it has."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn


@pytest.fixture
def networks(script, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = script("tools/generate/networks.py")
    set_up = {
        "machine": {"cpu": "CPU", "cores": 2, "memory_gb": 8, "system": "Linux"},
        "versions": {"torch": "2"},
        "load": 1.0,
    }
    monkeypatch.setattr(module, "set_up", lambda: set_up)
    monkeypatch.setattr(module, "SAMPLE_S", 0.0)
    return module


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(800, 5))


def broken() -> nn.Module:
    return nn.Linear(3, 3)


def run(networks: ModuleType, out: Path, *options: str) -> str:
    entry = networks.Entry
    entries = (entry("small", 12, small, "test"), entry("broken", 12, broken, "test"))
    threads = torch.get_num_threads()
    try:
        networks.main(["--out", str(out), *options], entries)
    finally:
        torch.set_num_threads(threads)
    return out.read_text()


def test_the_page_is_what_the_command_writes(networks: ModuleType) -> None:
    rows = list(networks.kept(networks.PAGE.with_suffix(".json")).values())
    assert networks.page(rows) == networks.PAGE.read_text()


def test_the_quick_networks_are_of_the_list(networks: ModuleType) -> None:
    names = [entry.name for entry in networks.ENTRIES]
    assert len(set(names)) == len(names) >= 60
    assert {*networks.QUICK} <= {*names}
    assert len(networks.QUICK) == 6


def test_a_list_is_measured_and_rows_are_kept(networks: ModuleType, tmp_path, capsys) -> None:
    page = run(networks, out := tmp_path / "page.md", "--turns", "1")
    row, failure = json.loads(out.with_suffix(".json").read_text())
    assert (row["name"], row["method"], row["other_answers"]) == ("small", "shared", 0)
    assert row["difference"] < 1e-5
    assert row["patterns"] == 16
    assert failure["method"] == "failed"
    assert "- Methods: 1 shared, 1 failed.\n" in page
    assert "broken (nan)" in page.split("- Slower than 0.97")[1].split("\n")[0]
    assert (
        "| small | 12 | shared | all 16 windows of a 15 x 15 canvas at once; 1 BatchNorm folded | "
        in page
    )
    assert capsys.readouterr().out.count("of 2, ") == 2
    assert run(networks, out, "--keep") == page
    assert not capsys.readouterr().out  # nothing was measured
    assert run(networks, out, "--only", "small", "--turns", "1").count("\n| ") == 3
    assert capsys.readouterr().out.startswith("| small |")


def test_numbers_of_a_row(networks: ModuleType) -> None:
    logits = torch.tensor([[4.0, 1.0], [1.0, 1.00001], [2.0, 1.0]])
    ours = torch.tensor([[4.0, 1.4], [1.00002, 1.0], [0.0, 1.0]])
    difference, others = networks.compared(ours, logits)
    assert difference == pytest.approx(1)
    assert others == 1  # the second pattern is a tie
    row = networks.failed(networks.Entry("x", 8, small, "test"), ValueError("a\nb"), 2)
    row = replace(row, seconds={"auto": 1.0, "plain": 3.0, "loop": 2.0}, patterns=1000)
    assert row.ratio == 2
    assert networks.line(row).endswith(" | 1 | 3 | 2 | 2.00 |")
    assert "\n" not in networks.line(row)
