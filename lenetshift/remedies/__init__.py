"""What to change in a network that is not robust to moving the image.

Layers that subsample without aliasing (:class:`BlurPool2d`, :class:`MaxBlurPool2d`, and
:func:`antialiased`, which puts them into a network), a subsampling that follows the image
(:class:`AdaptivePolyphaseSample2d`), training on moved images (:func:`jitter`, :class:`Jitter`), and the
mean answer over several shifts (:class:`ShiftAveraged`). ``docs/remedies.md`` measures what each gives
and costs.
"""

from __future__ import annotations

from .antialiasing import antialiased
from .blur import BlurPool2d, MaxBlurPool2d
from .jittering import Jitter, jitter
from .polyphase import AdaptivePolyphaseSample2d
from .shift_averaged import ShiftAveraged

__all__ = [
    "AdaptivePolyphaseSample2d",
    "BlurPool2d",
    "Jitter",
    "MaxBlurPool2d",
    "ShiftAveraged",
    "antialiased",
    "jitter",
]
