"""``python -m lenetshift.verify DIR`` recomputes a study's dossier."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .cli.command import alone
from .cli.interrupts import as_process


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, by default that of the process, and return the exit status."""
    return alone("verify", arguments)


if __name__ == "__main__":
    sys.exit(as_process(main))
