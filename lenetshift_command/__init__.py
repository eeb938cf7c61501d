"""The console scripts ``lenetshift`` and ``lenetshift-reproduce``.

They stand outside the package so that this module's presence says, before the package is imported, that
the process is a command (see ``lenetshift/__init__.py``).
"""

from __future__ import annotations

from lenetshift.cli.command import main
from lenetshift.reproduce import main as reproduce

__all__ = ["main", "reproduce"]
