"""``python -m lenetshift``: the command ``lenetshift``."""

from __future__ import annotations

import sys

from .cli.command import main
from .cli.interrupts import as_process

if __name__ == "__main__":
    sys.exit(as_process(lambda: main(prog="python -m lenetshift")))
