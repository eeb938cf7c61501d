"""The README's table of speed matches the committed result files."""

from __future__ import annotations

import json
from pathlib import Path

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
