"""The README's table of speed matches the committed result files, losses included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_table_is_what_the_command_writes(script, tmp_path) -> None:
    report = script("benchmarks/report.py")
    folder = ROOT / "benchmarks" / "results"
    names = ("amd-epyc-2-cores.json", "nvidia-h200.json")
    files = [json.loads((folder / name).read_text()) for name in names]
    copy = tmp_path / "README.md"
    text = (ROOT / "README.md").read_text()
    copy.write_text(text)
    report.update_front_page(files, copy)
    assert copy.read_text() == text


def results(gpu: str, version: str, **ratios: float) -> dict:
    """A result file with cases of these ratios to their best peer."""
    cases = [
        {
            "case": name.replace("__", "/"),
            "best_peer": "peer",
            "ours_s": 1e-3,
            "ours_spread": 0.25,
            "peers": {"peer": 1e-3 * ratio},
            "ratio": ratio,
        }
        for name, ratio in ratios.items()
    ]
    versions = {"lenetshift": version, "torch": "2.13.0"}
    return {"machine": {"gpu": gpu}, "versions": versions, "cases": cases}


def test_losses_stand_in_the_table(script) -> None:
    report = script("benchmarks/report.py")
    few = {"predict_shifts__mlp": 0.5, "indirect__a": 0.25, "indirect__b": 0.75, "indirect__c": 3}
    *_, shown, slower = report.front_table([results("card", "1.0", **few)]).splitlines()
    assert shown == "| MLP | card | 1.00 ms | 25% | **0.5 x** peer |"
    assert slower == (
        "| `indirect`: 2 of 3 cases | card | 1.00 ms | 25% | **0.25 x** to **0.75 x** the best peer |"
    )


def test_versions_stand_above_the_table(script) -> None:
    report = script("benchmarks/report.py")
    a, b = (results(name, version) for name, version in (("a", "1.0"), ("b", "2.0")))
    assert report.front_table([a, a]).startswith("lenetshift 1.0, PyTorch 2.13.0.\n\n")
    both = "lenetshift 1.0, PyTorch 2.13.0 on a; lenetshift 2.0, PyTorch 2.13.0 on b.\n"
    assert report.front_table([a, b]).startswith(both)


def test_cases_of_another_version_are_not_kept(script) -> None:
    run = script("benchmarks/run.py")
    same = {"device": "cpu", "threads": 2, "isa": "avx2", "unavailable": {}}
    old, new = ({**results("card", version), **same} for version in ("1.0", "2.0"))
    assert run.with_kept(new, {**old, "versions": new["versions"]})["cases"] == []
    with pytest.raises(
        ValueError, match=r"--keep: the file is of lenetshift 1\.0, this run of 2\.0"
    ):
        run.with_kept(new, old)
