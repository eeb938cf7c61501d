"""A data set that a person's own code, or a package's, makes."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import os
import re
import sys
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import unquote

from ..checks.errors import UsageError


class DatasetName(NamedTuple):
    """What makes a data set, as ``--data`` names it.

    Attributes:
        file: the Python file; empty for a package.
        name: within the file, or the dotted name from the package on.
        arguments: for the class or function.
    """

    file: str
    name: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        """As messages and the printout name it."""
        return f"{self.file}:{self.name}" if self.file else f"package:{self.name}"


_WORDS = {"true": True, "false": False, "none": None}


def dataset_name(text: str) -> DatasetName | None:
    """What a text names; None if it is a path.

    >>> dataset_name("package:torchvision.datasets.CIFAR10?root=data&train=false")
    DatasetName(file='', name='torchvision.datasets.CIFAR10', arguments={'root': 'data', 'train': False})
    >>> dataset_name("sets.py:Digits")
    DatasetName(file='sets.py', name='Digits', arguments={})
    """
    if os.path.exists(text):
        return None
    place, _, query = text.partition("?")
    arguments = dict(map(_argument, filter(None, query.split("&"))))
    if place.startswith("package:"):
        return DatasetName("", place.removeprefix("package:"), arguments)
    found = re.fullmatch(r"(.+\.py):([^\W\d][\w.]*)", place)
    return DatasetName(found[1], found[2], arguments) if found else None


def make_dataset(asked: DatasetName) -> Any:
    """The data set; what the code prints goes to standard error.

    Raises:
        UsageError: something is wrong with the file, the package or the name, or the code raises: one line.
    """
    from .networks.own_code import of_a_person
    from .networks.python_code import executed

    if asked.file:
        option = f"argument --data: {asked.file}"
        found, name = executed(option, asked.file, "data_of"), asked.name
    else:
        option = "argument --data"
        found, name = _imported(asked.name)
    for part in name.split("."):
        with of_a_person(f"{option}: cannot be read"):
            is_there = hasattr(found, part)
        if not is_there:
            holder = "" if isinstance(found, ModuleType) and asked.file else f"{_shown(found)} "
            alike = difflib.get_close_matches(part, dir(found), n=1)
            raise UsageError(
                f"{option}: {holder}has no {part}" + "".join(f", did you mean {n}?" for n in alike)
            )
        found = getattr(found, part)
    if hasattr(found, "__getitem__") and not isinstance(found, type):
        return found
    option += f": {asked.name}"
    if not callable(found):
        raise UsageError(f"{option}: got {type(found).__name__}, expected a class or a function")
    with of_a_person(f"{option}: cannot be made"):
        return found(**asked.arguments)


def _argument(text: str) -> tuple[str, Any]:
    """A keyword argument: a value that is a Python literal, or else a string."""
    key, _, value = text.partition("=")
    value = unquote(value)
    if value.lower() in _WORDS:
        return unquote(key), _WORDS[value.lower()]
    try:
        return unquote(key), ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return unquote(key), value


def _imported(dotted: str) -> tuple[ModuleType, str]:
    """The innermost module of a dotted name, and the rest of the name."""
    from .networks.own_code import of_a_person

    sys.path.insert(0, os.getcwd())
    package, *rest = dotted.split(".")
    option = f"argument --data: {dotted}"
    if not package.isidentifier() or not rest:
        raise UsageError(
            f"{option}: expected a package and a name in it, such as torchvision.datasets.CIFAR10"
        )
    try:
        is_there = importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        is_there = False
    if not is_there:
        raise UsageError(f"{option}: there is no package {package}: pip install {package}")
    with of_a_person(f"{option}: cannot be imported"):
        module = importlib.import_module(package)
        while len(rest) > 1 and not hasattr(module, rest[0]):
            module = importlib.import_module(f"{module.__name__}.{rest.pop(0)}")
        while len(rest) > 1 and isinstance(getattr(module, rest[0]), ModuleType):
            module = getattr(module, rest.pop(0))
    return module, ".".join(rest)


def _shown(found: object) -> str:
    return str(getattr(found, "__name__", type(found).__name__))
