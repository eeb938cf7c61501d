"""A folder with the answers of an evaluation, a file for each shard.

``answers-000012.npz`` is an archive of arrays as ``numpy.load`` reads them, without pickled objects, that
ends with the SHA-256 of its contents: ``predictions``, ``logits`` (their bytes) if they were asked for, and
``about``, JSON that says which images and settings it belongs to.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...checks.choices import EVALUATION_METHODS
from ...checks.describe import dtype_name, shown
from ...checks.errors import ArgumentError, StorageError
from ...checks.numbers import check_int, check_not_negative
from ...checks.text import one_line
from ...checks.types import check_choice, check_type
from ...storage.files import read_file_if_any, reason, write_atomically
from ...storage.folder import ANSWERS, open_folder
from ...storage.sealed import check_same, check_seal, check_stored, pack_arrays
from ...storage.untrusted import load_arrays, load_json
from .answered import Answered
from .cutting import Shard

_PLAIN = ("method", "reason", "n_classes", "n_not_finite", "seconds")
"""Attributes of answers that JSON holds."""

FORMAT, VERSION = "lenetshift answers", 1


RESUME = "continue with --resume (in Python resume=True)"


class Damaged(ValueError):
    """A file without the SHA-256 of its contents at its end."""


@contextlib.contextmanager
def open_answers(folder: Path, *, resume: bool) -> Iterator[None]:
    """Open a folder for answers (:func:`lenetshift.storage.folder.open_folder`).

    Raises:
        StorageError: it cannot be used, or holds answers and ``resume`` is not set.
    """
    with open_folder(folder, ANSWERS):
        if not resume and any(folder.glob(ANSWERS.signs[0])):
            raise StorageError(
                f"{folder} holds {ANSWERS.name} already: {RESUME}, or choose another folder"
            )
        yield


def shard_path(folder: Path, shard: Shard) -> Path:
    """Where a shard's answers lie."""
    return folder / f"answers-{shard.number:06d}.npz"


def write_shard(folder: Path, shard: Shard, settings: Mapping[str, Any], answers: Answered) -> None:
    """Write a shard's answers, atomically; StorageError if they cannot be written."""
    arrays: dict[str, NDArray[Any]] = {"predictions": answers.predictions.numpy()}
    how = {name: getattr(answers, name) for name in _PLAIN}
    if answers.logits is not None:
        how["logits_dtype"] = dtype_name(answers.logits.dtype)
        arrays["logits"] = answers.logits.contiguous().view(torch.uint8).numpy()
    about = {**_origin(shard, settings), "answers": how}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    packed, path = pack_arrays(arrays), shard_path(folder, shard)
    try:
        write_atomically(path, lambda file: file.write(packed))
    except OSError as error:
        raise StorageError(f"cannot write {path}: {reason(error)}") from error


def read_shard(
    folder: Path, shard: Shard, settings: Mapping[str, Any], shape: tuple[int, int]
) -> Answered | None:
    """The answers to a shard, where ``shape`` is that of the grid; None if its file does not exist.

    Raises:
        Damaged: the file is damaged.
        StorageError: it belongs to other images or settings, in a line that names the first that differs.
    """
    path = shard_path(folder, shard)
    contents = read_file_if_any(path)
    if contents is None:
        return None
    try:
        check_seal(contents)
    except ValueError as error:
        raise Damaged(f"{path}: {error}") from error
    try:
        arrays = load_arrays(contents)
        about = _about(arrays)
        for name, now in _origin(shard, settings).items():
            check_same(name, about.get(name), now)
        return _answered(about.get("answers"), arrays, (len(shard.images), *shape))
    except ValueError as error:
        raise StorageError(f"{path}: {one_line(error)}") from error


def _origin(shard: Shard, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a file must have been written with to be used."""
    return {"format": FORMAT, "version": VERSION, **settings, "images": _described(shard)}


def _described(shard: Shard) -> dict[str, Any]:
    images = shard.images.cpu().contiguous()
    return {
        "first": shard.first,
        "shape": list(images.shape),
        "dtype": dtype_name(images.dtype),
        "sha256": hashlib.sha256(images.view(torch.uint8).numpy().data).hexdigest(),
    }


def _about(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    stored = arrays.get("about")
    check_stored("about", stored, "uint8", (None,))
    assert stored is not None
    about = load_json(stored.tobytes())
    if not isinstance(about, dict):
        raise ArgumentError("about", shown(about), "an object")
    return about


def _answered(
    how: Any, arrays: Mapping[str, NDArray[Any]], shape: tuple[int, int, int]
) -> Answered:
    if not isinstance(how, dict) or not how.keys() >= set(_PLAIN):
        raise ArgumentError("answers", shown(how), f"an object with {', '.join(_PLAIN)}")
    check_choice("method", how["method"], EVALUATION_METHODS[1:])
    check_type("reason", how["reason"], str)
    n_classes = check_int("n_classes", how["n_classes"], 1)
    check_int("n_not_finite", how["n_not_finite"], 0)
    check_not_negative("seconds", how["seconds"])
    predictions = arrays.get("predictions")
    many = predictions is not None and predictions.dtype == np.int32
    check_stored("predictions", predictions, "int32" if many else "uint8", shape)
    return Answered(
        predictions=torch.from_numpy(arrays["predictions"]),
        logits=_logits(how.get("logits_dtype"), arrays, (*shape, n_classes)),
        **{name: how[name] for name in _PLAIN},
    )


def _logits(
    name: object, arrays: Mapping[str, NDArray[Any]], shape: tuple[int, int, int, int]
) -> Tensor | None:
    if "logits" not in arrays:
        return None
    dtype = getattr(torch, name, None) if isinstance(name, str) else None
    if not isinstance(dtype, torch.dtype):
        raise ArgumentError("logits_dtype", shown(name), "a dtype of torch")
    stored = arrays["logits"]
    check_stored("logits", stored, "uint8", (*shape[:3], shape[3] * dtype.itemsize))
    return torch.from_numpy(stored).view(dtype)
