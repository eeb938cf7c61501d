"""The console scripts ``lenetshift`` and ``lenetshift-reproduce``.

They stand outside the package so that this module's presence says, before the package is imported, that
the process is a command (see ``lenetshift/__init__.py``).
"""

from __future__ import annotations

from lenetshift.cli import command
from lenetshift.cli.interrupts import as_process


def main() -> int:
    """The console script ``lenetshift``; its exit status."""
    return as_process(command.main)


def reproduce() -> int:
    """The console script ``lenetshift-reproduce``; its exit status."""
    return as_process(lambda: command.alone("reproduce"))
