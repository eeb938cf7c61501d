"""Without a CUDA device, in builds with and without CUDA kernels."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import lenetshift  # noqa: F401  registers the ops
from lenetshift.c3_table import C3_TABLE, table_masks
from lenetshift.checks.core import core
from lenetshift.checks.errors import UsageError
from lenetshift.cli import machine
from lenetshift.models.build import build_model
from lenetshift.models.table import FUSED
from lenetshift.ops import _common

no_card = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


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


@no_card
def test_device_auto_takes_the_cpu_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert machine.pick_device("auto") == torch.device("cpu")
    said = capsys.readouterr().err
    assert said.startswith("--device auto: cpu; cuda is not available: ")
    assert said.count("\n") == 1


@no_card
def test_device_cuda_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"^argument --device: cuda is not available: .*$"):
        machine.pick_device("cuda")


def calls() -> dict[str, Callable[[], Any]]:
    """A small call of every op."""
    images = torch.zeros(2, 28, 28, dtype=torch.uint8)
    moves = torch.zeros(1, 2, dtype=torch.int64)
    maps = torch.zeros(1, 6, 14, 14).mT  # not contiguous, and therefore not for a call in one step
    masks = table_masks(C3_TABLE)
    weight, bias = torch.zeros(60, 5, 5), torch.zeros(16)
    lenetshift_ops = torch.ops.lenetshift
    made: dict[str, Callable[[], Any]] = {
        "translate": lambda: lenetshift_ops.translate(images, moves),
        "translate_backward": lambda: lenetshift_ops.translate_backward(
            torch.zeros(1, 1, 28, 28), moves
        ),
        "shift_each": lambda: lenetshift_ops.shift_each(images, moves.expand(2, 2)),
        "c3_conv": lambda: lenetshift_ops.c3_conv(maps, weight, bias, masks),
        "c3_conv_backward": lambda: lenetshift_ops.c3_conv_backward(
            torch.zeros(1, 16, 10, 10), maps, weight, masks, [True] * 3
        ),
    }
    for name in FUSED:
        parameters = [p.detach() for p in build_model(name, seed=0).parameters()]
        made[f"predict_shifts_{name}"] = lambda n=name, p=parameters: getattr(
            lenetshift_ops, f"predict_shifts_{n}"
        )(images, [-1, 2], [0, 1], p, "relu", True)
        made[f"train_epoch_{name}"] = lambda n=name, p=parameters: getattr(
            lenetshift_ops, f"train_epoch_{n}"
        )(images, torch.zeros(2, dtype=torch.int64), torch.arange(2), p, 0.1, 1)
    return made


@no_card
@pytest.mark.skipif(not core.has_cuda, reason="this build has no CUDA kernels")
@pytest.mark.parametrize("name", calls())
def test_calls_reach_the_cuda_runtime(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An op passes its arguments in the right order and number: CUDA itself reports the error."""
    call = calls()[name]
    real, cuda, empty = _common.run_kernel, torch.device("cuda", 0), torch.empty

    def on_cuda(kernel: str, _: torch.device, *arguments: Any) -> None:
        real(kernel, cuda, *arguments)

    def on_host(*size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        assert device == cuda
        return empty(*size, dtype=dtype)

    monkeypatch.setattr(torch._C, "_cuda_getCurrentRawStream", lambda _: 0, raising=False)
    monkeypatch.setattr(torch, "empty", on_host)
    for module in ("c3_conv", "translate", "shift_each", "predict_shifts", "train_epoch"):
        in_module = importlib.import_module(f"lenetshift.ops.{module}")
        monkeypatch.setattr(in_module, "run_kernel", on_cuda)
    with pytest.raises(RuntimeError, match=r"^OnDevice: cudaError\w+: [^\n]+$"):
        call()
