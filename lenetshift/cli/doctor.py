"""The command ``doctor``: what is installed, what will be used and why, what is wrong and what to do.

This process imports neither torch nor the compiled core: :mod:`lenetshift.cli.checkup.probe` does, in
another, so that nothing that is broken there ends this.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ..checks.text import one_line
from .checkup import installed, probed, probing, resources
from .checkup.finding import NOTE, OK, WRONG, Finding
from .output import check_writable, give


def run(args: argparse.Namespace) -> int:
    """Look, and tell; 1 where something is wrong."""
    check_writable({"--json": args.json})
    with probing.Probe(
        ["core"] if args.no_torch else []
    ) as probe:  # it runs while the rest is looked at
        findings = [
            installed.python(),
            *installed.packages(),
            installed.data(),
            *resources.room(),
        ]
        found = probe.result()
    findings += [probed.core(found), probed.isa(found), probed.threads(found)]
    if not args.no_torch:
        findings += [
            look(found) if stage in found else probed.untried(name)
            for name, stage, look in (
                ("torch", "torch", probed.torch),
                ("ops", "ops", probed.ops),
                ("CUDA", "cuda", probed.cuda),
                ("figures", "figures", probed.figures),
            )
        ]
    n_wrong = sum(finding.state == WRONG for finding in findings)
    value = {"ok": not n_wrong, "findings": [asdict(finding) for finding in findings]}
    give(args.json, value, _text(findings, n_wrong))
    return 1 if n_wrong else 0


def _text(findings: list[Finding], n_wrong: int) -> str:
    lines = []
    for finding in findings:
        mark = {OK: "  ", NOTE: "- ", WRONG: "! "}[finding.state]
        lines.append(one_line(f"{mark}{finding.name:14}{finding.text}"))
        if finding.do:
            lines.append(one_line(f"{'':16}-> {finding.do}"))
    things = "1 thing is" if n_wrong == 1 else f"{n_wrong} things are"
    lines.append(f"{things} wrong, marked with !." if n_wrong else "All is well.")
    return "\n".join(lines)
