"""A fingerprint of images of any dtype and size, which may come in batches."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from ..checks.describe import dtype_name


class ImagesDigest:
    """The SHA-256 of images in order, however they are divided into batches: of their dtype, channels,
    height and width, then of their pixels as they lie in memory.

    >>> images = torch.zeros(3, 8, 8)
    >>> whole, parts = ImagesDigest(), ImagesDigest()
    >>> whole.add(images)
    >>> parts.add(images[:2])
    >>> parts.add(images[2:])
    >>> whole.hexdigest() == parts.hexdigest()
    True
    """

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._any = False

    def add(self, images: Tensor) -> None:
        """Add images ``[N, H, W]`` or ``[N, C, H, W]`` as ``checks.images.check_images`` returns them, of
        the dtype and size of those before."""
        if not self._any:
            n_channels = 1 if images.dim() == 3 else images.shape[1]
            size = (n_channels, *images.shape[-2:])
            self._sha256.update(f"{dtype_name(images.dtype)} {list(size)}\n".encode())
            self._any = True
        pixels = images.detach().cpu()
        if pixels.dtype == torch.bfloat16:  # NumPy lacks it
            pixels = pixels.view(torch.int16)
        self._sha256.update(np.ascontiguousarray(pixels.numpy()).data)

    def hexdigest(self) -> str:
        """The SHA-256 so far, 64 hexadecimal digits."""
        return self._sha256.hexdigest()
