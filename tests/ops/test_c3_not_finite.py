"""``c3_conv`` with infinities and NaNs: the results of PyTorch's convolutions of the connected maps."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from cases import on_threads, plain_c3, run_c3, with_gradients
from torch import Tensor

from lenetshift.c3_table import table_masks

TABLE = ((0, 1), (2,), (0, 1, 2))
MASKS = table_masks(TABLE)
INF, NAN = float("inf"), float("nan")
# Maps of more than one tile of five columns, the last of them not full; more images than lanes.
N, HEIGHT, WIDTH = 19, 8, 16
SHAPES = {"input": (N, 3, HEIGHT, WIDTH), "weight": (6, 5, 5), "bias": (3,)}


def make_values(dtype: torch.dtype) -> tuple[dict[str, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = {
        name: torch.randn(shape, dtype=dtype, generator=generator) for name, shape in SHAPES.items()
    }
    output = (N, len(TABLE), HEIGHT - 4, WIDTH - 4)
    return values, torch.randn(output, dtype=dtype, generator=generator)


@pytest.mark.parametrize("bad", [INF, -INF, NAN, "opposite", "zero"])
@pytest.mark.parametrize("where", ["input", "weight", "bias", "upstream"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_pytorch(isa: str, dtype: torch.dtype, where: str, bad: float | str) -> None:
    values, upstream = make_values(dtype)
    target = upstream if where == "upstream" else values[where]
    n = target.numel()
    for at in {0, n // 3, n - 1, n - min(n, 5)}:
        target.view(-1)[at] = INF if isinstance(bad, str) else bad
    if bad == "opposite":  # inf - inf in some sums only
        target.view(-1)[[n // 3 - 1, n - 2]] = -INF
    if bad == "zero":  # 0 * inf in some sums only
        for value in values.values():
            value[torch.rand(value.shape, generator=torch.Generator().manual_seed(1)) < 0.3] = 0
        target.view(-1)[[0, n - 1]] = INF
    got = run_c3(MASKS, *values.values(), upstream)
    expected = with_gradients(partial(plain_c3, TABLE), values.values(), upstream)
    assert not all(value.isfinite().all() for value in expected)
    assert any(value.isfinite().any() for value in expected)
    # The sums have up to N * 4 * 12 terms of order 1, twenty times that within the forms.
    tolerance = 20 * N * 48 * torch.finfo(dtype).eps
    for value, want in zip(got, expected, strict=True):
        torch.testing.assert_close(value, want, rtol=1e-5, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("where", ["input", "weight", "upstream"])
def test_large_values_overflow_where_the_sum_does(isa: str, where: str) -> None:
    values, upstream = make_values(torch.float32)
    target = upstream if where == "upstream" else values[where]
    target.view(-1)[torch.arange(0, target.numel(), 13)] *= 1e38
    got = run_c3(MASKS, *values.values(), upstream)
    doubles = [value.double() for value in values.values()]
    exact = with_gradients(partial(plain_c3, TABLE), doubles, upstream.double())
    n_overflowed = 0
    for value, want in zip(got, exact, strict=True):
        finite = want.float().isfinite()
        n_overflowed += int((~finite).sum())
        assert torch.equal(value.isfinite(), finite)
        assert torch.equal(value[~finite], want.float()[~finite])
        error = (value.double() - want)[finite].abs().max()
        assert error <= 1e-5 * want.abs().max()  # relative to the tile's largest terms
    assert n_overflowed > 0


def test_every_image_by_itself_and_any_number_of_threads() -> None:
    """Finite results keep their bits next to an image that is not finite."""
    values, _ = make_values(torch.float32)
    finite = torch.ops.lenetshift.c3_conv(*values.values(), MASKS)
    values["input"][7, 1, 2, 3] = NAN
    outputs = on_threads((1, 2, 3), lambda: torch.ops.lenetshift.c3_conv(*values.values(), MASKS))
    others = torch.arange(N) != 7
    for output in outputs:
        assert torch.equal(output[others], finite[others])
        assert torch.equal(output.nan_to_num(0), outputs[0].nan_to_num(0))
        assert 0 < int(output[7].isnan().sum()) <= 2 * 25
