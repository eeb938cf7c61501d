"""``python -m lenetshift.reproduce`` trains, evaluates, prints Table 1, draws."""

from __future__ import annotations

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
