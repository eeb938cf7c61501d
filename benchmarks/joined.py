"""Join result files of one machine and version: ``python benchmarks/joined.py OUT.json FILE ...``.

Each file has some of the cases; a case that several have is taken from the last. Files that do not exist are
named and left out. The tables go into OUT.md.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import report
from run import with_kept, write


def joined(files: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One result file of several; ValueError if they are of several machines or versions."""
    found = functools.reduce(lambda earlier, later: with_kept(later, earlier), files)
    failed = {name: why for each in files for name, why in each["failed"].items()}
    measured = {case["case"] for case in found["cases"]}
    return {
        **{name: value for name, value in found.items() if name != "kept"},
        "failed": {name: why for name, why in failed.items() if name not in measured},
        "quick": any(each["quick"] for each in files),
        "wall_s": sum(each["wall_s"] for each in files),
    }


def main(arguments: Sequence[str]) -> int:
    """Returns 0, 1 if a file is missing, or 2 if none is there."""
    out, *paths = map(Path, arguments)
    missing = [path for path in paths if not path.exists()]
    for path in missing:
        print(f"{path}: no such file", file=sys.stderr)
    if len(missing) == len(paths):
        return 2
    results = joined([json.loads(path.read_text()) for path in paths if path.exists()])
    write(results, out)
    out.with_suffix(".md").write_text(report.tables(results) + "\n")
    return 1 if missing else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python benchmarks/joined.py OUT.json FILE ...")
    sys.exit(main(sys.argv[1:]))
