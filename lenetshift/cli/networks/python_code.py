"""Networks in Python code: in a file, or in a module that Python finds."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from ...checks.describe import describe
from ...checks.errors import UsageError
from ...checks.text import in_a_line
from .files import contents
from .own_code import of_a_person


def load_model(place: str, name: str, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """The module that a Python file or module holds under a name, or what the class or function of that
    name makes. A file is executed, with its folder first on ``sys.path``; a module is imported, with the
    working folder first there.

    Args:
        place: a path, or the dotted name of a module.
        name: may have dots, ``Net.from_file``.
        arguments: keyword arguments for the class or function; None if there are none.

    Raises:
        UsageError: something is wrong with the place, the name or what it makes, in one line.
    """
    option = f"argument --model: {place}"
    is_module = re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", place) and not place.endswith(".py")
    if is_module and not os.path.exists(place):
        module, failure = _imported(option, place), f"{option}: cannot be imported"
    else:
        module, failure = executed(option, place, "model_of"), f"{option}: raises on import"
    first, *_ = name.split(".")
    with of_a_person(failure):
        is_there = hasattr(module, first)
    if not is_there:
        others = ", ".join(
            key for key, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, nn.Module)
            and value.__module__ == module.__name__
        )  # fmt: skip
        raise UsageError(f"{option}: has no {first}" + (f", only {others}" if others else ""))
    option += f":{name}"
    with of_a_person(option):
        found = functools.reduce(getattr, name.split("."), module)
    if isinstance(found, nn.Module):
        if arguments is not None:
            raise UsageError(
                f"argument --model-args: not with {place}:{name}, which is a module itself"
            )
        return found
    if not callable(found):
        raise UsageError(f"{option}: got {describe(found)}, expected a class or a function")
    with of_a_person(f"{option}: cannot be made {how(arguments or {})}"):
        made = found(**(arguments or {}))
    return a_module(option, made)


def a_module(option: str, made: object) -> nn.Module:
    """What was made; UsageError unless it is a module."""
    if not isinstance(made, nn.Module):
        raise UsageError(f"{option}: made {describe(made)}, expected a torch.nn.Module")
    return made


def how(arguments: Mapping[str, Any]) -> str:
    """The arguments as a message has them."""
    return f"with {json.dumps(arguments)}" if arguments else "without arguments"


def executed(option: str, file: str, kind: str) -> ModuleType:
    """A Python file as a module like any other, with its folder first on ``sys.path``: pickle, dataclasses
    and inspect look up classes by its name.

    Args:
        option: what the line of an error begins with.
        file: a path.
        kind: what the module's name begins with; the file's follows.

    Raises:
        UsageError: the file cannot be read, or raises.
    """
    path = Path(file)
    source = contents(option, path)
    try:
        code = compile(source, file, "exec")
    except SyntaxError as error:
        line = f"line {error.lineno}: " if error.lineno else ""
        raise UsageError(f"{option}: {line}{error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte, nested too deep
        raise UsageError(f"{option}: {in_a_line(error)}") from error
    spec = importlib.util.spec_from_loader(f"{kind}_{path.stem}", loader=None, origin=file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = file
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.resolve().parent))
    with of_a_person(f"{option}: raises on import"):
        exec(code, module.__dict__)
    return module


def _imported(option: str, name: str) -> ModuleType:
    """A module that Python finds, in the working folder too."""
    sys.path.insert(0, os.getcwd())
    with of_a_person(f"{option}: cannot be imported"):
        return importlib.import_module(name)
