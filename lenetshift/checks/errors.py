"""The exceptions of the package. This file imports nothing."""

from __future__ import annotations


class ArgumentError(ValueError):
    """An argument is not what is expected, in one line: ``"name: got ..., expected ..."``.

    Attributes:
        name: the argument's name, or a part of it such as ``grid.dx``.
        got: what was passed, as the message shows it.
        expected: what is accepted.
    """

    def __init__(self, name: str, got: str, expected: str) -> None:
        super().__init__(name, got, expected)  # what pickle passes to this method again
        self.name, self.got, self.expected = name, got, expected

    @property
    def problem(self) -> str:
        """The message without the name."""
        return f"got {self.got}, expected {self.expected}"

    def __str__(self) -> str:
        """The message."""
        return f"{self.name}: {self.problem}"


class MethodError(ArgumentError):
    """The method that was asked for cannot be used for this model and these images.

    Attributes:
        reason: why not, the end of a sentence.
    """

    def __init__(self, method: str, reason: str) -> None:
        super().__init__("method", repr(method), "another")
        self.args, self.reason = (method, reason), reason

    @property
    def problem(self) -> str:
        """The message without the name."""
        return f"got {self.got}, but {self.reason}"


class CoreError(ImportError):
    """The compiled core is missing, or does not fit the package.

    Attributes:
        reason: which of them, in a sentence.
        do: what to do.
    """

    do = "build and install it with `pip install .` in the repository's root"

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}: {self.do}")
        self.reason = reason


class NotAvailable(ValueError):
    """A metric needs something that an evaluation does not have: labels, logits or the shift (0, 0)."""


class UsageError(Exception):
    """A command cannot do what its options ask for: one line that names the option and the reason."""


class DataError(ValueError):
    """A data file is missing, damaged or in another format: one line that names the file.

    >>> import lenetshift
    >>> lenetshift.load_mnist("absent")
    Traceback (most recent call last):
    lenetshift.checks.errors.DataError: absent: no such folder, expected one with IDX files
    """


class StorageError(Exception):
    """A result folder or file cannot be used: one line that names it and the reason."""


class ClusterError(StorageError):
    """A Dask cluster does not answer, or is lost: one line that names it and the reason."""


class Differs(Exception):
    """The first difference that a verification finds, in one line."""
