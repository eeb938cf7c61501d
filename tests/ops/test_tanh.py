"""The kernels' tanh over the whole float32 range."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lenetshift.checks.core import core

# csrc/cpu/math/activation.h states 5e-7.
RELATIVE_ERROR = 5e-7


def kernel_tanh(x: torch.Tensor) -> torch.Tensor:
    y = torch.empty_like(x)
    core.tanh(x.data_ptr(), y.data_ptr(), x.numel())
    return y


def every_nth_float(step: int) -> torch.Tensor:
    """Every step-th of all finite float32 bit patterns, both signs."""
    bits = np.arange(0, 0x7F800000, step, dtype=np.uint32)
    return torch.from_numpy(np.concatenate([bits, bits | 0x80000000]).view(np.float32))


def test_relative_error(isa: str) -> None:
    x = every_nth_float(997)
    exact = np.tanh(x.numpy().astype(np.float64))
    with np.errstate(invalid="ignore"):
        error = np.abs(kernel_tanh(x).numpy() - exact) / np.where(exact == 0, 1, np.abs(exact))
    assert error.max() <= RELATIVE_ERROR, f"worst {error.max():.3g} at x = {x[error.argmax()]}"


def test_special_values(isa: str) -> None:
    denormal = 1e-45
    x = torch.tensor(
        [0.0, -0.0, denormal, -denormal, 1e-39, float("inf"), -float("inf"), float("nan")]
    )
    y = kernel_tanh(x)
    assert torch.equal(y[:5], x[:5])
    assert torch.equal(torch.signbit(y[:5]), torch.signbit(x[:5]))
    assert abs(y[5].item() - 1) <= RELATIVE_ERROR
    assert abs(y[6].item() + 1) <= RELATIVE_ERROR
    assert y[7].isnan()


@pytest.mark.parametrize("n", range(35))
def test_every_length(isa: str, n: int) -> None:
    x = torch.linspace(-3, 3, n)
    guarded = torch.full((n + 1,), 7.0)
    core.tanh(x.data_ptr(), guarded.data_ptr(), n)
    torch.testing.assert_close(guarded[:n], torch.tanh(x), rtol=2 * RELATIVE_ERROR, atol=0)
    assert guarded[n] == 7
