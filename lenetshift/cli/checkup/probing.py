"""The other process, which imports torch and the compiled core: nothing that is broken there can end this."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from .finding import NOTE, Finding
from .probe import STAGES

ROOT = Path(__file__).parents[3]
"""The folder that holds the package."""

PROBE_S = 180.0


def probe(names: list[str]) -> list[Finding]:
    """What the other process finds at the stages of these names, whatever happens to it."""
    places = [str(ROOT), *(place for place in sys.path if place and place != str(ROOT))]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lenetshift.cli.checkup.probe", *names],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_S,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        )
        output, end = done.stdout, _end(done.returncode)
    except subprocess.TimeoutExpired as slow:
        output, end = slow.stdout or b"", f"it did not end within {PROBE_S:.0f} s"
    found = dict(
        json.loads(line) for line in output.splitlines()
    )  # its end replaces a stage's beginning
    findings: list[Finding] = []
    for stage in (stage for stage in STAGES if stage.name in names):
        if found.get(stage.name):
            findings += [Finding(**each) for each in found[stage.name]]
        elif stage.name in found or not found:
            findings.append(stage.failed(end))
            found.setdefault(stage.name)
        else:
            text = "not tried: an earlier stage ended the process"
            findings.append(Finding(stage.name, text, state=NOTE))
    return findings


def _end(code: int) -> str:
    if code >= 0:
        return f"the process that tried it ended with status {code}"
    names = {each.value: each.name for each in signal.Signals}
    return f"the process that tried it was ended by signal {names.get(-code, -code)}"
