"""The torch ops ``torch.ops.lenetshift.*``: check, call the compiled core, register.

Each file checks every argument of its ops, allocates outputs as torch's memory, and registers a
fake kernel (for ``torch.compile``) and autograd where it has meaning. The plain twins are in
:mod:`lenetshift.reference`.

=============================== ==========================================================
``c3_conv``                     sparse 5 x 5 convolution by connection table
``translate``                   a batch of images moved by a list of shifts
``shift_each``                  each image of a batch moved by a shift of its own
``predict_shifts_<model>``      a model's answers to all shifts of all images
``train_epoch_<model>``         one epoch of mini-batch SGD
=============================== ==========================================================

CPU ops use ``torch.get_num_threads()`` threads; their results do not depend on it. CUDA ops run on
torch's current stream of their tensors' device and do not wait; a build without CUDA kernels raises
RuntimeError for CUDA tensors.
"""

from __future__ import annotations

from lenetshift.checks.core import core
from lenetshift.ops import c3_conv, predict_shifts, shift_each, train_epoch, translate

__all__ = ["c3_conv", "isa", "predict_shifts", "shift_each", "train_epoch", "translate"]


def isa() -> str:
    """The instruction set whose CPU kernels run: ``"portable"``, ``"avx2"`` or ``"avx512"``.

    The fastest that this machine has, or what the environment variable ``LENETSHIFT_ISA`` names.

    Raises:
        ValueError: ``LENETSHIFT_ISA`` names one that is unknown or that this machine lacks.
    """
    name: str = core.isa()
    return name
