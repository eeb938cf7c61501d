"""What every op needs: checks with one-line messages, workspace, registration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

library = torch.library.Library("lenetshift", "DEF")

ALIGNMENT = 64
"""Bytes: the alignment that the kernels' workspace needs."""

FLOATS = (torch.float32, torch.float64)


def check(condition: bool, message: Callable[[], str]) -> None:
    if not condition:
        raise ValueError(message())


def check_tensor(
    name: str,
    tensor: Tensor,
    dtypes: Sequence[torch.dtype],
    shape: Sequence[int | None],
    device: torch.device | None = None,
) -> None:
    """One line that names the argument, what came and what was expected; None: any size."""
    check(
        tensor.dtype in dtypes,
        lambda: f"{name}: got {dtype_name(tensor.dtype)}, expected {' or '.join(map(dtype_name, dtypes))}",
    )
    check(
        tensor.dim() == len(shape)
        and all(want is None or got == want for got, want in zip(tensor.shape, shape, strict=True)),
        lambda: (
            f"{name}: got shape {list(tensor.shape)}, expected "
            f"[{', '.join('*' if n is None else str(n) for n in shape)}]"
        ),
    )
    check(
        device is None or tensor.device == device,
        lambda: f"{name}: got a tensor on {tensor.device}, expected one on {device}",
    )


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def workspace(n_bytes: int) -> tuple[Tensor, int]:
    """Memory of n_bytes and its first aligned address."""
    memory = torch.empty(n_bytes + ALIGNMENT, dtype=torch.uint8)
    return memory, (memory.data_ptr() + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def define(schema: str, cpu: Callable[..., Any], fake: Callable[..., Any]) -> None:
    name = schema.split("(", 1)[0]
    library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    library.impl(name, cpu, "CPU")
    torch.library.register_fake(f"lenetshift::{name}", fake, lib=library)
