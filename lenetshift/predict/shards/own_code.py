"""Which code is a person's own: code that no installed package contains."""

from __future__ import annotations

import functools
import importlib.metadata
import sys

_THIS = __name__.partition(".")[0]


def is_own(module: object) -> bool:
    """Whether the module of that name is a person's own: a script, a file, a notebook, but neither Python's
    nor of an installed package, which workers have themselves."""
    if not isinstance(module, str):
        return False
    top = module.partition(".")[0]
    if top == "__main__":
        return True
    return (
        top not in (_THIS, *sys.stdlib_module_names, *sys.builtin_module_names)
        and top not in _installed()
        and module in sys.modules
    )


@functools.cache
def _installed() -> frozenset[str]:
    """The names that installed packages can be imported by."""
    return frozenset(importlib.metadata.packages_distributions())
