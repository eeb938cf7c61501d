"""The other process, which imports torch and the compiled core: nothing that is broken there ends this."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
"""The folder that holds the package."""

PROBE_S = 180.0


class Probe:
    """The other process, and what it has found: stage -> its last line, with ``error`` where it failed.

    Args:
        stages: which; none are all.
    """

    def __init__(self, stages: list[str]) -> None:
        """Start it."""
        here = str(ROOT)
        places = [here, *(place for place in sys.path if place and place != here)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lenetshift.cli.checkup.probe", *stages],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        )

    def __enter__(self) -> Probe:
        """The probe itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, whatever happened."""
        self._process.kill()
        self._process.communicate()

    def result(self) -> dict[str, dict[str, Any]]:
        """Wait for it. Of a stage that ended the process, ``error`` says how it ended."""
        try:
            output, _ = self._process.communicate(timeout=PROBE_S)
            end = _end(self._process.returncode)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, _ = self._process.communicate()
            end = f"it has not ended after {PROBE_S:.0f} s"
        found: dict[str, dict[str, Any]] = {}
        begun = ""
        for line in output.splitlines():
            try:
                value = json.loads(line)
            except ValueError:  # printed by something that was imported
                continue
            if isinstance(value, dict) and "begin" in value:
                begun = value["begin"]
            elif isinstance(value, dict) and "end" in value:
                found[value.pop("end")] = value
        if begun not in found:
            found[begun or "core"] = {"error": end}
        return found


def _end(code: int) -> str:
    if code >= 0:
        return f"the process that tried it ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return f"the process that tried it was ended by signal {name}"
