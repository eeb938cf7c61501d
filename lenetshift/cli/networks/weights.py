"""Files with weights, read without running anything in them: safetensors, and what ``torch.save`` writes."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...checks.describe import describe
from ...checks.errors import UsageError
from ...checks.text import in_a_line
from ...storage.untrusted import load_tensors
from .files import contents

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights")
"""The keys under which training scripts keep a state dict. Averaged weights are none of these: they are
other weights, and must be asked for."""

_MOST_KEYS = 8
"""How many keys of a file a message names."""

Weights = Mapping[str, Tensor]


def read_weights(path: Path, key: str | None = None) -> Weights:
    """The state dict in a file.

    Args:
        path: a file whose name ends with .safetensors is read as such, any other as ``torch.save`` writes it.
        key: where the state dict is in the file, with dots if it is in a dict in a dict; None finds it, at
            the top or under one of :data:`WRAPPERS`.

    Raises:
        UsageError: the file does not hold weights, or several, in one line.
    """
    option = f"argument --weights: {path}"
    if path.suffix.lower() == ".safetensors":
        if key is not None:
            raise UsageError(
                "argument --weights-key: not with safetensors, which have no keys above names"
            )
        return _safetensors(contents(option, path), option)
    value = _saved(contents(option, path), option)
    return _found(value, option) if key is None else _under(value, key, option)


def _safetensors(data: bytes, option: str) -> Weights:
    from safetensors.torch import load

    try:
        return load(data)
    except Exception as error:  # damaged contents may raise anything
        raise UsageError(f"{option}: not a safetensors file: {in_a_line(error)}") from error


def _saved(data: bytes, option: str) -> Any:
    """What ``torch.save`` wrote. Of classes outside torch, only that in which training scripts keep their
    options is admitted: to make a Namespace runs nothing but the setting of its attributes."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return load_tensors(data)
    except ValueError as error:
        refused = _refused(data)
        if not refused:
            raise UsageError(
                f"{option}: {error}, expected a state dict as torch.save(model.state_dict(), FILE) writes it"
            ) from error
        raise UsageError(
            f"{option}: {error} because of {_listed(refused)}, which could run code: if you trust the file, "
            "read it with weights_only=False, and torch.save its state dict alone"
        ) from error


def _refused(data: bytes) -> list[str]:
    """The classes and functions in a file that ``weights_only`` does not admit."""
    with contextlib.suppress(Exception):  # of a damaged file, or one from before torch 1.6
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data)))
    return []


def _found(value: Any, option: str) -> Weights:
    """The state dict that a file holds, whatever is around it."""
    if _is_weights(value):
        weights: Weights = value
        return weights
    places = _places(value)
    usual = [key for key in places if key.split(".")[0] in WRAPPERS]
    if len(usual) == 1:
        return _under(value, usual[0], option)
    got = describe(value)
    if isinstance(value, Mapping):
        got += f" with {_listed(map(str, value))}" if value else " without keys"
    if len(usual) > 1:
        got, places = f"state dicts under {_listed(usual)}", usual
    expected = "a state dict: name -> tensor" if len(usual) < 2 else "one"
    other = f"; --weights-key takes {' or '.join(places)}" if places else ""
    raise UsageError(f"{option}: got {got}, expected {expected}{other}")


def _under(value: Any, key: str, option: str) -> Weights:
    """The state dict under a key, or under several with dots between them."""
    at = value
    for part in [key] if isinstance(value, Mapping) and key in value else key.split("."):
        if not isinstance(at, Mapping) or part not in at:
            raise UsageError(f"argument --weights-key: got {key}, expected {_keys(value)}")
        at = at[part]
    return _found(at, f"{option}: {key}")


def _keys(value: Any) -> str:
    return "one of " + _listed(_places(value)) if _places(value) else "none: there is no state dict"


def _places(value: Any) -> list[str]:
    """Where in a file there are state dicts: keys, and keys of dicts under :data:`WRAPPERS`."""
    if not isinstance(value, Mapping):
        return []
    found = []
    for key, item in value.items():
        if _is_weights(item):
            found.append(str(key))
        elif key in WRAPPERS and isinstance(item, Mapping):
            found += [f"{key}.{inner}" for inner, within in item.items() if _is_weights(within)]
    return found


def _is_weights(value: Any) -> bool:
    """Whether a value is a state dict with at least one tensor. (A module may add a state of its own.)"""
    return (
        isinstance(value, Mapping)
        and all(isinstance(key, str) for key in value)
        and all(isinstance(v, Tensor) or k.endswith("_extra_state") for k, v in value.items())
        and any(isinstance(item, Tensor) for item in value.values())
    )


def _listed(names: Any) -> str:
    names = list(names)
    more = f" and {len(names) - _MOST_KEYS} more" if len(names) > _MOST_KEYS else ""
    return ", ".join(names[:_MOST_KEYS]) + more
