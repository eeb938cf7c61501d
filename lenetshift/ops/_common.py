"""Calls of the core, and the registration of ops."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch

from lenetshift.checks.core import core
from lenetshift.checks.repository import repository

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

library = torch.library.Library("lenetshift", "FRAGMENT")

_registered = hasattr(torch.ops.lenetshift, "c3_conv")

implementations: dict[str, dict[int, Callable[..., Any]]] = {}
"""Op -> dispatch keys of ordinary tensors -> what the op runs for them."""

small_calls = core.SmallCalls(
    getattr(torch.Tensor, "__dlpack_c_exchange_api__", None), torch.get_num_threads
)
"""Calls in one step, of contiguous tensors on the CPU. They return None for others, for arguments that do not
fit, and for releases of torch without DLPack's C functions."""


def run_kernel(kernel: str, device: torch.device, *arguments: Any) -> None:
    """Call a kernel of the core with torch's number of threads, or on the device's current stream.

    Args:
        kernel: its name, the same for CPU and CUDA.
        device: the device of all its arrays.
        arguments: the kernel's arguments, the same for CPU and CUDA; of tensors, which must be contiguous,
            the core takes the addresses.
    """
    if device.type == "cpu":
        getattr(core, kernel)(*arguments, torch.get_num_threads())
    else:
        stream = _stream(device, torch._C._cuda_getCurrentRawStream(device.index))
        getattr(core.cuda, kernel)(*arguments, stream)


@functools.lru_cache(maxsize=64)
def _stream(device: torch.device, handle: int) -> Any:
    """The core's ``Stream`` of a device; it makes the device the current one while it enqueues work."""
    return core.cuda.Stream(
        device.index, handle, lambda n_bytes: torch.empty(n_bytes, dtype=torch.uint8, device=device)
    )


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
    implementations[name] = {}
    for key, code in (
        ("CPU", implementation),
        ("CUDA", implementation if on_cuda else _without_cuda(name)),
    ):
        library.impl(name, code, key)
        implementations[name][keys_of_ordinary_tensors(key)] = code
    torch.library.register_fake(f"lenetshift::{name}", fake, lib=library)


def keys_of_ordinary_tensors(backend: str) -> int:
    """The dispatch keys with which torch calls a derivative of an op whose tensors are ordinary ones of a
    backend, while no transform and no mode is active: nothing but the op's implementation comes after it."""
    keys = torch._C.DispatchKeySet(torch._C._dispatch_key_parse(backend))
    return keys.add(torch._C._dispatch_key_parse(f"Autograd{backend}")).raw_repr()
