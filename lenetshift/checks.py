"""Every check of an argument, once: ValueError in one line that names the argument, says what came
and what was expected.

This file stands below all others of the package and imports none of them. A check of a number
returns what to go on with, a Python ``int`` or ``float`` also where a NumPy one came.
"""

from __future__ import annotations

import contextlib
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = Tensor | NDArray[Any]

MAX_SHIFT = 27
"""Largest shift, in pixels either way; one more would empty a 28x28 image."""

MAX_BATCH_SIZE = 2**31 - 1
"""Most images a batch may have: the kernels count them in 32 bits."""

MAX_SEED = 2**32 - 1
"""Largest seed: torch's CPU generator keeps 32 bits, larger seeds would repeat smaller ones."""

FLOATS = (torch.float32, torch.float64)
"""The floating-point types that the ops compute in."""

HALF_FLOATS = (torch.float16, torch.bfloat16)
"""Those of which they compute in float32 and round the results."""


def check(condition: bool, message: Callable[[], str]) -> None:
    """Raise ValueError with the message, which is made only then, unless ``condition`` holds."""
    if not condition:
        raise ValueError(message())


def dtype_name(dtype: torch.dtype) -> str:
    """A dtype as the messages write it, such as ``uint8``."""
    return str(dtype).removeprefix("torch.")


def describe(value: object) -> str:
    """A value's dtype and shape, such as ``uint8 [3, 28, 28]``; of what is no tensor, its type."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{dtype_name(value.dtype)} {list(value.shape)}"


def describe_array(value: object) -> str:
    """The same where an array would do, with an array's own dtype and shape."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return describe(value)


def shown(value: object) -> str:
    """A value as the messages write it: itself where that is a short line, else its type."""
    text = repr(value)
    return text if len(text) <= 80 and "\n" not in text else describe(value)


def is_int(value: object) -> bool:
    """Whether a value is a whole number by type, Python's or NumPy's; a bool is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_int(name: str, value: int, least: int, most: int | None = None) -> int:
    """The value as an int; ValueError unless it is one within ``least..most``."""
    if not is_int(value) or value < least or (most is not None and value > most):
        bounds = f"of {least} or more" if most is None else f"in {least}..{most}"
        raise ValueError(f"{name}: got {shown(value)}, expected an int {bounds}")
    return int(value)


def check_seed(seed: int) -> int:
    """The seed as an int; ValueError unless it is one in 0..2**32 - 1."""
    return check_int("seed", seed, 0, MAX_SEED)


def check_batch_size(batch_size: int) -> int:
    """The batch size as an int; ValueError unless it is one in 1..2**31 - 1."""
    return check_int("batch_size", batch_size, 1, MAX_BATCH_SIZE)


def check_positive(name: str, value: float) -> float:
    """The value as a float; ValueError unless it is a positive, finite number."""
    number = math.nan
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):  # an int beyond all floats
            number = float(value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name}: got {shown(value)}, expected a positive number")
    return number


def check_fraction(name: str, value: float) -> float:
    """The value as a float; ValueError unless it is a number between 0 and 1, neither of them."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 < value < 1:
        raise ValueError(f"{name}: got {shown(value)}, expected a number between 0 and 1")
    return float(value)


def check_type(name: str, value: object, expected: type) -> None:
    """Raise ValueError unless ``value`` is an instance of ``expected``."""
    if not isinstance(value, expected):
        article = "an" if expected.__name__[0] in "AEIOU" else "a"
        raise ValueError(f"{name}: got {describe(value)}, expected {article} {expected.__name__}")


def check_flag(name: str, value: bool) -> None:
    """Raise ValueError unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}: got {describe(value)}, expected True or False")


def check_callable(name: str, value: Callable[..., object] | None) -> None:
    """Raise ValueError unless ``value`` can be called, or is None."""
    if value is not None and not callable(value):
        raise ValueError(f"{name}: got {describe(value)}, expected a function, or None")


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise ValueError unless ``value`` is one of the names in ``choices``."""
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        known = " or ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name}: got {shown(value)}, expected {known}")


def check_tensor(
    name: str,
    tensor: Tensor,
    dtypes: Sequence[torch.dtype],
    shape: Sequence[int | None],
    device: torch.device | None = None,
) -> None:
    """Raise ValueError unless a tensor has one of the dtypes, the shape (None: any size) and, where
    one is given, the device."""
    check_type(name, tensor, Tensor)
    sizes = tensor.shape
    fits = len(sizes) == len(shape) and (
        sizes == shape
        or all(want is None or got == want for got, want in zip(sizes, shape, strict=True))
    )
    if fits and tensor.dtype in dtypes and (device is None or tensor.device == device):
        return
    check(
        tensor.dtype in dtypes,
        lambda: (
            f"{name}: got {dtype_name(tensor.dtype)}, expected {' or '.join(map(dtype_name, dtypes))}"
        ),
    )
    check(
        fits,
        lambda: (
            f"{name}: got shape {list(sizes)}, expected "
            f"[{', '.join('*' if n is None else str(n) for n in shape)}]"
        ),
    )
    check(
        device is None or tensor.device == device,
        lambda: f"{name}: got a tensor on {tensor.device}, expected one on {device}",
    )


def check_images(images: Tensor) -> None:
    """Raise ValueError unless ``images`` is uint8 ``[N, 28, 28]``."""
    if (
        not isinstance(images, Tensor)
        or images.dtype != torch.uint8
        or images.dim() != 3
        or images.shape[1:] != (28, 28)
    ):
        raise ValueError(f"images: got {describe(images)}, expected uint8 [N, 28, 28]")


def check_pictures(images: object) -> Tensor:
    """The images as a tensor; ValueError unless they are uint8 or floating and finite, of shape
    ``[N, H, W]`` or ``[N, C, H, W]``, in a tensor or an array."""
    tensor = images
    if isinstance(images, np.ndarray):
        with contextlib.suppress(TypeError, ValueError):  # a dtype that torch lacks
            tensor = as_tensor(images)
    check(
        isinstance(tensor, Tensor)
        and (tensor.dtype == torch.uint8 or tensor.is_floating_point())
        and tensor.dim() in (3, 4)
        and 0 not in tensor.shape[1:],
        lambda: (
            f"images: got {describe_array(images)}, expected uint8 or floating [N, H, W] or "
            "[N, C, H, W], a tensor or an array"
        ),
    )
    assert isinstance(tensor, Tensor)
    if tensor.is_floating_point() and len(tensor):
        low, high = torch.aminmax(tensor)  # NaN if there is one
        check(
            math.isfinite(low) and math.isfinite(high),
            lambda: f"images: got values from {low:g} to {high:g}, expected finite ones",
        )
    return tensor


def check_crop(crop: tuple[int, int] | None, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width that a model sees of images of that size; ValueError unless they fit in."""
    if crop is None:
        return size
    if (
        not isinstance(crop, Sequence)
        or len(crop) != 2
        or not all(is_int(n) and 1 <= n <= most for n, most in zip(crop, size, strict=True))
    ):
        raise ValueError(
            f"crop: got {crop!r}, expected (height, width) within images of {size[0]} x {size[1]}"
        )
    return int(crop[0]), int(crop[1])


def check_grid_fits(dx: range, dy: range, size: tuple[int, int], window: tuple[int, int]) -> None:
    """Raise ValueError unless images of that size can be moved so: something of them must stay in
    sight, and behind a window that is smaller they must fill it."""
    for name, shifts, n, seen in (("dy", dy, size[0], window[0]), ("dx", dx, size[1], window[1])):
        before = (n - seen) // 2
        low, high = (1 - n, n - 1) if window == size else (before + seen - n, before)
        if shifts[0] < low or shifts[-1] > high:
            images = f"images of {size[0]} x {size[1]}"
            if window != size:
                images += f" behind a crop of {window[0]} x {window[1]}"
            raise ValueError(
                f"grid: got {name} {shifts[0]}..{shifts[-1]}, expected it within {low}..{high} "
                f"for {images}"
            )


def check_fill(fill: object, n_channels: int) -> Tensor | str:
    """The fill as one number a channel, float64 ``[n_channels]``, or ``"circular"``; ValueError
    unless it is that, or a finite number, or as many as there are channels."""
    if isinstance(fill, str) and fill == "circular":
        return fill
    numbers_given = None
    with contextlib.suppress(TypeError, ValueError, RuntimeError):
        numbers_given = torch.as_tensor(fill, dtype=torch.float64, device="cpu").reshape(-1)
    if (
        isinstance(fill, (str, bool))
        or numbers_given is None
        or len(numbers_given) not in (1, n_channels)
        or not bool(numbers_given.isfinite().all())
    ):
        count = "one a channel" if n_channels == 1 else f"{n_channels}, one a channel"
        raise ValueError(f"fill: got {fill!r}, expected a finite number, or {count}, or 'circular'")
    return numbers_given.expand(n_channels)


def check_digits(labels: Tensor, n: int) -> None:
    """Raise ValueError unless ``labels`` is int64 ``[n]``, digits 0..9."""
    expected = f"expected int64 [{n}], a digit 0..9 per image"
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (n,):
        raise ValueError(f"labels: got {describe(labels)}, {expected}")
    low, high = _extremes(labels) if n else (0, 0)
    if low < 0 or high > 9:
        raise ValueError(f"labels: got values in {low}..{high}, {expected}")


def check_labels(labels: Array, n: int) -> NDArray[np.int64]:
    """The labels as an array; ValueError unless they are integers ``[n]``, in a tensor or an array."""
    array = as_array(labels)
    if array is None or array.dtype.kind not in "iu" or array.shape != (n,):
        raise ValueError(
            f"labels: got {describe_array(labels)}, expected integers [{n}], one per image"
        )
    return array.astype(np.int64)


def check_predictions(
    predictions: Array, grid_shape: tuple[int, int] | None = None
) -> NDArray[np.integer]:
    """The predictions as an array; ValueError unless they are integers ``[N, n_dy, n_dx]`` with
    N >= 1, of any grid or of that shape, in a tensor or an array."""
    array = as_array(predictions)
    if (
        array is None
        or array.dtype.kind not in "iu"
        or array.ndim != 3
        or array.size == 0
        or array.shape[1:] != (grid_shape or array.shape[1:])
    ):
        n_dy, n_dx = grid_shape or ("n_dy", "n_dx")
        raise ValueError(
            f"predictions: got {describe_array(predictions)}, "
            f"expected integers [N, {n_dy}, {n_dx}], N >= 1"
        )
    return array


class _Grid(Protocol):
    @property
    def has_centre(self) -> bool: ...


def check_has_centre(name: str, grid: _Grid) -> None:
    """Raise ValueError unless the unmoved image, shift (0, 0), is one of the grid's."""
    check(
        grid.has_centre,
        lambda: f"{name}: got {grid}, expected one with the unmoved image, shift (0, 0)",
    )


def check_indices(name: str, values: Tensor, stop: int) -> None:
    """Raise ValueError unless all ``values``, int64, are in ``0..stop - 1``.

    On a GPU the check does not wait: ``torch.cuda.synchronize()`` raises later.
    """
    if values.numel() == 0:
        return
    if values.is_cuda:
        torch._assert_async(
            ((values >= 0) & (values < stop)).all(), f"{name}: expected values in 0..{stop - 1}"
        )
        return
    low, high = _extremes(values)
    check(
        low >= 0 and high < stop,
        lambda: f"{name}: got values in {low}..{high}, expected them in 0..{stop - 1}",
    )


def check_range(name: str, values: range) -> None:
    """Raise ValueError unless ``values`` is an ascending range of one or more shifts."""
    if not isinstance(values, range) or values.step < 1 or len(values) == 0:
        raise ValueError(f"{name}: got {shown(values)}, expected a non-empty, ascending range")


def check_shifts(name: str, values: range) -> None:
    """Raise ValueError unless ``values`` is a range of one or more shifts, one pixel apart, that a
    28x28 image can make."""
    if not isinstance(values, range) or values.step != 1 or len(values) == 0:
        raise ValueError(f"{name}: got {shown(values)}, expected a non-empty range with step 1")
    if values[0] < -MAX_SHIFT or values[-1] > MAX_SHIFT:
        raise ValueError(
            f"{name}: got shifts {values[0]}..{values[-1]}, "
            f"expected them within -{MAX_SHIFT}..{MAX_SHIFT}"
        )


def check_first_and_stop(name: str, values: Sequence[int]) -> None:
    """Raise ValueError unless ``values`` is [first, stop) of one or more shifts, as the ops take."""
    check(
        len(values) == 2 and -MAX_SHIFT <= values[0] < values[1] <= MAX_SHIFT + 1,
        lambda: (
            f"{name}: got {list(values)}, expected [first, stop) of one or more shifts within "
            f"-{MAX_SHIFT}..{MAX_SHIFT}"
        ),
    )


def check_rule(rule: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """The rule in ints; ValueError unless it gives digits 0..9 whole shifts within -27..27."""
    check_type("rule", rule, Mapping)
    checked = {}
    for label, shift in rule.items():
        if not is_int(label) or not 0 <= label <= 9:
            raise ValueError(f"rule: got label {shown(label)}, expected a digit 0..9")
        if (
            not isinstance(shift, (tuple, list))
            or len(shift) != 2
            or not all(is_int(step) and abs(step) <= MAX_SHIFT for step in shift)
        ):
            raise ValueError(
                f"rule[{label}]: got {shown(shift)}, "
                f"expected (dx, dy), two ints within -{MAX_SHIFT}..{MAX_SHIFT}"
            )
        checked[int(label)] = (int(shift[0]), int(shift[1]))
    return checked


def _extremes(values: Tensor) -> tuple[int, int]:
    """The smallest and the largest of one or more ints. In NumPy: torch's threads, which it uses
    for so many values, hang in a forked child."""
    array = values.cpu().numpy()
    return int(array.min()), int(array.max())


def as_array(value: object) -> NDArray[Any] | None:
    """A tensor or an array as an array, on the CPU and without a copy where that is possible; None
    of anything else."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        return value.float().numpy() if value.dtype in HALF_FLOATS else value.numpy()
    return value if isinstance(value, np.ndarray) else None


def as_tensor(array: NDArray[Any]) -> Tensor:
    """An array as a tensor, which shares its memory where torch can."""
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
