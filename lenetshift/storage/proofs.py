"""What a checkpoint proves when it is read back: that it is whole, and what a run can go on from.

Every check raises ValueError in one line that says what came and what was expected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..checks.describe import describe, dtype_name
from ..checks.errors import ArgumentError

_N_HEX_DIGITS = 64  # of a SHA-256

_ENTRIES: dict[str, tuple[type, ...]] = {
    "schema": (int,),
    "model": (str,),
    "settings": (dict,),
    "state_dict": (dict,),
    "losses": (list,),
    "training_seconds": (float,),
    "predictions": (Tensor, type(None)),
    "evaluation_seconds": (float, type(None)),
    "note": (str,),
}
"""The types of a checkpoint's entries: all must be there, and no other."""


_MOST_DEPTH = 20
"""Of settings: a list may hold itself, and comparing it would not end."""


@dataclass(frozen=True)
class Expectation:
    """What a run can go on from.

    Attributes:
        settings: the run's own.
        weights: tensors of the names, shapes and dtypes of the model's; their values do not matter.
        epochs: how many the run trains.
        n_steps: the steps of an epoch.
        answers: the shape of the predictions, (n_rows, n_dy, n_dx).
    """

    settings: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    epochs: int
    n_steps: int
    answers: tuple[int, int, int]


def seal(archive: bytes) -> bytes:
    """A ZIP archive without a comment (what ``torch.save`` writes) -> the same with one, at its end:
    the hexadecimal SHA-256 of all bytes before it."""
    # The archive's last two bytes are the length of its comment (PKWARE's APPNOTE.TXT, 4.3.16).
    body = archive[:-2] + _N_HEX_DIGITS.to_bytes(2, "little")
    return body + hashlib.sha256(body).hexdigest().encode()


def check_seal(sealed: bytes) -> None:
    """Raise ValueError unless the contents of a file end with the SHA-256 of all before it."""
    body, digest = sealed[:-_N_HEX_DIGITS], sealed[-_N_HEX_DIGITS:]
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("damaged, or of another version: no SHA-256 of its contents ends it")


def check_entries(content: Any, schema: int, model: str) -> None:
    """Raise ValueError unless ``content`` has the entries of a checkpoint, in that schema, of that
    model."""
    if type(content) is not dict:
        raise ValueError(f"got {describe(content)}, expected a dict")
    for name in (*_ENTRIES, *content):
        if name not in content:
            raise ValueError(f"got no {name}, expected one")
        if name not in _ENTRIES:
            raise ValueError(f"got {name!r}, expected {', '.join(_ENTRIES)} only")
        if not isinstance(content[name], _ENTRIES[name]):
            types = " or ".join(expected.__name__ for expected in _ENTRIES[name])
            raise ValueError(f"{name}: got {describe(content[name])}, expected {types}")
    for name, value in (("schema", schema), ("model", model)):
        if content[name] != value:
            raise ValueError(f"{name}: got {content[name]!r}, expected {value!r}")
    if not _is_plain(content["settings"]):
        raise ValueError("settings: got values that JSON cannot hold, expected plain ones")


def check_progress(content: Mapping[str, Any], expected: Expectation) -> None:
    """Raise ValueError unless weights, losses and predictions are those of a run on its way."""
    weights, losses, predictions = (
        content[name] for name in ("state_dict", "losses", "predictions")
    )
    check_weights(weights, expected.weights)
    if len(losses) > expected.epochs:
        raise ValueError(f"losses: got {len(losses)} epochs, expected at most {expected.epochs}")
    for epoch, loss in enumerate(losses):
        _check_saved(f"losses[{epoch}]", loss, torch.float32, (expected.n_steps,))
    _check_both(content)
    if predictions is not None:
        _check_saved("predictions", predictions, torch.uint8, expected.answers)
        if len(losses) != expected.epochs:
            raise ArgumentError(
                "predictions",
                f"them after {len(losses)} of {expected.epochs} epochs",
                "them after all",
            )


def check_kept(content: Mapping[str, Any]) -> None:
    """Raise ValueError unless losses and predictions are such as a run keeps, of whatever sizes."""
    for epoch, loss in enumerate(content["losses"]):
        _check_saved(f"losses[{epoch}]", loss, torch.float32, (None,))
    _check_both(content)
    if content["predictions"] is not None:
        _check_saved("predictions", content["predictions"], torch.uint8, (None, None, None))


def _check_both(content: Mapping[str, Any]) -> None:
    if (content["predictions"] is None) != (content["evaluation_seconds"] is None):
        raise ValueError("got one of predictions and evaluation_seconds, expected both or neither")


def check_weights(weights: Mapping[str, object], expected: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless the weights have these names, shapes and dtypes."""
    if weights.keys() != expected.keys():
        raise ValueError(f"state_dict: got {list(weights)}, expected {list(expected)}")
    for name, weight in expected.items():
        _check_saved(f"state_dict[{name!r}]", weights[name], weight.dtype, weight.shape)


def _check_saved(name: str, value: object, dtype: torch.dtype, shape: Sequence[int | None]) -> None:
    """Raise ValueError unless ``value`` is an ordinary CPU tensor of this dtype and shape, None of which
    is any size but 0."""
    if (
        not isinstance(value, Tensor)
        or (value.dtype, value.layout, value.device.type) != (dtype, torch.strided, "cpu")
        or value.dim() != len(shape)
        or not all(
            got > 0 if want is None else got == want
            for got, want in zip(value.shape, shape, strict=True)
        )
    ):
        sizes = ", ".join("N" if size is None else str(size) for size in shape)
        raise ValueError(f"{name}: got {describe(value)}, expected {dtype_name(dtype)} [{sizes}]")


def _is_plain(value: Any, depth: int = _MOST_DEPTH) -> bool:
    """Whether a value is one that JSON holds: two of them can be compared."""
    if type(value) is dict:
        return depth > 0 and all(
            type(key) is str and _is_plain(item, depth - 1) for key, item in value.items()
        )
    if type(value) is list:
        return depth > 0 and all(_is_plain(item, depth - 1) for item in value)
    return value is None or type(value) in (bool, int, float, str)
