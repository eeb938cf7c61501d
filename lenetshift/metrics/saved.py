"""An evaluation in a file: written whole, and read without trusting it.

The file is an archive of arrays as ``numpy.load`` reads them, without pickled objects, that ends with the
SHA-256 of its contents: ``predictions``, ``labels``, ``lost_ink`` and ``logits`` if there are any, and
``about``, the settings as JSON in UTF-8 (``evaluation_schema.json``). ``lenetshift evaluate --json FILE``
writes the same archive, without logits, as base64 into its JSON.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..checks.arrays import as_tensor
from ..checks.describe import dtype_name, shown
from ..checks.errors import ArgumentError, DataError
from ..checks.text import one_line
from ..shifts import ShiftGrid
from ..storage.files import read_bytes, reason, write_atomically
from ..storage.schemas import checked_json, schema
from ..storage.sealed import check_stored, pack_arrays, unpack_arrays
from ..storage.untrusted import MOST_ARRAY_BYTES, load_json

if TYPE_CHECKING:
    from .evaluation import Evaluation

FORMAT, VERSION = "lenetshift evaluation", 1

JSON_KEY = "evaluation"
"""Where the JSON of ``lenetshift evaluate`` has the archive."""

_SCHEMA = schema(Path(__file__).with_name("evaluation_schema.json"))

_PLAIN = (
    "fill", "crop", "method", "reason", "seconds", "name", "class_names", "images_sha256"
)  # fmt: skip
"""Attributes that JSON holds as they are, or as lists in place of tuples."""

_AS_BYTES = {
    name: getattr(torch, name)
    for name in (
        "bfloat16", "complex32", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
        "float8_e8m0fnu",
    )
    if hasattr(torch, name)
}  # fmt: skip
"""Dtypes of logits that NumPy lacks: the file has their bytes."""

_BESIDES = 1 << 20
"""Bytes that the settings and the archive's headers may take."""


def write(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Write an evaluation atomically."""
    contents = pack(evaluation)
    write_atomically(Path(path), lambda file: file.write(contents))


def pack(evaluation: Evaluation, *, with_logits: bool = True) -> bytes:
    """The contents of the file; the same evaluation gives the same bytes.

    Raises:
        ValueError: the arrays are too large for :func:`unpack`, or the logits of a dtype that a file cannot
            hold.
    """
    arrays: dict[str, NDArray[Any]] = {
        "predictions": evaluation.predictions.numpy(),
        "labels": evaluation.labels.numpy(),
    }
    if evaluation.lost_ink is not None:
        arrays["lost_ink"] = evaluation.lost_ink
    logits_dtype = None
    if with_logits and evaluation.logits is not None:
        arrays["logits"], logits_dtype = _logits(evaluation.logits)
    _check_size(arrays)
    dx, dy = evaluation.grid.dx, evaluation.grid.dy
    about = {
        "format": FORMAT,
        "version": VERSION,
        "grid": {"dx": [dx.start, dx.stop, dx.step], "dy": [dy.start, dy.stop, dy.step]},
        "logits_dtype": logits_dtype,
        **{name: getattr(evaluation, name) for name in _PLAIN},
    }
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    return pack_arrays(arrays)


def _check_size(arrays: dict[str, NDArray[Any]]) -> None:
    """Raise ArgumentError if the arrays are too large to be read again."""
    n_bytes, most = sum(array.nbytes for array in arrays.values()), MOST_ARRAY_BYTES - _BESIDES
    if n_bytes <= most:
        return
    if "logits" in arrays:
        got = f"{n_bytes:,} bytes with the predictions"
        raise ArgumentError("logits", got, f"at most {most:,} to save, or no logits")
    got = f"{n_bytes:,} bytes with the labels and what else is saved"
    raise ArgumentError("predictions", got, f"at most {most:,} to save: fewer images or shifts")


def _logits(logits: torch.Tensor) -> tuple[NDArray[Any], str | None]:
    """Logits as an array; and, if NumPy lacks their dtype, their bytes ``[..., K * n]`` and its name."""
    name = dtype_name(logits.dtype)
    if name in _AS_BYTES:
        return logits.contiguous().view(torch.uint8).numpy(), name
    try:
        return logits.numpy(), None
    except (TypeError, RuntimeError) as error:
        raise ArgumentError("logits", name, "a dtype that a file can hold") from error


def unpack(contents: bytes) -> dict[str, Any]:
    """The arguments of the Evaluation, some of which only its constructor checks.

    Raises:
        ValueError: the contents are damaged, or not those of such a file, in one line.
    """
    arrays = unpack_arrays(contents, ("about", "predictions", "labels"), ("lost_ink", "logits"))
    stored = arrays.pop("about")
    check_stored("about", stored, "uint8", (None,))
    about = checked_json(stored.tobytes(), _SCHEMA)
    if about["logits_dtype"] is not None:
        arrays["logits"] = _of_bytes(arrays.get("logits"), about["logits_dtype"])
    grid = ShiftGrid(_range(about["grid"]["dx"]), _range(about["grid"]["dy"]))
    return {**arrays, "grid": grid, **{name: about[name] for name in _PLAIN}}


def _range(given: list[int]) -> range:
    start, stop, step = map(int, given)  # JSON Schema takes 1.0 for an integer
    return range(start, stop, step)


def _of_bytes(stored: NDArray[Any] | None, name: str) -> Any:
    """Logits of a dtype that NumPy lacks."""
    if name not in _AS_BYTES:
        raise ArgumentError("logits_dtype", shown(name), " or ".join(_AS_BYTES))
    check_stored("logits", stored, "uint8", (None,) * 4)
    assert stored is not None
    dtype = _AS_BYTES[name]
    if stored.shape[3] % dtype.itemsize:
        raise ArgumentError("logits", f"{stored.shape[3]} bytes for each pattern", f"{name}s")
    return as_tensor(stored).view(dtype)


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arguments of the Evaluation in a file of :func:`write`, or in a JSON file of ``evaluate``.

    Raises:
        DataError: the file cannot be read, is damaged or holds something else, in one line that names it.
    """
    file = Path(path)
    try:
        contents = read_bytes(file)
        return unpack(contents if contents.startswith(b"PK") else _in_json(contents))
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {reason(error)}") from error
    except ValueError as error:
        raise DataError(f"{file}: {one_line(error)}") from error


def as_text(evaluation: Evaluation) -> str:
    """The contents of the file without logits, for JSON; ValueError if they are too large."""
    return base64.b64encode(pack(evaluation, with_logits=False)).decode()


def _in_json(contents: bytes) -> bytes:
    """The archive in the contents of a JSON file."""
    written = "expected a file of `lenetshift evaluate --save FILE`, or of its `--json FILE`"
    try:
        value = load_json(contents)
    except ValueError as error:
        raise ValueError(f"got neither an archive of arrays nor JSON, {written}") from error
    text = value.get(JSON_KEY) if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise ValueError(f"got JSON without the answers, {written}")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"$.{JSON_KEY}: {error}") from error
