"""docs/reproduction/recompute.py computes the same conclusions as the package, and names what differs."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lenetshift.checks.text import json_value
from lenetshift.study import summary
from lenetshift.study.experiments import EXPERIMENTS, table
from lenetshift.study.experiments.claims import claims
from lenetshift.study.experiments.nearest import OWN_EPOCHS, SYMMETRIC
from lenetshift.study.experiments.position_bias import FIGURES
from lenetshift.study.experiments.recorded import Recorded
from lenetshift.study.experiments.runs import Run
from lenetshift.study.experiments.settings import reported

KEPT = Path(__file__).parents[2] / "docs" / "reproduction"
SCRIPT = KEPT / "recompute.py"

Values = dict[str, list[float]]


def of_file(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class MadeUp:
    """Measures of every run of a study, drawn at random: how far a setting's means lie from others', and how
    much its seeds scatter. The rest is what a case asks for.

    Args:
        case: of which the draws depend.
        met_at: the number of epochs at which Model 2's row of Table 1 is met; 0: at none.
        not_learnt: the share of settings whose networks read 11 per cent.
        seeds: how many, except in the experiment ``nearest``.
        whole: whether accuracies are whole numbers, so that some are equal after several numbers of epochs.
    """

    def __init__(
        self, case: int, met_at: int, not_learnt: float = 0, seeds: int = 20, whole: bool = False
    ) -> None:
        self.case, self.draws = case, np.random.default_rng(case)
        self.met_at, self.not_learnt, self.seeds, self.whole = met_at, not_learnt, seeds, whole

    def around(self, mean: float, n: int) -> list[float]:
        scatter = 2 if self.whole else self.draws.choice([0.1, 0.5, 2])
        values = mean + scatter * self.draws.normal(size=n)
        return (values.round() if self.whole else values).tolist()

    def of_run(self, run: Run, epochs: int, n: int) -> Values:
        name = f"{run.experiment}/{run.setting}"
        self.draws = np.random.default_rng([self.case, epochs, *name.encode()])
        learnt = self.draws.random() >= self.not_learnt
        apart = self.draws.choice([-4.0, -0.5, 0.0, 0.5, 4.0], 6)
        unmoved = self.around(92 + epochs / 5 + apart[0] if learnt else 11, n)
        moved = self.around(50 + epochs / 2 + apart[1], n)
        shares = self.draws.choice([0.05, 0.5, 1.0], 2)
        values = {
            "unmoved": unmoved,
            "moved": moved,
            "kept": self.around(60 + apart[2], n),
            "change": np.subtract(moved, unmoved).tolist(),
            **{f"dx={dx}": self.around(94 - abs(dx) + apart[3], n) for dx in (-2, 0, 2)},
            "answered 3 at dx=3": self.around(50 + 2 * apart[4], n),
            "answered 2 at dx=-3": self.around(51 + 2 * apart[5], n),
            **{
                name: (100.0 * (self.draws.random(n) < share)).tolist()
                for name, share in zip(FIGURES, shares, strict=True)
            },
        }
        if run.experiment == "table" and not run.rule:
            off, scatter = self.draws.choice([0, 0.8, 6], 2), self.draws.normal(0, 0.2, (n, 2))
            values["unmoved"], values["moved"] = (reported(run.network) + off + scatter).T.tolist()
        if run.setting == f"{run.network}_{OWN_EPOCHS.name}":
            best = OWN_EPOCHS.epochs_of(run.network) if run.network != SYMMETRIC else self.met_at
            off = [0, 0] if epochs == best else [3, 12]
            scatter = self.draws.multivariate_normal([0, 0], [[0.3, 0.2], [0.2, 1.5]], n)
            values["unmoved"], values["moved"] = (reported(run.network) - off + scatter).T.tolist()
        return values

    def of_experiment(self, name: str) -> dict[tuple[str, int], Values]:
        runs = EXPERIMENTS[name].runs(range(20 if name == "nearest" else self.seeds), False)
        n_seeds = Counter(run.setting for run in runs)
        return {
            (run.setting, epochs): self.of_run(run, epochs, n_seeds[run.setting])
            for run in {run.setting: run for run in runs}.values()
            for epochs in run.epochs
        }


def made_up(**case: Any) -> dict[str, Any]:
    """The summary of a study with made-up measures."""
    draw = MadeUp(**case)
    measures = {name: draw.of_experiment(name) for name in EXPERIMENTS if name != "settings"}
    used = Recorded(measures)
    dossier = {
        "study": {"quick": False},
        "table": {"cells": table.cells(measures["table"])},
        "claims": claims(used, range(10_000)),
        "values": used.values_read(table.values_read()),
        "summaries": [],
        "runs": [],
    }
    return summary.summarize_dossier(json.dumps(json_value(dossier)).encode())


CASES: dict[str, dict[str, Any]] = {
    "met": {"case": 1, "met_at": 10},
    "met with the most epochs": {"case": 2, "met_at": OWN_EPOCHS.epochs_of("lenet5")},
    "never met": {"case": 3, "met_at": 0},
    "some have not learnt": {"case": 4, "met_at": 10, "not_learnt": 0.3},
    "few seeds": {"case": 5, "met_at": 10, "seeds": 4},
    "equal accuracies": {"case": 15, "met_at": 10, "whole": True},
}


@pytest.fixture(scope="module")
def studies() -> dict[str, dict[str, Any]]:
    return {name: made_up(**case) for name, case in CASES.items()}


@pytest.fixture
def recompute(tmp_path) -> Callable[[dict[str, Any]], subprocess.CompletedProcess[str]]:
    def run(study: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        summary.write_summary(tmp_path / summary.SUMMARY, study)
        return of_file(tmp_path / summary.SUMMARY)

    return run


def parts_of(study: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {part["name"]: part for claim in study["claims"] for part in claim["parts"]}


@pytest.mark.parametrize("name", CASES)
def test_the_same_numbers_and_verdicts(studies, recompute, name) -> None:
    done = recompute(studies[name])
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert re.search(r"\n0 of \d+ numbers and verdicts differ\.\n\Z", done.stdout)
    for part, of in parts_of(studies[name]).items():
        assert f"\n  {part}: {of['verdict']}\n" in done.stdout


def test_the_made_up_studies_have_every_outcome(studies) -> None:
    parts = {name: parts_of(study) for name, study in studies.items()}
    assert [of["too few epochs"]["verdict"] for of in parts.values()] == [
        *("supported", "left open", "contradicted", "supported", "supported", "supported")
    ]
    of_parts = {part["verdict"] for of in parts.values() for part in of.values()}
    assert of_parts == {"supported", "contradicted", "depends", "left open"}
    of_figures = [of[name]["verdict"] for of in parts.values() for name in FIGURES]
    assert set(of_figures) == {"supported", "contradicted", "left open"}
    cells = {cell["verdict"] for study in studies.values() for cell in study["table"]["cells"]}
    assert cells == {table.AGREES, table.WITHIN_A_POINT, table.DEVIATES}
    of_claims = {claim["verdict"] for study in studies.values() for claim in study["claims"]}
    assert {"partly", "left open"} <= of_claims
    unmoved = [
        row["values"]
        for row in studies["equal accuracies"]["values"]
        if (row["setting"], row["measure"]) == ("mlp_centred", "unmoved")
    ]
    assert any(len(set(of_seed)) < len(of_seed) for of_seed in zip(*unmoved, strict=True))


def test_a_changed_value_of_a_seed(studies, recompute) -> None:
    study = copy.deepcopy(studies["met"])
    (row,) = (
        row
        for row in study["values"]
        if (row["setting"], row["measure"]) == ("lenet5_kernel_9", "moved")
    )
    row["values"][3] += 0.01
    done = recompute(study)
    assert (done.returncode, done.stderr) == (1, "")
    for what in ("value", "interval"):
        where = f"claim 1, larger kernels help, moved after 2 epochs, {what}: stored "
        assert f"\n{where}" in done.stdout


def test_changed_conclusions(studies, recompute) -> None:
    study = copy.deepcopy(studies["met"])
    cells, claims = study["table"]["cells"], study["claims"]
    claims[0]["verdict"] = "untested"
    part = claims[3]["parts"][0]
    part["verdict"] = "untested"
    part["looks"][0]["p"] *= 1 + 1e-5
    part["looks"][0]["verdict"] = "untested"
    part["looks"][1]["interval"][1] += 0.001
    part["looks"][2]["silent"] = "the seeds do not scatter"
    del claims[4]["parts"][4]["looks"][2]["n"]
    cells[0]["verdict"] = "untested"
    cells[1]["sd"] *= 1 + 1e-5
    done = recompute(study)
    assert (done.returncode, done.stderr) == (1, "")
    *_, last = done.stdout.splitlines()
    named = re.findall(r"^(.*): stored .*, computed .*$", done.stdout, re.MULTILINE)
    assert last.startswith(f"{len(named)} of ")
    assert named == [
        "Table 1, lenet5 moved, sd",
        "Table 1, lenet5 unmoved, verdict",
        "claim 0, verdict",
        "claim 3, what it becomes, kept after 12 epochs, silent",
        "claim 3, what it becomes, moved after 12 epochs, p",
        "claim 3, what it becomes, moved after 12 epochs, verdict",
        "claim 3, what it becomes, unmoved after 12 epochs, interval",
        "claim 3, what it becomes, verdict",
        "claim 4, no such network is robust, change after 2 epochs, n",
    ]


def test_a_part_that_is_not_in_the_script(studies, recompute) -> None:
    study = copy.deepcopy(studies["met"])
    study["claims"][2]["parts"][0]["name"] = "Model 4"
    done = recompute(study)
    assert done.returncode == 1
    assert "\nclaim 2, Model 4, verdict: stored " in done.stdout
    assert re.search(r"\nclaim 2, Model 3, verdict: stored nothing, computed \w+", done.stdout)


def test_no_values(studies, recompute, tmp_path) -> None:
    study = copy.deepcopy(studies["met"])
    study["values"] = [row for row in study["values"] if row["setting"] != "lenet5_kernel_9"]
    missing = recompute(study)
    quick = recompute({**study, "study": {"quick": True}})
    for done, message in (
        (missing, "values: got none of 'lenet5_kernel_9', expected all that verdicts rest on"),
        (quick, "got no values, or a quick study, expected the summary of a whole study"),
        (of_file(tmp_path), f"[Errno 21] Is a directory: '{tmp_path}'"),
    ):
        assert done.returncode == 1
        assert re.fullmatch(rf"{re.escape(str(tmp_path))}\S*: {re.escape(message)}\n", done.stderr)


def test_it_shares_no_code_with_the_package() -> None:
    imports = re.findall(r"^\s*(?:import|from) (\w+)", SCRIPT.read_text("utf-8"), re.MULTILINE)
    assert set(imports) == {"functools", "json", "math", "numpy", "pathlib", "scipy", "sys"}


def test_the_kept_summary() -> None:
    """What REPRODUCTION.md says follows from the values of the seeds."""
    kept = json.loads((KEPT / summary.SUMMARY).read_text("utf-8"))
    if "values" not in kept:
        pytest.skip(f"the kept summary has schema {kept['schema']}, without the values of seeds")
    done = of_file(KEPT / summary.SUMMARY)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
