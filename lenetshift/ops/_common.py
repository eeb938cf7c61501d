"""What every op needs: workspace and registration."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lenetshift._native import core

library = torch.library.Library("lenetshift", "FRAGMENT")

_registered = hasattr(torch.ops.lenetshift, "c3_conv")

ALIGNMENT = 64
"""Bytes: the alignment that the CPU kernels' workspace needs."""

KEPT_BYTES = 8 << 20
"""Each thread keeps a CPU workspace of at most so many: allocated anew, its pages would be zeroed in
every call, which takes as long as a small ``c3_conv``."""

_kept = threading.local()


def run_kernel(
    kernel: str, device: torch.device, workspace_for: Sequence[Any] | None, *arguments: Any
) -> None:
    """Call a kernel of the core on torch's threads, or on the device's current stream.

    Args:
        kernel: its name, the same for CPU and CUDA.
        device: where all its arrays are.
        workspace_for: what the size of its workspace depends on; None where it takes none.
        arguments: the kernel's, up to the workspace.
    """
    if device.type == "cuda":
        with torch.cuda.device(device):
            workspace = []
            if workspace_for is not None:
                n_bytes = getattr(core.cuda, f"{kernel}_workspace")(*workspace_for)
                # Freed on return, while the kernel still runs: whoever gets this memory next uses
                # it on the same stream, so later.
                memory = torch.empty(n_bytes, dtype=torch.uint8, device=device)
                workspace = [memory.data_ptr()]
            stream = torch.cuda.current_stream(device)
            getattr(core.cuda, kernel)(*arguments, *workspace, device.index, stream.cuda_stream)
        return
    n_threads = torch.get_num_threads()
    workspace = []
    if workspace_for is not None:
        memory = _workspace(getattr(core, f"{kernel}_workspace")(*workspace_for, n_threads))
        workspace = [(memory.data_ptr() + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT]
    getattr(core, kernel)(*arguments, *workspace, n_threads)


def _workspace(n_bytes: int) -> Tensor:
    """Memory for a kernel's workspace and its alignment, the last call's where that is enough."""
    memory: Tensor | None = getattr(_kept, "workspace", None)
    if memory is None or memory.numel() < n_bytes + ALIGNMENT:
        memory = torch.empty(n_bytes + ALIGNMENT, dtype=torch.uint8, device="cpu")
        if n_bytes <= KEPT_BYTES:
            _kept.workspace = memory
    return memory


def _without_cuda(name: str) -> Callable[..., Any]:
    def refuse(*arguments: Any) -> Any:
        raise RuntimeError(
            f"lenetshift::{name}: this build has no CUDA kernels; with CUDA's nvcc on PATH, "
            "`pip install . -C cmake.define.LENETSHIFT_CUDA=ON` in the repository's root builds them"
        )

    return refuse


def in_first_import(register: Callable[..., None]) -> Callable[..., None]:
    """Makes a registration one of the process's first import of the package only.

    Where ``sys.modules`` has lost the package and it is imported again, torch still has the ops, and
    these their code; as with every extension, other code needs another process.
    """
    return (lambda *_, **__: None) if _registered else register


@in_first_import
def define(schema: str, implementation: Callable[..., Any], fake: Callable[..., Any]) -> None:
    """Define an op with one implementation for CPU and CUDA, and a fake one for tracing."""
    name = schema.split("(", 1)[0]
    library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    library.impl(name, implementation, "CPU")
    library.impl(name, implementation if core.has_cuda else _without_cuda(name), "CUDA")
    torch.library.register_fake(f"lenetshift::{name}", fake, lib=library)
