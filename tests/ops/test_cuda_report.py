"""The compile report of the CUDA kernels: it knows every kernel and finds the faults that it looks for."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch
from cuda_emulation.builds import changed, emulator
from cuda_emulation.emulator import ROOT, compiler
from cuda_emulation.kernels import EmulatedKernels
from cuda_matrix import (
    DEFAULT,
    GRIDS,
    MODELS,
    SHIFTS,
    check_c3,
    check_training,
    make_images,
    make_model,
)

sys.path.append(str(ROOT / "benchmarks"))
import cuda_report

pytestmark = pytest.mark.slow


@pytest.mark.skipif(compiler() is None, reason="needs a C++ compiler")
def test_dynamic_shared_memory_is_that_of_the_launches() -> None:
    kernels = EmulatedKernels(emulator("thread"))
    for dtype in (torch.float32, torch.float64):
        check_c3(kernels, 1, "one", (5, 5), dtype)
        # The kernels for LeNet-5's maps, for few images and for many.
        check_c3(kernels, 1, "one", (14, 14), dtype)
        check_c3(kernels, 257, "one", (14, 14), dtype)
        kernels.translate_backward(torch.ones(1, len(SHIFTS), 5, 5, dtype=dtype), SHIFTS)
    kernels.translate(torch.ones(1, 5, 5), SHIFTS)
    kernels.shift_each(torch.ones(1, 5, 5), SHIFTS[:1])
    for name in MODELS:
        for grid in (DEFAULT, GRIDS[0]):  # the MLP has kernels for many shifts and for few
            kernels.predict(name, make_model(name, "tanh"), make_images("sparse", 1), grid)
        check_training(kernels, name, 2, 2)
    launched = {
        cuda_report.short_name(kernel): n_bytes for kernel, n_bytes in kernels.emulator.kernels()
    }
    assert launched == {kernel: cuda_report.dynamic_shared(kernel) for kernel in launched}
    for start in cuda_report.DYNAMIC_SHARED:
        assert any(kernel.startswith(start) for kernel in launched), f"{start} is no kernel"


def test_unknown_kernel_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"^DYNAMIC_SHARED: 0 entries for lenet6, expected 1$"):
        cuda_report.dynamic_shared("lenet6")


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc")
def test_local_memory_and_wrong_bounds_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {
        "lenet5/c5.h": ("__launch_bounds__(kThreads, 2)", "__launch_bounds__(kThreads, 4)"),
        "lenet5/weights.h": ("__launch_bounds__(kThreads)", "__launch_bounds__(128)"),
    }
    changed(tmp_path, changes)
    monkeypatch.setattr(cuda_report, "CUDA", tmp_path / "csrc" / "cuda")
    _, wrong = cuda_report.report([90])
    assert wrong == [
        "lenet5_answers uses local memory on 90",
        "pack_lenet5 is bounded to 128 threads, expected 256",
    ]
