"""What ends a command in one line. This file imports nothing, torch least of all."""

from __future__ import annotations


class UsageError(Exception):
    """An option is not possible: one line that names it and the reason."""


class DataError(ValueError):
    """A data file that is missing, damaged or not what it should be; one line naming the file."""


class StorageError(Exception):
    """A result folder cannot be used: one line that names the folder or file and the reason."""


class Differs(Exception):
    """The first thing in a dossier that is not as it must be, in one line."""
