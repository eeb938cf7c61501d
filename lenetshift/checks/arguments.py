"""The checks of arguments under their former names, until all imports name the modules."""

from __future__ import annotations

from collections.abc import Callable

from . import images, shifts
from .arrays import FLOATS as FLOATS
from .arrays import HALF_FLOATS as HALF_FLOATS
from .arrays import Array as Array
from .arrays import as_array as as_array
from .arrays import as_dense as as_dense
from .arrays import as_tensor as as_tensor
from .arrays import dense as dense
from .describe import describe as describe
from .describe import describe_array as describe_array
from .describe import dtype_name as dtype_name
from .describe import shown as shown
from .images import check_crop as check_crop
from .images import check_fill as check_fill
from .images import check_fill_alone as check_fill_alone
from .numbers import check_batch_size as check_batch_size
from .numbers import check_fraction as check_fraction
from .numbers import check_int as check_int
from .numbers import check_not_negative as check_not_negative
from .numbers import check_positive as check_positive
from .numbers import check_seed as check_seed
from .numbers import finite_numbers as finite_numbers
from .numbers import is_int as is_int
from .numbers import number as number
from .numbers import whole_number as whole_number
from .predictions import check_digits as check_digits
from .predictions import check_labels as check_labels
from .predictions import check_logits as check_logits
from .predictions import check_lost_ink as check_lost_ink
from .predictions import check_predictions as check_predictions
from .shifts import check_first_and_stop as check_first_and_stop
from .shifts import check_grid_fits as check_grid_fits
from .shifts import check_has_centre as check_has_centre
from .tensors import check_indices as check_indices
from .tensors import check_tensor as check_tensor
from .types import check_callable as check_callable
from .types import check_choice as check_choice
from .types import check_flag as check_flag
from .types import check_type as check_type

check_images = images.check_digit_images
check_pictures = images.check_images
check_range = shifts.check_ascending
check_shifts = shifts.check_digit_shifts
check_rule = shifts.check_shift_rule


def check(condition: bool, message: Callable[[], str]) -> None:
    """Raise ValueError with the message, which is made only then, unless ``condition`` holds."""
    if not condition:
        raise ValueError(message())
