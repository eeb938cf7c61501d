"""Weights put into a network, whose names may have a prefix that the network does not know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ...checks.errors import UsageError
from .own_code import of_a_person
from .weights import Weights, read_weights

PREFIXES = ("module", "model", "net", "_orig_mod")
"""What DataParallel, Lightning and others, and torch.compile put before the names of a network's weights."""

_LEADING = re.compile(rf"(?:(?:{'|'.join(PREFIXES)})\.)*")

_NAMED = 3
"""How many names a message has of each kind."""


def load_weights(model: nn.Module, path: Path, key: str | None = None) -> str:
    """Load the weights of a file into a model. Nothing in the file is executed.

    Args:
        model: takes the weights.
        path, key: as for :func:`read_weights`.

    Returns:
        The prefix of the names that was stripped; empty if none was.

    Raises:
        UsageError: the file does not hold weights, or they do not fit, in one line.
    """
    weights = read_weights(path, key)
    problem = f"argument --weights: {path}: does not fit the model"
    with of_a_person(problem):
        own = model.state_dict()
        prefix = _prefix(weights, own)
        if prefix:
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            _check_differences(problem, model, weights, own, error)
    return prefix


def _prefix(weights: Weights, own: Iterable[str]) -> str:
    """The prefix without which the most names are the model's; the shortest of equals, so none if the names
    fit as they are."""
    known = set(own)
    candidates = {""}
    for name in weights:
        parts = re.findall(r"[^.]+\.", _LEADING.match(name).group())  # type: ignore[union-attr]
        candidates |= {"".join(parts[: n + 1]) for n in range(len(parts))}

    def n_known(prefix: str) -> int:
        names = {name.removeprefix(prefix) for name in weights}
        return len(names & known) if len(names) == len(weights) else -1

    return max(sorted(candidates, key=len), key=n_known)


def _check_differences(
    problem: str, model: nn.Module, weights: Weights, own: Mapping[str, Tensor], error: RuntimeError
) -> None:
    """Load weights that were refused if only names are missing whose tensors are also there under another
    name; otherwise UsageError that says what does not fit, or the error itself if that has another reason."""
    shapes = [
        f"{name}: {list(tensor.shape)}, expected {list(own[name].shape)}"
        for name, tensor in weights.items()
        if isinstance(tensor, Tensor) and _has_other_shape(tensor, own.get(name))
    ]
    if shapes:
        raise UsageError(f"{problem}: {_some(shapes, '; ')}") from error
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if not missing and not unexpected:
        raise error
    there = {_memory(own[name]) for name in own.keys() & weights.keys()}
    missing = [name for name in missing if name not in own or _memory(own[name]) not in there]
    parts = {"missing": missing, "unexpected": unexpected}
    shown = "; ".join(f"{what} {_some(names, ', ')}" for what, names in parts.items() if names)
    if shown:
        raise UsageError(f"{problem}: {shown}") from error


def _has_other_shape(tensor: Tensor, own: object) -> bool:
    return isinstance(own, Tensor) and not is_lazy(own) and own.shape != tensor.shape


def _memory(tensor: object) -> object:
    """What two tensors have in common if they are the same numbers in memory: tied weights."""
    if not isinstance(tensor, Tensor) or is_lazy(tensor) or not tensor.numel() or tensor.is_meta:
        return id(tensor)
    return tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


def _some(texts: list[str], between: str) -> str:
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return between.join(texts[:_NAMED]) + more
