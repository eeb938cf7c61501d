"""``python -m lenetshift.verify DIR`` recomputes all that a study's dossier says."""

from __future__ import annotations

import sys

from .cli.verify import main

if __name__ == "__main__":
    sys.exit(main())
