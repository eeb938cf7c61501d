"""The README's table of speed is of the committed result files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_table_is_what_the_command_writes(monkeypatch, tmp_path) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import report

    names = ("amd-epyc-2-cores", "nvidia-h200")
    files = [
        json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text()) for name in names
    ]
    copy = tmp_path / "README.md"
    text = (ROOT / "README.md").read_text()
    copy.write_text(text)
    report.update_front_page(files, copy)
    assert copy.read_text() == text
    for name in ("report", "common", "timing"):
        sys.modules.pop(name)
