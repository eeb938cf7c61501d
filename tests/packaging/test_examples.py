"""The examples in docstrings print what they say, and every public function and class has one."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import lenetshift

PACKAGE = Path(lenetshift.__file__).parent


def modules_with_examples() -> list[str]:
    modules = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            modules.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return modules


@pytest.mark.parametrize("module", modules_with_examples())
def test_examples_print_what_they_say(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


def test_every_public_function_and_class_has_an_example() -> None:
    public = {name: getattr(lenetshift, name) for name in lenetshift.__all__}
    documented = {name for name, value in public.items() if callable(value)}
    assert {name for name in documented if ">>> " not in (public[name].__doc__ or "")} == set()
