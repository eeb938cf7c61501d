"""What a build without CUDA kernels says to CUDA tensors."""

from __future__ import annotations

import pytest
import torch

import lenetshift  # noqa: F401  registers the ops
from lenetshift._native import core


@pytest.mark.skipif(core.has_cuda, reason="this build has CUDA kernels")
def test_without_cuda_kernels_one_line_says_how_to_get_them() -> None:
    # The implementation for CUDA tensors, which a machine without CUDA cannot make.
    cuda = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
    with pytest.raises(RuntimeError) as error:
        torch.ops.lenetshift.translate.default.redispatch(
            cuda, torch.zeros(1, 28, 28), torch.zeros(1, 2, dtype=torch.int64)
        )
    message = str(error.value)
    assert message.startswith("lenetshift::translate: this build has no CUDA kernels; ")
    assert "pip install . -C cmake.define.LENETSHIFT_CUDA=ON" in message
    assert "\n" not in message
