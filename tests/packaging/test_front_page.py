"""The tables and the figure of speed match the committed result files, and each other."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

ROOT = Path(__file__).parents[2]
NAMES = ("amd-epyc-2-cores.json", "nvidia-h200.json")
LENET5 = "predict_shifts/lenet5"


@pytest.fixture
def report(script: Any) -> ModuleType:
    module: ModuleType = script("benchmarks/report.py")
    return module


@pytest.fixture
def files() -> list[dict[str, Any]]:
    """The committed result files, the CPU's first."""
    folder = ROOT / "benchmarks" / "results"
    return [json.loads((folder / name).read_text()) for name in NAMES]


def test_the_tables_are_what_the_command_writes(report, files, tmp_path) -> None:
    front, tables = tmp_path / "front.md", tmp_path / "README.md"
    for page, copy in ((ROOT / "README.md", front), (ROOT / "benchmarks/README.md", tables)):
        shutil.copyfile(page, copy)
    report.update_front_page(files, front)
    for results in files:
        report.update_readme(results, tables)
    assert front.read_text() == (ROOT / "README.md").read_text()
    assert tables.read_text() == (ROOT / "benchmarks/README.md").read_text()


def test_the_figure_is_drawn_from_the_same_file(report, files) -> None:
    with Image.open(ROOT / "benchmarks" / "scaling.png") as png:
        shown = png.text["Description"]  # type: ignore[attr-defined]
    assert shown == report.scaling.described(report.with_one_time(files[0])["scaling"])


def test_lenet5_has_one_time(report, files, monkeypatch, tmp_path) -> None:
    """At 10,000 images under 55 shifts on the CPU: in both READMEs, in every table, and in the figure."""
    results = files[0]
    (case,) = [each for each in results["cases"] if each["case"] == LENET5]
    time = report.format_seconds(case["ours_s"])
    front = (ROOT / "README.md").read_text()
    assert re.search(rf"\| LeNet-5 \| {results['machine']['cpu']}[^|]* \| {time} \|", front)
    tables = (ROOT / "benchmarks" / "README.md").read_text()
    assert f"| `{LENET5}` | {time} |" in tables
    assert f"| `lenet5` | 10,000 | {time} |" in tables
    (of_isas,) = re.findall(rf"^\| `{LENET5}` \|((?: [\d.]+ m?s \|){{3}})$", tables, re.MULTILINE)
    assert f" {time} |" in of_isas
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    report.draw(results, tmp_path / "scaling.png")
    (line,) = [line for line in drawn[0].axes[1].lines if line.get_label() == "LeNet-5"]
    assert dict(zip(*line.get_data(), strict=True))[10_000] == case["ours_s"]


def test_other_rows_keep_their_times(report) -> None:
    """Of other numbers of images, other instruction sets, and what has no case."""
    row = {"model": "lenet5", "n_images": 10_000, "seconds": 2.0}
    of_isa = {"case": LENET5, "isa": "avx2", "ours_s": 2.0}
    results = {
        "isa": "avx2",
        "cases": [{"case": LENET5, "n_images": 10_000, "ours_s": 1.0}],
        "scaling": {
            "shifts": [row],
            "images": [row, row | {"n_images": 9}, row | {"model": "mlp"}],
        },
        "isas": [of_isa, of_isa | {"isa": "avx512"}, of_isa | {"case": "c3_conv"}],
    }
    found = report.with_one_time(results)
    assert [each["seconds"] for each in found["scaling"]["images"]] == [1.0, 2.0, 2.0]
    assert [each["ours_s"] for each in found["isas"]] == [1.0, 2.0, 2.0]
    assert found["scaling"]["shifts"] == [row]
    assert results["scaling"]["images"][0] == row


def made_up(gpu: str, version: str, **ratios: float) -> dict:
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


def test_losses_stand_in_the_table(report) -> None:
    few = {"predict_shifts__mlp": 0.5, "indirect__a": 0.25, "indirect__b": 0.75, "indirect__c": 3}
    *_, shown, slower = report.front_table([made_up("card", "1.0", **few)]).splitlines()
    assert shown == "| MLP | card | 1.00 ms | 25% | **0.5 x** peer |"
    assert slower == (
        "| `indirect`: 2 of 3 cases | card | 1.00 ms | 25% | **0.25 x** to **0.75 x** the best peer |"
    )


def test_versions_stand_above_the_table(report) -> None:
    a, b = (made_up(name, version) for name, version in (("a", "1.0"), ("b", "2.0")))
    assert report.front_table([a, a]).startswith("lenetshift 1.0, PyTorch 2.13.0.\n\n")
    both = "lenetshift 1.0, PyTorch 2.13.0 on a; lenetshift 2.0, PyTorch 2.13.0 on b.\n"
    assert report.front_table([a, b]).startswith(both)


def test_cases_of_another_version_are_not_kept(script) -> None:
    run = script("benchmarks/run.py")
    same = {"device": "cpu", "threads": 2, "isa": "avx2", "unavailable": {}}
    old, new = ({**made_up("card", version), **same} for version in ("1.0", "2.0"))
    assert run.with_kept(new, {**old, "versions": new["versions"]})["cases"] == []
    with pytest.raises(
        ValueError, match=r"--keep: the file is of lenetshift 1\.0, this run of 2\.0"
    ):
        run.with_kept(new, old)
