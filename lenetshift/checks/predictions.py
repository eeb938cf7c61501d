"""Checks of labels and of what models answer: predictions, logits; and of lost ink."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .arrays import Array, as_array, as_dense, dense, extremes
from .describe import describe, describe_array, shown
from .errors import ArgumentError

MAX_INT64 = 2**63 - 1
"""Largest label or prediction: uint64 has larger ones, which would become negative."""


def check_digits(labels: Tensor, n: int) -> None:
    """Raise ArgumentError unless ``labels`` is int64 ``[n]``, digits 0..9."""
    expected = f"int64 [{n}], a digit 0..9 per image"
    tensor = dense(labels)
    if tensor is None or tensor.dtype != torch.int64 or tensor.shape != (n,):
        raise ArgumentError("labels", describe(labels), expected)
    low, high = extremes(tensor) if n else (0, 0)
    if low < 0 or high > 9:
        raise ArgumentError("labels", f"values in {low}..{high}", expected)


def check_labels(labels: Array, n: int) -> NDArray[np.int64]:
    """A copy of the labels as an array; ArgumentError unless they are integers ``[n]`` that int64 can hold,
    in a tensor or an array."""
    array = as_array(labels)
    if array is None or array.dtype.kind not in "iu" or array.shape != (n,):
        raise ArgumentError("labels", describe_array(labels), f"integers [{n}], one per image")
    return _as_int64("labels", array)


def _as_int64(name: str, array: NDArray[np.integer]) -> NDArray[np.int64]:
    """A copy in int64; ArgumentError if a number would change."""
    largest = int(array.max()) if array.size else 0
    if largest > MAX_INT64:
        raise ArgumentError(name, f"values up to {largest}", "none beyond 2**63 - 1")
    return array.astype(np.int64)


def check_predictions(
    predictions: Array, grid_shape: tuple[int, int] | None = None
) -> NDArray[np.integer]:
    """The predictions as an array; ArgumentError unless they are integers ``[N, n_dy, n_dx]`` that int64
    can hold, with N >= 1, in a tensor or an array.

    Args:
        predictions: the predictions.
        grid_shape: ``(n_dy, n_dx)``; None for any.
    """
    array = as_array(predictions)
    if (
        array is None
        or array.dtype.kind not in "iu"
        or array.ndim != 3
        or array.size == 0
        or array.shape[1:] != (grid_shape or array.shape[1:])
    ):
        n_dy, n_dx = grid_shape or ("n_dy", "n_dx")
        raise ArgumentError(
            "predictions", describe_array(predictions), f"integers [N, {n_dy}, {n_dx}], N >= 1"
        )
    if array.dtype.kind == "u" and array.itemsize > 1:
        # NumPy may compare uint64 with int64 labels in float64; torch supports the others only in part.
        return _as_int64("predictions", array)
    return array


def check_logits(logits: Array, predictions: NDArray[np.integer]) -> Tensor:
    """The logits as a tensor on the CPU, if possible without a copy; ArgumentError unless they are
    ``[N, n_dy, n_dx, K]`` with K >= 1, for predictions ``[N, n_dy, n_dx]``."""
    tensor = as_dense(logits)
    if tensor is None or tensor.shape[:-1] != predictions.shape or tensor.shape[-1] == 0:
        shape = ", ".join(map(str, predictions.shape))
        raise ArgumentError(
            "logits", describe_array(logits), f"[{shape}, K], K >= 1, to match the predictions"
        )
    return tensor.detach().cpu()


def check_lost_ink(name: str, lost: Array | None, shape: tuple[int, ...]) -> NDArray[np.floating]:
    """The fractions of lost ink as an array; ArgumentError unless they are floating, in 0..1 and of that
    shape, in a tensor or an array."""
    array = as_array(lost)
    if array is None or array.dtype.kind != "f" or array.shape != shape:
        raise ArgumentError(
            name, describe_array(lost), f"floating {list(shape)}, as lost_ink returns"
        )
    if array.size:
        low, high = array.min(), array.max()  # NaN if there is one
        if not (low >= 0 and high <= 1):
            raise ArgumentError(name, f"values from {low:g} to {high:g}", "fractions in 0..1")
    return array


def check_class_names(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """The names of classes 0, 1, ... as a tuple, or None if there are none; ArgumentError unless they are
    texts in a sequence that is not itself a text."""
    if names is None:
        return None
    if not isinstance(names, Sequence) or isinstance(names, (str, bytes)) or not names:
        raise ArgumentError("class_names", shown(names), "a sequence of texts, one for each class")
    for label, name in enumerate(names):
        if not isinstance(name, str):
            raise ArgumentError(f"class_names[{label}]", shown(name), "a text")
    return tuple(str(name) for name in names)
