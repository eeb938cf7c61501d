"""The torch ops ``torch.ops.lenetshift.*``: check, call the compiled core, register.

Each file checks every argument of its ops, allocates the outputs as tensors, and registers a fake
kernel (for ``torch.compile``) and, if the op is differentiable, autograd. :mod:`lenetshift.reference`
has their plain PyTorch twins.

=============================== ==========================================================
``c3_conv``                     sparse 5 x 5 convolution by connection table
``indirect_conv2d``             convolution whose windows are found in tables
``indirect_pool2d``             the largest value, or the sum, of such windows
``translate``                   a batch of images moved by a list of shifts
``shift_each``                  each image of a batch moved by its own shift
``predict_shifts_<model>``      a model's answers for all shifts of all images
``train_epoch_<model>``         one epoch of mini-batch SGD
=============================== ==========================================================

Each is a function here, ``lenetshift.ops.c3_conv``, which calls the op, ``torch.ops.lenetshift.c3_conv``;
``help`` of either says what it takes and gives.

CPU ops use ``torch.get_num_threads()`` threads; their results do not depend on that number. CUDA ops
run on torch's current stream of their tensors' device and do not wait; a build without CUDA kernels
raises RuntimeError for CUDA tensors. The ops ``indirect_*`` have no CUDA kernels: they use PyTorch's
operations there, and wait for the check of their tables.

All others can be captured by ``torch.cuda.graph``, with their derivatives: a replay reads and writes the
same tensors, with what they then hold. As for every operation of PyTorch, a call before the capture loads the
kernels. The ops ``indirect_*`` raise RuntimeError in a capture.

>>> import torch
>>> from lenetshift import ops
>>> images = torch.zeros(2, 28, 28, dtype=torch.uint8)
>>> images[:, 14, 14] = 255
>>> shifts = torch.tensor([[3, 0], [0, -2]])  # rows (dx, dy)
>>> ops.translate(images, shifts).shape  # every image by every shift
torch.Size([2, 2, 28, 28])
>>> ops.shift_each(images, shifts).nonzero()  # image, row, column
tensor([[ 0, 14, 17],
        [ 1, 12, 14]])
"""

from __future__ import annotations

from lenetshift.checks.core import core
from lenetshift.ops import indirect, predict_shifts, train_epoch
from lenetshift.ops.c3_conv import c3_conv
from lenetshift.ops.indirect import indirect_conv2d, indirect_pool2d
from lenetshift.ops.predict_shifts import (
    predict_shifts_lenet5,
    predict_shifts_mlp,
    predict_shifts_pooled_mlp,
    predict_shifts_symmetric_lenet5,
)
from lenetshift.ops.shift_each import shift_each
from lenetshift.ops.train_epoch import (
    train_epoch_lenet5,
    train_epoch_mlp,
    train_epoch_pooled_mlp,
    train_epoch_symmetric_lenet5,
)
from lenetshift.ops.translate import translate

__all__ = [
    "c3_conv",
    "indirect",
    "indirect_conv2d",
    "indirect_pool2d",
    "isa",
    "predict_shifts",
    "predict_shifts_lenet5",
    "predict_shifts_mlp",
    "predict_shifts_pooled_mlp",
    "predict_shifts_symmetric_lenet5",
    "shift_each",
    "train_epoch",
    "train_epoch_lenet5",
    "train_epoch_mlp",
    "train_epoch_pooled_mlp",
    "train_epoch_symmetric_lenet5",
    "translate",
]


def isa() -> str:
    """The instruction set of the CPU kernels in use: ``"portable"``, ``"avx2"`` or ``"avx512"``.

    It is the fastest that this machine has, or the one that the environment variable
    ``LENETSHIFT_ISA`` names.

    Raises:
        ValueError: ``LENETSHIFT_ISA`` names one that is unknown or that this machine does not have.

    >>> import lenetshift
    >>> lenetshift.isa() in ("portable", "avx2", "avx512")
    True
    """
    name: str = core.isa()
    return name
