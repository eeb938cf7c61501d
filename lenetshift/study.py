"""``python -m lenetshift.study`` tests the report's numbers and claims, and writes the dossier."""

from __future__ import annotations

import sys

from .cli.study import main

if __name__ == "__main__":
    sys.exit(main())
