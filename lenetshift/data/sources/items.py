"""Data sets that give the image and the label of a number: PyTorch's, and Hugging Face's on disk."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...checks.arrays import as_array
from ...checks.describe import describe, describe_array
from ...checks.errors import ArgumentError, DataError
from ...checks.numbers import is_int
from ...checks.text import in_a_line
from ..pairs import IMAGE_KEYS, LABEL_KEYS, check_no_splits, pair_of
from ..pictures import Picture, as_picture
from .source import Source

_PAIR = "(image, label), or a dict with an image and a label"

_SPLITS = ("test", "validation")


def of_items(data: Any, what: str) -> Source:
    """The source of an object with ``len(data)`` and ``data[i]``: a pair (image, label), or a mapping with
    both.

    Args:
        data: such as a ``torch.utils.data.Dataset``.
        what: what messages and the printout call it.

    Raises:
        DataError: it has no length, or no items.
        ArgumentError: it is a dict of data sets.
    """
    check_no_splits(data, "where")
    try:
        n = len(data)
    except Exception as error:
        raise DataError(
            f"{what}: got {describe(data)}, expected a data set with a length and items by number"
        ) from error
    if n < 1:
        raise DataError(f"{what}: got no images, expected at least one")

    def item(i: int) -> tuple[Picture, int]:
        name = f"{what}: item {i}"
        try:
            got = data[i]
        except (Exception, SystemExit) as error:
            raise DataError(f"{name}: {in_a_line(error)}") from error
        try:
            image, label = pair_of(got, name, _PAIR)
        except ArgumentError as error:
            raise DataError(str(error)) from error
        try:
            return as_picture(image), _as_label(label)
        except Exception as error:  # an image that is read late may raise anything
            problem = str(error) if type(error) is ValueError else in_a_line(error)
            raise DataError(f"{name}: {problem}") from error

    return Source(what, n, item, _class_names(getattr(data, "classes", None)))


def find_saved_dataset(path: Path) -> Source | None:
    """The source of a folder that ``Dataset.save_to_disk`` of the package datasets wrote; None for anything
    else."""
    has_splits = (path / "dataset_dict.json").is_file()
    if not has_splits and not all(
        (path / name).is_file() for name in ("state.json", "dataset_info.json")
    ):
        return None
    if has_splits:
        path = _test_split(path)
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise DataError(
            f"{path}: a data set of Hugging Face, which needs a package: pip install datasets"
        ) from error
    try:
        data = datasets.load_from_disk(str(path))
        columns = [_column(path, data.column_names, names) for names in (IMAGE_KEYS, LABEL_KEYS)]
        classes = _class_names(getattr(data.features[columns[1]], "names", None))
        source = of_items(data.select_columns(columns), f"data set of Hugging Face, {path.name}")
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: cannot be read: {in_a_line(error)}") from error
    return Source(source.what, source.n, source.item, classes)


def _test_split(path: Path) -> Path:
    try:
        splits = json.loads((path / "dataset_dict.json").read_bytes())["splits"]
        found = [name for name in _SPLITS if name in splits]
        listed = ", ".join(map(str, splits))
    except Exception as error:  # whatever the file holds
        raise DataError(
            f"{path / 'dataset_dict.json'}: cannot be read: {in_a_line(error)}"
        ) from error
    if not found:
        raise DataError(f"{path}: got the splits {listed}, expected {' or '.join(_SPLITS)}")
    return path / found[0]


def _column(path: Path, columns: Sequence[str], names: tuple[str, ...]) -> str:
    for name in names:
        if name in columns:
            return name
    raise DataError(
        f"{path}: got the columns {', '.join(columns)}, expected one of {', '.join(names)}"
    )


def _as_label(value: Any) -> int:
    array = as_array(value)
    if array is not None and array.size == 1 and array.dtype.kind in "iu":
        return int(array.reshape(()))
    if not is_int(value):
        raise ValueError(f"got the label {describe_array(value)}, expected an int")
    return int(value)


def _class_names(names: Any) -> tuple[str, ...] | None:
    """Names of classes if they are strings, else None."""
    if isinstance(names, (list, tuple)) and names and all(isinstance(name, str) for name in names):
        return tuple(names)
    return None
