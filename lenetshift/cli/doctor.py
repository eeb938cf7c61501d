"""The command ``doctor``: what is installed, what will be used and why, what is wrong and what to do.

This process imports neither torch nor the compiled core. :mod:`lenetshift.cli.checkup.probe` does, in another
process, so that nothing broken there ends this one.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from ..checks.repository import documentation
from ..checks.text import one_line
from .checkup import here, probe
from .checkup.finding import NOTE, OK, WRONG, Finding
from .colour import RED, YELLOW, painted
from .options import add_json
from .output import check_writable, give

DESCRIPTION = (
    "Show what is installed, what will be used and why (instruction set, threads, CUDA), whether the "
    "packaged data and the compiled core are intact, and, for everything that is wrong, what to do. Works "
    "even if torch is missing or broken: what could crash is tried in another process."
)
EXAMPLE = "doctor --json"
STATUS = (
    "Exit status: 0 everything is fine, 1 something is wrong, 2 cannot be done, 130 interrupted"
)
NEEDS = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--no-torch", action="store_true",
        help="do not start torch, which takes seconds: its version is shown, but torch and CUDA are not "
        "tried",
    )  # fmt: skip
    add_json(parser, "all findings")


def run(args: argparse.Namespace) -> int:
    """Look, and give the findings; 1 if something is wrong."""
    check_writable({"--json": args.json})
    tried = probe.probe(["core"] if args.no_torch else list(probe.STAGES))
    facts = {finding.name: finding.facts or {} for finding in tried}
    threads = here.threads(facts.get("torch", {}).get("threads"))
    findings = [*here.look(), threads, *tried]
    n_wrong = sum(finding.state == WRONG for finding in findings)
    value = {"ok": not n_wrong, "findings": [asdict(finding) for finding in findings]}
    give(args.json, value, _text(findings, n_wrong))
    return 1 if n_wrong else 0


def _text(findings: list[Finding], n_wrong: int) -> str:
    lines = []
    marks = {OK: " ", NOTE: painted("-", YELLOW, sys.stdout), WRONG: painted("!", RED, sys.stdout)}
    for finding in findings:
        lines.append(f"{marks[finding.state]} {one_line(f'{finding.name:14}{finding.text}')}")
        if finding.do:
            lines.append(one_line(f"{'':16}-> {finding.do}"))
    if not n_wrong:
        return "\n".join([*lines, "Everything is fine."])
    things = "1 thing is" if n_wrong == 1 else f"{n_wrong} things are"
    return "\n".join([*lines, f"{things} wrong, marked with !.", documentation()])
