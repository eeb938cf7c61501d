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
from decimal import Decimal
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

PICTURE_DTYPES = (torch.uint8, *HALF_FLOATS, *FLOATS)
"""What images may be of."""

MAX_INT64 = 2**63 - 1
"""Largest label or prediction: larger ones, which uint64 has, would come out negative."""


def check(condition: bool, message: Callable[[], str]) -> None:
    """Raise ValueError with the message, which is made only then, unless ``condition`` holds."""
    if not condition:
        raise ValueError(message())


def dtype_name(dtype: torch.dtype) -> str:
    """A dtype as the messages write it, such as ``uint8``."""
    return str(dtype).removeprefix("torch.")


def describe(value: object) -> str:
    """A value's dtype and shape, such as ``uint8 [3, 28, 28]``; of what is not a tensor, its type."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    with torch._C.DisableTorchFunctionSubclass():  # a subclass may refuse to be asked
        dtype = dtype_name(value.dtype)
        if value.is_nested:  # which need not have a shape
            return f"nested {dtype}"
        kind = ""
        if value.layout is not torch.strided:
            kind = f"{str(value.layout).removeprefix('torch.').strip('_')} "
        elif _has_own_dispatch(value):
            kind = f"{type(value).__name__} "
        elif value.is_meta:
            kind = "meta "
        return f"{kind}{dtype} {list(value.shape)}"


def describe_array(value: object) -> str:
    """The same where an array would do, with an array's own dtype and shape."""
    if isinstance(value, np.ndarray):
        return f"{'masked ' if _hides_values(value) else ''}{value.dtype} {list(value.shape)}"
    return describe(value)


def shown(value: object) -> str:
    """A value as the messages write it: itself where that is a short line, else its type."""
    text = ""
    with contextlib.suppress(Exception):  # a repr that fails hides what there is to say
        text = repr(value)
    return text if 0 < len(text) <= 80 and "\n" not in text else describe_array(value)


def is_int(value: object) -> bool:
    """Whether a value is a whole number by type, Python's or NumPy's; a bool is not one."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def whole_number(value: object) -> int | None:
    """A whole number as an int, also from a tensor or an array without dimensions; None of anything
    else."""
    item = _item(value)
    return int(item) if is_int(item) else None  # type: ignore[call-overload]


def number(value: object) -> float | None:
    """A real number of any type as a float, also from a tensor or an array without dimensions; None of
    anything else, such as a bool, and of what is too large for a float."""
    item = _item(value)
    if isinstance(item, (numbers.Real, Decimal)) and not isinstance(item, bool):
        with contextlib.suppress(OverflowError, ValueError):  # 10**400, a signalling NaN
            return float(item)
    return None


def _item(value: object) -> object:
    """What a tensor or an array without dimensions holds, else the value itself."""
    array = as_array(value)
    return value if array is None or array.ndim else array.item()


def finite_numbers(value: object) -> list[float] | None:
    """A finite number as a list of it, several in any sequence, tensor or array as a list of them;
    None of anything else."""
    items: Sequence[object] = [value]
    array = as_array(value)
    if array is not None:
        items = array.reshape(-1).tolist()
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        items = value
    found = [one for one in map(number, items) if one is not None and math.isfinite(one)]
    return found if 0 < len(found) == len(items) else None


def check_int(name: str, value: int, least: int, most: int | None = None) -> int:
    """The value as an int; ValueError unless it is one within ``least..most``."""
    # As Python's, which has no bounds, before any comparison.
    as_int = int(value) if is_int(value) else None
    if as_int is None or as_int < least or (most is not None and as_int > most):
        bounds = f"of {least} or more" if most is None else f"in {least}..{most}"
        raise ValueError(f"{name}: got {shown(value)}, expected an int {bounds}")
    return as_int


def check_seed(seed: int) -> int:
    """The seed as an int; ValueError unless it is one in 0..2**32 - 1."""
    return check_int("seed", seed, 0, MAX_SEED)


def check_batch_size(batch_size: int) -> int:
    """The batch size as an int; ValueError unless it is one in 1..2**31 - 1."""
    return check_int("batch_size", batch_size, 1, MAX_BATCH_SIZE)


def check_positive(name: str, value: float) -> float:
    """The value as a float; ValueError unless it is a positive, finite number."""
    as_float = number(value)
    if as_float is None or not 0 < as_float < math.inf:
        raise ValueError(f"{name}: got {shown(value)}, expected a positive number")
    return as_float


def check_not_negative(name: str, value: float) -> float:
    """The value as a float; ValueError unless it is a finite number of 0 or more."""
    as_float = number(value)
    if as_float is None or not 0 <= as_float < math.inf:
        raise ValueError(f"{name}: got {shown(value)}, expected a number of 0 or more")
    return as_float


def check_fraction(name: str, value: float) -> float:
    """The value as a float; ValueError unless it is a number between 0 and 1, neither of them."""
    as_float = number(value)
    if as_float is None or not 0 < as_float < 1:
        raise ValueError(f"{name}: got {shown(value)}, expected a number between 0 and 1")
    return as_float


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
    tensor = dense(images) if isinstance(images, Tensor) else None
    if (
        tensor is None
        or tensor.dtype != torch.uint8
        or tensor.dim() != 3
        or tensor.shape[1:] != (28, 28)
    ):
        raise ValueError(f"images: got {describe(images)}, expected uint8 [N, 28, 28]")


def check_pictures(images: object) -> Tensor:
    """The images as an ordinary tensor; ValueError unless they are uint8 or floating and finite, of
    shape ``[N, H, W]`` or ``[N, C, H, W]``, in a tensor or an array."""
    tensor = as_dense(images)
    if (
        tensor is None
        or tensor.dtype not in PICTURE_DTYPES
        or tensor.dim() not in (3, 4)
        or 0 in tensor.shape[1:]
    ):
        dtypes = "uint8 or floating"
        if _has_odd_floats(images):
            dtypes = "uint8, float16, bfloat16, float32 or float64"
        raise ValueError(
            f"images: got {describe_array(images)}, expected {dtypes} [N, H, W] or [N, C, H, W], "
            "a dense tensor or an array"
        )
    tensor = tensor.detach() if tensor.requires_grad else tensor
    if tensor.is_floating_point() and len(tensor):
        low, high = torch.aminmax(tensor)  # NaN if there is one
        check(
            math.isfinite(low) and math.isfinite(high),
            lambda: f"images: got values from {low:g} to {high:g}, expected finite ones",
        )
    return tensor


def _has_odd_floats(images: object) -> bool:
    """Whether images are floating, but of a dtype that is not computed in: float8, NumPy's longdouble."""
    tensor = dense(images) if isinstance(images, Tensor) else None
    if tensor is not None:
        return tensor.is_floating_point() and tensor.dtype not in PICTURE_DTYPES
    return isinstance(images, np.ndarray) and images.dtype.kind == "f" and images.itemsize > 8


def check_crop(
    crop: tuple[int, int] | None, size: tuple[int, int] | None = None
) -> tuple[int, int] | None:
    """The crop in ints, None where there is none; ValueError unless it is (height, width), and within
    images of that size where one is given."""
    if crop is None:
        return None
    array = as_array(crop)
    sides = crop if array is None else array.tolist()
    found = [whole_number(side) for side in sides] if isinstance(sides, Sequence) else []
    height, width = found if len(found) == 2 else (None, None)
    highest, widest = size or (math.inf, math.inf)
    if height is None or width is None or not (1 <= height <= highest and 1 <= width <= widest):
        within = f" within images of {highest} x {widest}" if size else ", two ints of 1 or more"
        raise ValueError(f"crop: got {shown(crop)}, expected (height, width){within}")
    return height, width


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


def check_fill(fill: object, pictures: Tensor) -> Tensor | str:
    """The fill as one number a channel, float64 ``[C]``, or ``"circular"``; ValueError unless it is
    that, or a finite number, or as many as there are channels, each a pixel of such images.

    Args:
        fill: as for :func:`lenetshift.predict_shifts`.
        pictures: as :func:`check_pictures` gives them.
    """
    n_channels = 1 if pictures.dim() == 3 else pictures.shape[1]
    count = "one a channel" if n_channels == 1 else f"{n_channels}, one a channel"
    values = check_fill_alone(fill, count)
    if isinstance(values, str):
        return values
    if len(values) not in (1, n_channels):
        raise ValueError(_odd_fill(fill, count))
    blank = torch.tensor(values, dtype=torch.float64, device="cpu")
    if pictures.is_floating_point():
        dtype = pictures.dtype
        check(
            bool(blank.to(dtype).isfinite().all()),
            lambda: (
                f"fill: got {shown(fill)}, expected a number of at most "
                f"{torch.finfo(dtype).max:g}, since the images are {dtype_name(dtype)}"
            ),
        )
    else:
        check(
            bool(((blank >= 0) & (blank <= 255)).all()),
            lambda: (
                f"fill: got {shown(fill)}, expected a number in 0..255, since the images are uint8"
            ),
        )
    return blank.expand(n_channels)


def check_fill_alone(fill: object, count: str = "one a channel") -> list[float] | str:
    """The fill as a list of one number, or of one a channel, or ``"circular"``; ValueError unless it is
    one of them. To be used where the images are not at hand."""
    if isinstance(fill, str) and fill == "circular":
        return fill
    values = finite_numbers(fill)
    if values is None:
        raise ValueError(_odd_fill(fill, count))
    return values


def _odd_fill(fill: object, count: str) -> str:
    return f"fill: got {shown(fill)}, expected a finite number, or {count}, or 'circular'"


def check_digits(labels: Tensor, n: int) -> None:
    """Raise ValueError unless ``labels`` is int64 ``[n]``, digits 0..9."""
    expected = f"expected int64 [{n}], a digit 0..9 per image"
    tensor = dense(labels) if isinstance(labels, Tensor) else None
    if tensor is None or tensor.dtype != torch.int64 or tensor.shape != (n,):
        raise ValueError(f"labels: got {describe(labels)}, {expected}")
    low, high = _extremes(tensor) if n else (0, 0)
    if low < 0 or high > 9:
        raise ValueError(f"labels: got values in {low}..{high}, {expected}")


def check_labels(labels: Array, n: int) -> NDArray[np.int64]:
    """The labels as an array of its own; ValueError unless they are integers ``[n]`` that int64 holds, in
    a tensor or an array."""
    array = as_array(labels)
    if array is None or array.dtype.kind not in "iu" or array.shape != (n,):
        raise ValueError(
            f"labels: got {describe_array(labels)}, expected integers [{n}], one per image"
        )
    return _as_int64("labels", array)


def _as_int64(name: str, array: NDArray[np.integer]) -> NDArray[np.int64]:
    """A copy in int64; ValueError if a number would come out as another."""
    largest = int(array.max()) if array.size else 0
    check(
        largest <= MAX_INT64,
        lambda: f"{name}: got values up to {largest}, expected none beyond 2**63 - 1",
    )
    return array.astype(np.int64)


def check_predictions(
    predictions: Array, grid_shape: tuple[int, int] | None = None
) -> NDArray[np.integer]:
    """The predictions as an array; ValueError unless they are integers ``[N, n_dy, n_dx]`` that int64
    holds, with N >= 1, of any grid or of that shape, in a tensor or an array."""
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
    if array.dtype.kind == "u" and array.itemsize > 1:
        # Beside int64 labels NumPy may compare uint64 as float64; torch knows little of the others.
        return _as_int64("predictions", array)
    return array


def check_logits(logits: Array, predictions: NDArray[np.integer]) -> Tensor:
    """The logits as a tensor on the CPU, not copied where that is possible; ValueError unless they are
    numbers ``[N, n_dy, n_dx, K]`` with K >= 1, as many as there are predictions ``[N, n_dy, n_dx]``."""
    tensor = as_dense(logits)
    if tensor is None or tensor.shape[:-1] != predictions.shape or tensor.shape[-1] == 0:
        shape = ", ".join(map(str, predictions.shape))
        raise ValueError(
            f"logits: got {describe_array(logits)}, expected [{shape}, K], K >= 1, as the predictions"
        )
    return tensor.detach().cpu()


def check_lost_ink(name: str, lost: Array | None, shape: tuple[int, ...]) -> NDArray[np.floating]:
    """The fractions of lost ink as an array; ValueError unless they are floating, 0 to 1, and of that
    shape, in a tensor or an array."""
    array = as_array(lost)
    if array is None or array.dtype.kind != "f" or array.shape != shape:
        raise ValueError(
            f"{name}: got {describe_array(lost)}, expected floating {list(shape)} as of lost_ink"
        )
    if array.size:
        low, high = array.min(), array.max()  # NaN if there is one
        check(
            bool(low >= 0 and high <= 1),
            lambda: f"{name}: got values from {low:g} to {high:g}, expected fractions in 0..1",
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
            # No abs(): that of NumPy's int8 -128 is -128.
            or not all(is_int(step) and -MAX_SHIFT <= step <= MAX_SHIFT for step in shift)
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
    """A tensor or an array as an ordinary array in the machine's byte order, on the CPU and without a
    copy where that is possible; None of anything else."""
    if isinstance(value, Tensor):
        tensor = dense(value)
        if tensor is None:
            return None
        tensor = tensor.detach().cpu()
        with contextlib.suppress(TypeError, RuntimeError):  # a dtype that NumPy lacks
            return tensor.float().numpy() if tensor.dtype in HALF_FLOATS else tensor.numpy()
        return None
    if not isinstance(value, np.ndarray) or _hides_values(value):
        return None
    return np.asarray(value).astype(value.dtype.newbyteorder("="), copy=False)


def as_tensor(array: NDArray[Any]) -> Tensor:
    """An array as a tensor, which shares its memory where torch can."""
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def as_dense(value: object) -> Tensor | None:
    """A tensor or an array as an ordinary tensor, without a copy where that is possible; None of
    anything else, and of what torch cannot hold so."""
    if isinstance(value, Tensor):
        return dense(value)
    array = as_array(value)
    if array is not None:
        with contextlib.suppress(TypeError, ValueError):  # a dtype that torch lacks
            return as_tensor(array)
    return None


def dense(tensor: Tensor) -> Tensor | None:
    """An ordinary tensor with the same numbers, itself if it is one; None where they do not lie in
    memory one by one: of one that is sparse, nested, quantised, on the device meta, or of a class that
    runs torch's operations itself."""
    with torch._C.DisableTorchFunctionSubclass():  # a subclass may refuse to be asked
        if (
            tensor.is_nested
            or tensor.layout is not torch.strided
            or tensor.is_quantized
            or tensor.is_meta
            or _has_own_dispatch(tensor)
        ):
            return None
        if type(tensor) is not Tensor:
            tensor = tensor.as_subclass(Tensor)
        return tensor.resolve_conj().resolve_neg()


def _has_own_dispatch(tensor: Tensor) -> bool:
    return type(tensor).__torch_dispatch__ is not Tensor.__torch_dispatch__


def _hides_values(array: NDArray[Any]) -> bool:
    """Whether it is a masked array whose mask hides some of its values."""
    return isinstance(array, np.ma.MaskedArray) and bool(np.ma.is_masked(array))
