"""Mean and standard deviation over seeds of what ``lenetshift.reproduce`` found, as Markdown.

for seed in 0 1 2 3 4 5 6; do
    python -m lenetshift.reproduce --seed $seed --out results/seed$seed
done
python benchmarks/seeds.py results/seed*
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

from lenetshift.experiments.table import OUTCOMES
from lenetshift.report.tables import DISPLAY_NAMES


def spread(values: list[float]) -> str:
    """Mean and sample standard deviation of fractions, in per cent."""
    percents = [100 * value for value in values]
    deviation = f" ± {statistics.stdev(percents):.1f}" if len(percents) > 1 else ""
    return f"{statistics.mean(percents):.1f}{deviation}"


def main(folders: list[str]) -> None:
    """Print the table of the runs in these folders."""
    runs = [json.loads((Path(folder) / "results.json").read_text()) for folder in folders]
    seeds = ", ".join(str(run["config"]["seed"]) for run in runs)
    print(f"Per cent right, mean ± standard deviation over {len(runs)} seeds ({seeds}):\n")
    print("| model | unmoved | report | moved | report |")
    print("|---|---|---|---|---|")
    for name, display in DISPLAY_NAMES.items():
        rows = [run["models"][name] for run in runs if name in run["models"]]
        if not rows:
            continue
        cells = [display]
        for what in ("unmoved", "moved"):
            cells.append(spread([row[what]["accuracy"] for row in rows]))
            counts = getattr(OUTCOMES[name], what) if name in OUTCOMES else None
            n_patterns = rows[0][what]["correct"] + rows[0][what]["wrong"]
            cells.append(f"{100 * counts['correct'] / n_patterns:.1f}" if counts else "-")
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
