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

CPU ops use ``torch.get_num_threads()`` threads; their results do not depend on that number. CUDA ops
run on torch's current stream of their tensors' device and do not wait; a build without CUDA kernels
raises RuntimeError for CUDA tensors. The ops ``indirect_*`` have no CUDA kernels: they use PyTorch's
operations there, and wait for the check of their tables.

>>> import lenetshift, torch
>>> ops = torch.ops.lenetshift
>>> images = torch.zeros(2, 28, 28, dtype=torch.uint8)
>>> images[:, 14, 14] = 255
>>> shifts = torch.tensor([[3, 0], [0, -2]])  # rows (dx, dy)
>>> ops.translate(images, shifts).shape  # every image by every shift
torch.Size([2, 2, 28, 28])
>>> ops.shift_each(images, shifts).nonzero()  # image, row, column
tensor([[ 0, 14, 17],
        [ 1, 12, 14]])

>>> parameters = [p.detach() for p in lenetshift.build_model("mlp", seed=0).parameters()]
>>> predictions, logits = ops.predict_shifts_mlp(images, [-5, 6], [-2, 3], parameters)
>>> predictions.shape  # dx -5..5, dy -2..2
torch.Size([2, 5, 11])
>>> labels, permutation = torch.tensor([1, 7]), torch.tensor([1, 0])
>>> losses = ops.train_epoch_mlp(images, labels, permutation, parameters, 0.1, batch_size=1)
>>> losses.shape
torch.Size([2])

>>> maps, columns = torch.arange(4.0).view(1, 1, 1, 4), torch.tensor([[-1, 0], [0, 1], [3, 3]])
>>> ops.indirect_pool2d(maps, torch.tensor([[0]]), columns, largest=False)  # -1 is left out
tensor([[[[0., 1., 6.]]]])

>>> input, weight, bias = torch.ones(1, 2, 6, 6), torch.ones(3, 5, 5), torch.zeros(2)
>>> ops.c3_conv(input, weight, bias, [0b01, 0b11])[0, :, 0, 0].round()  # see 1 and 2 maps
tensor([25., 50.])
"""

from __future__ import annotations

from lenetshift.checks.core import core
from lenetshift.ops import c3_conv, indirect, predict_shifts, shift_each, train_epoch, translate

__all__ = ["c3_conv", "indirect", "isa", "predict_shifts", "shift_each", "train_epoch", "translate"]


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
