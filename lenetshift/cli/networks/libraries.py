"""Networks of timm and of torchvision, by name. Their weights are never downloaded."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from ...checks.errors import UsageError
from .own_code import of_a_person
from .python_code import a_module, how

LOADS_WEIGHTS = {
    "timm": ("pretrained", "checkpoint_path"),
    "torchvision": ("weights", "weights_backbone", "pretrained", "pretrained_backbone"),
}
"""Arguments that load weights, which ``--weights`` does."""


def from_timm(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """``timm.create_model(name, pretrained=False, **arguments)``.

    Raises:
        UsageError: timm is missing or has no such model, or the arguments do not fit, in one line.
    """
    timm = _imported("timm")
    _check_arguments("timm", arguments)
    with of_a_person("argument --model: timm fails"):
        known = not {":", "/"} & set(name) and timm.is_model(name)  # others are read from a hub
        names = [] if known else timm.list_models()
    _check_name("timm", name, known, names)
    option = f"argument --model: timm:{name}"
    with of_a_person(f"{option}: cannot be made {how(arguments)}"):
        made = timm.create_model(name, **{**arguments, "pretrained": False})
    return a_module(option, made)


def from_torchvision(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """``torchvision.models.get_model(name, weights=None, **arguments)``, without weights for a backbone
    either.

    Raises:
        UsageError: as for :func:`from_timm`.
    """
    models = _imported("torchvision.models")
    _check_arguments("torchvision", arguments)
    with of_a_person("argument --model: torchvision fails"):
        names = models.list_models()
    _check_name("torchvision", name, name in names, names)
    option = f"argument --model: torchvision:{name}"
    with of_a_person(f"{option}: cannot be made {how(arguments)}"):
        builder = models.get_model_builder(name)
        taken = inspect.signature(builder).parameters
        without = {key: None for key in ("weights", "weights_backbone") if key in taken}
        made = builder(**{**arguments, **without})
    return a_module(option, made)


def _imported(module: str) -> Any:
    package = module.partition(".")[0]
    with of_a_person(f"argument --model: {package} cannot be imported"):
        try:
            importlib.import_module(package)
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise UsageError(
                f"argument --model: {package} is not installed: `pip install {package}`"
            ) from error


def _check_arguments(library: str, arguments: Mapping[str, Any]) -> None:
    for name in LOADS_WEIGHTS[library]:
        if arguments.get(name):
            raise UsageError(
                f"argument --model-args: got {name}, but no weights are downloaded: --weights reads a file"
            )


def _check_name(library: str, name: str, known: bool, names: Iterable[str]) -> None:
    if known:
        return
    close = ", ".join(difflib.get_close_matches(name, names))
    raise UsageError(
        f"argument --model: {library} has no {name}" + (f" (similar: {close})" if close else "")
    )
