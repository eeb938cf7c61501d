"""Calls of the core, and the registration of ops."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from lenetshift.checks.core import core
from lenetshift.checks.repository import repository

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

library = torch.library.Library("lenetshift", "FRAGMENT")

_registered = hasattr(torch.ops.lenetshift, "c3_conv")


def run_kernel(kernel: str, device: torch.device, *arguments: Any) -> None:
    """Call a kernel of the core with torch's number of threads, or on the device's current stream.

    Args:
        kernel: its name, the same for CPU and CUDA.
        device: the device of all its arrays.
        arguments: the kernel's arguments, the same for CPU and CUDA; it takes a contiguous tensor's address.
    """
    addresses = [a.data_ptr() if isinstance(a, Tensor) else a for a in arguments]
    if device.type == "cpu":
        getattr(core, kernel)(*addresses, torch.get_num_threads())
        return
    workspace: list[Tensor] = []

    def allocate(n_bytes: int) -> int:
        # Freed on return, while the kernel still runs: the next user of this memory uses it on the
        # same stream, and therefore later.
        workspace.append(torch.empty(n_bytes, dtype=torch.uint8, device=device))
        return workspace[0].data_ptr()

    with torch.cuda.device(device):
        stream = torch.cuda.current_stream(device).cuda_stream
        getattr(core.cuda, kernel)(*addresses, core.cuda.Stream(device.index, stream, allocate))


def _without_cuda(name: str) -> Callable[..., Any]:
    def refuse(*arguments: Any) -> Any:
        raise RuntimeError(
            f"lenetshift::{name}: this build has no CUDA kernels; with CUDA's nvcc on PATH, "
            f"`pip install . -C cmake.define.LENETSHIFT_CUDA=ON` in the root of {repository()} builds them"
        )

    return refuse


def in_first_import(register: Callable[..., None]) -> Callable[..., None]:
    """Limits a registration to the first import of the package in a process.

    If the package was removed from ``sys.modules`` and is imported again, torch still has the ops and
    their first code; as with every extension, changed code needs a new process.
    """
    return (lambda *_, **__: None) if _registered else register


def define(
    schema: str,
    implementation: Callable[Arguments, Result],
    fake: Callable[..., Any],
    *,
    needs_cuda_kernel: bool = True,
) -> Callable[Arguments, Result]:
    """Define an op with one implementation for CPU and CUDA, and a fake one for tracing.

    Returns:
        A function that calls the op, with the signature and the docstring of the implementation.
    """
    name = schema.split("(", 1)[0]
    _register(name, schema, implementation, fake, needs_cuda_kernel)
    op = getattr(torch.ops.lenetshift, name)

    @functools.wraps(implementation)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        result: Result = op(*args, **kwargs)
        return result

    call.__name__ = call.__qualname__ = name
    op.__doc__ = implementation.__doc__
    return call


@in_first_import
def _register(
    name: str,
    schema: str,
    implementation: Callable[..., Any],
    fake: Callable[..., Any],
    needs_cuda_kernel: bool,
) -> None:
    on_cuda = core.has_cuda or not needs_cuda_kernel
    library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    library.impl(name, implementation, "CPU")
    library.impl(name, implementation if on_cuda else _without_cuda(name), "CUDA")
    torch.library.register_fake(f"lenetshift::{name}", fake, lib=library)
