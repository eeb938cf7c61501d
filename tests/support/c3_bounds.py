"""``c3_conv`` and its gradients from any implementation, against the float64 reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from cases import run_c3
from torch import Tensor

from lenetshift import reference
from lenetshift.c3_table import n_connections, table_masks

Table = tuple[tuple[int, ...], ...]
#: input, weight, bias, upstream gradient -> output, grad_input, grad_weight, grad_bias
Run = Callable[[Tensor, Tensor, Tensor, Tensor], Sequence[Tensor]]

#: eps of the values in a tile: the form multiplies the rounding error of a product by up to 27, the
#: root of the sum over its points of the squares in A, in G and in B, multiplied.
FORM_ROUNDINGS = 32


def problem(
    n: int, table: Table, n_inputs: int, size: tuple[int, int], dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n + len(table) + size[0])
    shapes = [
        (n, n_inputs, *size),
        (n_connections(table), 5, 5),
        (len(table),),
        (n, len(table), size[0] - 4, size[1] - 4),
    ]
    input, weight, bias, upstream = (
        torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes
    )
    return input, weight, bias, upstream


def check_c3_conv(
    run: Run,
    n: int,
    table: Table,
    n_inputs: int,
    size: tuple[int, int],
    dtype: torch.dtype,
    *,
    tiled: bool = False,
) -> None:
    """Every value within 2 sqrt(k) eps sum |w||x| of float64, k the longest sum of its kind.

    A kernel in the form F(5, 5) (``tiled``, csrc/cpu/math/toom_cook.h) shares its rounding errors
    within a tile: the largest sum among the values of a row that share a tile or a row of taps
    counts, and FORM_ROUNDINGS are added for the transforms to the form's points and back.
    """
    tensors = problem(n, table, n_inputs, size, dtype)
    results = run(*tensors)
    exact = [t.double().clone().requires_grad_() for t in tensors[:3]]
    magnitude = [t.double().abs().requires_grad_() for t in tensors[:3]]
    upstream = tensors[3].double()
    expected = reference.c3_conv(exact[0], exact[1], exact[2], table)
    scale = reference.c3_conv(magnitude[0], magnitude[1], magnitude[2], table)
    wanted = [expected, *torch.autograd.grad(expected, exact, upstream)]
    bounds = [scale, *torch.autograd.grad(scale, magnitude, upstream.abs())]
    positions = n * (size[0] - 4) * (size[1] - 4)
    terms = [max(map(len, table)) * 25 + 1, len(table) * 25, positions, positions]
    names = ("output", "grad_input", "grad_weight", "grad_bias")
    roundings = [2 * max(k, 1) ** 0.5 for k in terms]
    if tiled:
        roundings = [r + FORM_ROUNDINGS for r in roundings]
        reach = (4, 8, 4, 0)  # columns to either side
        bounds = [largest_nearby(b.detach(), r) for b, r in zip(bounds, reach, strict=True)]
    for name, got, want, bound, n_eps in zip(
        names, results, wanted, bounds, roundings, strict=True
    ):
        assert got.shape == want.shape
        assert got.dtype == dtype
        tolerance = n_eps * torch.finfo(dtype).eps * bound.detach()
        error = (got.double() - want.detach()).abs()
        worst = (error - tolerance).argmax() if error.numel() else None
        # Written so that NaN fails.
        assert bool((error <= tolerance).all()), (
            f"{name}: worst error {error.flatten()[worst]:.3g} where "
            f"{tolerance.flatten()[worst]:.3g} is allowed"
        )


def check_c3_op(
    n: int, table: Table, n_inputs: int, size: tuple[int, int], dtype: torch.dtype
) -> None:
    """Check the op on the CPU."""
    check_c3_conv(partial(run_c3, table_masks(table)), n, table, n_inputs, size, dtype, tiled=True)


def largest_nearby(values: Tensor, reach: int) -> Tensor:
    """The largest of the values up to ``reach`` columns away in the same row."""
    if reach == 0 or values.numel() == 0:
        return values
    rows = values.reshape(1, -1, values.shape[-1])
    return F.max_pool1d(rows, 2 * reach + 1, stride=1, padding=reach).view(values.shape)
