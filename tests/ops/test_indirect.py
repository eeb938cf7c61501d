"""``indirect_conv2d`` and ``indirect_pool2d`` against the reference in float64, for every ISA."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import on_threads, refused, same_bits
from torch import Tensor

from lenetshift import reference
from lenetshift.ops import indirect

ops = torch.ops.lenetshift
HALVES = (torch.float16, torch.bfloat16)
KERNELS_OF_THEIR_OWN = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
INF, NAN = float("inf"), float("nan")


def generator(*seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(sum(s * 1009**i for i, s in enumerate(seed)) % 2**63)


def regular(size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
    """The table of an ordinary layer."""
    n = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    lines = torch.arange(n)[:, None] * stride - padding + torch.arange(kernel) * dilation
    return torch.where((lines >= 0) & (lines < size), lines, -1)


def irregular(size: int, kernel: int, n: int) -> Tensor:
    """Any lines, in any order, some of them repeated and some outside; the last row has neighbours if
    the input has as many lines."""
    table = torch.randint(-1, size, (n, kernel), generator=generator(size, kernel, n))
    if n > 1:
        table[1] = table[0]
    if n > 2:
        table[2] = -1
    if n > 3 and kernel <= size:
        table[3] = torch.arange(kernel)
    return table


def problem(
    shape: tuple[int, int, int, int],
    n_outputs: int,
    kernel: tuple[int, int],
    groups: int = 1,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor, Tensor]:
    """Input, weight and bias."""
    seed = generator(*shape, n_outputs, *kernel)
    return (
        torch.randn(shape, generator=seed, dtype=dtype),
        torch.randn(n_outputs, shape[1] // groups, *kernel, generator=seed, dtype=dtype),
        torch.randn(n_outputs, generator=seed, dtype=dtype),
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """The reference has many small operations, for which torch's threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def check_within(got: Tensor, want: Tensor, tolerance: Tensor) -> None:
    assert got.shape == want.shape
    assert got.numel() == 0 or got.is_contiguous(memory_format=torch.channels_last)
    error = (got.double() - want).abs()
    # Written so that NaN fails.
    assert bool((error <= tolerance).all()), (
        f"worst error {(error - tolerance).max():.3g} too large"
    )


def check_conv(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    rows: Tensor,
    columns: Tensor,
    groups: int = 1,
    low: float | None = None,
    high: float | None = None,
) -> None:
    """Every value within 2 sqrt(k) eps sum |w||x| of the reference in float64, k the number of terms; for
    float64 that allows for the rounding of both. Half precision is computed in float32 and rounded once:
    half an eps of the value in addition."""
    tensors = (input, weight, bias)
    got = ops.indirect_conv2d(*tensors, rows, columns, groups, low, high)
    assert got.dtype == input.dtype
    exact, magnitude = ([f(t.double()) for t in tensors] for f in (Tensor.clone, Tensor.abs))
    with one_thread():
        want = reference.indirect_conv2d(*exact, rows, columns, groups, low, high)
        scale = reference.indirect_conv2d(*magnitude, rows, columns, groups)
    n_terms = weight[:1].numel() + 1
    is_half = input.dtype in HALVES
    eps = torch.finfo(torch.float32 if is_half else input.dtype).eps
    tolerance = 2 * n_terms**0.5 * eps * scale
    if is_half:
        half = torch.finfo(input.dtype)
        tolerance = tolerance + half.eps / 2 * (want.abs() + tolerance) + half.tiny * half.eps
    check_within(got, want, tolerance)


def check_pool(input: Tensor, rows: Tensor, columns: Tensor) -> None:
    """The largest is exact; a sum is within 2 sqrt(k) eps sum |x| of float64."""
    got = ops.indirect_pool2d(input, rows, columns, True)
    assert got.dtype == input.dtype
    total = ops.indirect_pool2d(input, rows, columns, False)
    with one_thread():
        assert torch.equal(got, reference.indirect_pool2d(input, rows, columns, True))
        want, scale = (
            reference.indirect_pool2d(x, rows, columns, False)
            for x in (input.double(), input.double().abs())
        )
    n_terms = max(rows.shape[1] * columns.shape[1], 1)
    check_within(total, want, 2 * n_terms**0.5 * torch.finfo(input.dtype).eps * scale)


CHANNELS = [1, 3, 7, 12, 16, 17, 33, 64]
OUTPUTS = [1, 10, 16, 20, 33]
KERNELS = [(1, 1), (3, 3), (5, 1), (1, 5), (12, 12)]


@KERNELS_OF_THEIR_OWN
@pytest.mark.parametrize("n_channels", CHANNELS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_all_sizes(isa: str, dtype: torch.dtype, n_channels: int, kernel: tuple[int, int]) -> None:
    size = tuple(k + 4 for k in kernel)
    for n_outputs in OUTPUTS if kernel != (12, 12) else OUTPUTS[-1:]:
        tensors = problem((2, n_channels, *size), n_outputs, kernel, dtype=dtype)
        rows, columns = (regular(s, k, 1, k // 2) for s, k in zip(size, kernel, strict=True))
        check_conv(*tensors, rows, columns)
        rows, columns = (irregular(s, k, 5) for s, k in zip(size, kernel, strict=True))
        check_conv(*tensors, rows, columns)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("groups", [1, 24, 4])
def test_equals_pytorchs_convolution(isa: str, stride: int, dilation: int, groups: int) -> None:
    input, weight, bias = problem((3, 24, 11, 9), 24, (3, 2), groups)
    rows, columns = (regular(s, k, stride, 1, dilation) for s, k in ((11, 3), (9, 2)))
    got = ops.indirect_conv2d(input, weight, bias, rows, columns, groups)
    want = F.conv2d(input, weight, bias, stride, 1, dilation, groups)
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-4)


@KERNELS_OF_THEIR_OWN
@pytest.mark.parametrize("n_places", [1, 2, 3, 5, 6, 7, 11, 12, 13, 384, 385, 400])
@pytest.mark.parametrize("n_channels", [2, 20])
def test_all_numbers_of_places(
    isa: str, dtype: torch.dtype, n_places: int, n_channels: int
) -> None:
    """Around blocks and pieces of the kernels."""
    table = irregular(4, 2, n_places)
    tensors = problem((1, n_channels, 1, 4), 18, (1, 2), dtype=dtype)
    check_conv(*tensors, regular(1, 1), table)
    tensors = problem((1, n_channels, 4, 1), n_channels, (2, 1), n_channels, dtype)
    check_conv(*tensors, table, regular(1, 1), n_channels)
    check_pool(tensors[0], table, regular(1, 1))


@KERNELS_OF_THEIR_OWN
@pytest.mark.parametrize("n_channels", [2, 7, 16, 17, 33, 64, 65, 96, 130])
@pytest.mark.parametrize("kernel", KERNELS)
def test_depthwise_and_pooling(
    isa: str, dtype: torch.dtype, n_channels: int, kernel: tuple[int, int]
) -> None:
    input, weight, bias = problem((2, n_channels, 14, 13), n_channels, kernel, n_channels, dtype)
    tables = [
        [regular(s, k, 2, k // 2) for s, k in zip((14, 13), kernel, strict=True)],
        [irregular(s, k, 5) for s, k in zip((14, 13), kernel, strict=True)],
    ]
    for rows, columns in tables:
        check_conv(input, weight, bias, rows, columns, n_channels)
        check_pool(input, rows, columns)


@pytest.mark.parametrize("kernel", [(60, 50), (1, 3000), (3000, 1)])
@pytest.mark.parametrize(
    ("n_channels", "dtype"),
    [(1, torch.float32), (2, torch.float32), (17, torch.float32), (2, torch.float64)],
)
def test_more_taps_than_are_listed_at_once(
    isa: str, kernel: tuple[int, int], n_channels: int, dtype: torch.dtype
) -> None:
    size = (min(kernel[0], 61), min(kernel[1], 61))
    rows, columns = (irregular(s, k, 2) for s, k in zip(size, kernel, strict=True))
    neighbours = torch.arange(kernel[1])[None] % size[1]
    columns = torch.cat([columns, columns.clamp(min=0), neighbours])
    input, weight, bias = problem((1, n_channels, *size), 17, kernel, dtype=dtype)
    check_conv(input, weight, bias, rows, columns, low=-20, high=20)
    check_pool(input, rows, columns)
    if n_channels > 1:
        kernels = weight[:n_channels, :1]
        check_conv(input, kernels, bias[:n_channels], rows, columns, n_channels, -20, 20)


@KERNELS_OF_THEIR_OWN
def test_many_channels(isa: str, dtype: torch.dtype) -> None:
    """More than a panel has rows: a part of the taps is one tap."""
    tensors = problem((2, 2100, 2, 3), 3, (2, 2), dtype=dtype)
    check_conv(*tensors, regular(2, 2, 1, 1), regular(3, 2))


EMPTY = [(0, 3, 5, 5), (2, 0, 5, 5), (2, 3, 0, 5), (2, 3, 5, 0), (0, 0, 0, 0)]


@pytest.mark.parametrize("shape", EMPTY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_empty_inputs(isa: str, shape: tuple[int, int, int, int], dtype: torch.dtype) -> None:
    """Of an input without lines, everything is outside."""
    input, weight, bias = (t.to(dtype) for t in problem(shape, 4, (2, 3)))
    rows, columns = (
        irregular(s, k, 4) if s else torch.full((4, k), -1)
        for s, k in zip(shape[2:], (2, 3), strict=True)
    )
    check_conv(input, weight, bias, rows, columns, low=-0.5)
    check_pool(input, rows, columns)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ((0, 2), (3, 2)),
        ((3, 2), (0, 2)),
        ((3, 0), (3, 2)),
        ((3, 2), (3, 0)),
        ((0, 0), (0, 0)),
        ((0, 2**40), (3, 2)),
    ],
)
def test_empty_tables(
    isa: str, dtype: torch.dtype, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    """No lines give an empty result; no taps give the bias, the least value, or zero."""
    tables = [torch.zeros(shape, dtype=torch.int64) for shape in (rows, columns)]
    n_taps = (min(rows[1], 2), columns[1])
    input = torch.randn(2, 3, 4, 5, generator=generator(5)).to(dtype)
    if rows[1] < 2**40:
        for largest in (True, False):
            got = ops.indirect_pool2d(input, *tables, largest)
            assert torch.equal(got, reference.indirect_pool2d(input, *tables, largest))
        if dtype.is_floating_point:
            bias = torch.tensor([0.25, 3, -7], dtype=dtype)
            for groups in (1, 3):
                weight = torch.ones(3, 3 // groups, *n_taps, dtype=dtype)
                check_conv(input, weight, bias, *tables, groups, high=2)
    else:
        assert ops.indirect_pool2d(input, *tables, True).shape == (2, 3, 0, 3)


def test_no_outputs(isa: str) -> None:
    input, table = torch.ones(2, 3, 4, 4), regular(4, 2)
    got = ops.indirect_conv2d(input, torch.ones(0, 3, 2, 2), torch.ones(0), table, table)
    assert got.shape == (2, 0, 3, 3)


@KERNELS_OF_THEIR_OWN
@pytest.mark.parametrize(
    "bounds", [(0, None), (None, 1.5), (0, 6), (-1, 0.1), (0.5, -0.5), (2, 2), (-INF, INF)]
)
@pytest.mark.parametrize(("n_channels", "groups"), [(1, 1), (20, 1), (20, 20), (20, 2)])
def test_clamps(
    isa: str,
    dtype: torch.dtype,
    bounds: tuple[float | None, float | None],
    n_channels: int,
    groups: int,
) -> None:
    input, weight, bias = problem((2, n_channels, 6, 6), 20, (3, 3), groups, dtype)
    table = regular(6, 3, 1, 1)
    check_conv(input, weight, bias, table, table, groups, *bounds)
    got = ops.indirect_conv2d(input, weight, bias, table, table, groups, *bounds)
    plain = ops.indirect_conv2d(input, weight, bias, table, table, groups)
    low, high = bounds
    assert torch.equal(
        got, plain.clamp(-INF if low is None else low, INF if high is None else high)
    )


@KERNELS_OF_THEIR_OWN
@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("where", [0, 1, 2])
@pytest.mark.parametrize(("n_channels", "groups"), [(1, 1), (3, 1), (20, 1), (20, 20), (20, 2)])
def test_values_that_are_not_finite(
    isa: str, dtype: torch.dtype, value: float, where: int, n_channels: int, groups: int
) -> None:
    """NaN stays NaN, also under a clamp; outside the input is 0, so a weight of inf gives NaN there."""
    tensors = problem((2, n_channels, 6, 7), 20, (3, 2), groups, dtype)
    target = tensors[where].view(-1)
    target[[0, target.numel() // 2, target.numel() - 1]] = value
    rows, columns = irregular(6, 3, 5), regular(7, 2, 1, 1)
    exact = [tensor.double() for tensor in tensors]
    for bounds in ((None, None), (-1, 1)):
        got = ops.indirect_conv2d(*tensors, rows, columns, groups, *bounds)
        want = reference.indirect_conv2d(*exact, rows, columns, groups, *bounds)
        torch.testing.assert_close(got.double(), want, rtol=1e-4, atol=1e-4, equal_nan=True)
        assert bool(want.isnan().any()) >= (value is NAN)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_pooling_of_values_that_are_not_finite(isa: str, dtype: torch.dtype) -> None:
    input = torch.randn(2, 20, 6, 7, generator=generator(3))
    for i, value in enumerate([NAN, INF, -INF] * 9):
        input.view(-1)[i * 61] = value
    input[1, :, 3] = -INF
    input = input.to(dtype)
    rows, columns = irregular(6, 3, 6), regular(7, 2, 2, 1)
    for largest in (True, False):
        got = ops.indirect_pool2d(input, rows, columns, largest)
        want = reference.indirect_pool2d(input.double(), rows, columns, largest)
        tolerance = {"rtol": 0, "atol": 0} if largest else {"rtol": 1e-2, "atol": 1e-2}
        torch.testing.assert_close(got.double(), want, equal_nan=True, **tolerance)
        assert 0 < int(got.isnan().sum()) < got.numel() / 2


@pytest.mark.parametrize("dtype", [torch.float64, *HALVES])
@pytest.mark.parametrize(("n_channels", "groups"), [(1, 1), (18, 1), (18, 18), (18, 3)])
def test_other_dtypes(dtype: torch.dtype, n_channels: int, groups: int) -> None:
    input, weight, bias = (t.to(dtype) for t in problem((2, n_channels, 9, 8), 18, (3, 3), groups))
    rows, columns = regular(9, 3, 2, 1), irregular(8, 3, 4)
    check_conv(input, weight, bias, rows, columns, groups, -2, 0.7001953125)
    largest, total = (
        ops.indirect_pool2d(input, rows, columns, largest) for largest in (True, False)
    )
    assert torch.equal(largest, reference.indirect_pool2d(input, rows, columns, True))
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    want = reference.indirect_pool2d(input.to(compute), rows, columns, False)
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(total, want.to(dtype), rtol=2 * eps, atol=16 * eps)


@pytest.mark.parametrize("dtype", WHOLE)
def test_pooling_of_whole_numbers(dtype: torch.dtype) -> None:
    info = torch.iinfo(dtype)
    input = torch.randint(info.min, info.max, (2, 3, 6, 5), dtype=dtype, generator=generator(4))
    rows, columns = irregular(6, 2, 6), regular(5, 3, 1, 1)
    for largest in (True, False):  # sums wrap around
        got = ops.indirect_pool2d(input, rows, columns, largest)
        assert got.dtype == dtype
        assert torch.equal(got, reference.indirect_pool2d(input, rows, columns, largest))
    outside = ops.indirect_pool2d(input, torch.full((1, 1), -1), regular(5, 1), True)
    assert (outside == info.min).all()


@pytest.mark.parametrize(("n_channels", "groups"), [(2, 1), (20, 1), (20, 20)])
def test_strided_arguments(isa: str, n_channels: int, groups: int) -> None:
    input, weight, bias = problem((3, n_channels, 8, 9), 20, (3, 2), groups)
    rows, columns = regular(8, 3, 1, 1), irregular(9, 2, 6)
    expected = ops.indirect_conv2d(input, weight, bias, rows, columns, groups)
    pooled = ops.indirect_pool2d(input, rows, columns, True)

    def spread(t: Tensor) -> Tensor:
        """The same values, with gaps between them."""
        return torch.stack([t, t], dim=-1)[..., 0]

    last = torch.channels_last
    for one in (input.contiguous(memory_format=last), spread(input), input.mT.contiguous().mT):
        got = ops.indirect_conv2d(
            one, spread(weight), spread(bias), spread(rows), columns.mT.contiguous().mT, groups
        )
        assert torch.equal(got, expected)
        assert torch.equal(ops.indirect_pool2d(one, spread(rows), spread(columns), True), pooled)
    both = ops.indirect_conv2d(input[::2], weight, bias, rows, columns, groups)
    assert torch.equal(both, expected[::2])


@KERNELS_OF_THEIR_OWN
@pytest.mark.parametrize(("n_channels", "groups"), [(2, 1), (20, 1), (20, 20)])
def test_bit_identical_for_every_thread_count(
    isa: str, dtype: torch.dtype, n_channels: int, groups: int
) -> None:
    input, weight, bias = problem((30, n_channels, 9, 9), 20, (3, 3), groups, dtype)
    rows, columns = regular(9, 3, 1, 1), irregular(9, 3, 7)

    def results() -> tuple[Tensor, ...]:
        pooled = [ops.indirect_pool2d(input, rows, columns, largest) for largest in (True, False)]
        return ops.indirect_conv2d(input, weight, bias, rows, columns, groups), *pooled

    assert same_bits(on_threads((1, 2, 3, 7), results))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("groups", [1, 6, 2])
def test_opcheck(dtype: torch.dtype, groups: int) -> None:
    tensors = [t.to(dtype) for t in problem((2, 6, 7, 8), 6, (3, 2), groups)]
    tables = (regular(7, 3), irregular(8, 2, 3))
    torch.library.opcheck(ops.indirect_conv2d.default, (*tensors, *tables, groups, 0.0, None))
    for largest in (True, False):
        torch.library.opcheck(ops.indirect_pool2d.default, (tensors[0], *tables, largest))


def test_compile_without_graph_break() -> None:
    tensors, table = problem((2, 6, 8, 8), 5, (3, 3)), regular(8, 3, 1, 1)

    def layer(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        maps = ops.indirect_conv2d(input * 2, weight, bias, table, table, 1, 0.0)
        return torch.tanh(ops.indirect_pool2d(maps, table, table, True))

    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(*tensors), layer(*tensors))


def test_autocast_computes_in_float32() -> None:
    tensors, table = problem((2, 6, 8, 8), 5, (3, 3)), regular(8, 3, 1, 1)
    half = tensors[0].bfloat16()
    expected = ops.indirect_conv2d(half.float(), *tensors[1:], table, table)
    pooled = ops.indirect_pool2d(half.float(), table, table, True)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ops.indirect_conv2d(half, *tensors[1:], table, table), expected)
        assert torch.equal(ops.indirect_pool2d(half, table, table, True), pooled)


def test_vmap() -> None:
    input, weight, bias = problem((6, 4, 5, 5), 3, (2, 2))
    batches, table = input.unflatten(0, (2, 3)), regular(5, 2)
    got = torch.func.vmap(ops.indirect_conv2d, (0, None, None, None, None))(
        batches, weight, bias, table, table
    )
    assert torch.equal(got.flatten(0, 1), ops.indirect_conv2d(input, weight, bias, table, table))
    got = torch.func.vmap(ops.indirect_pool2d, (0, None, None, None))(batches, table, table, True)
    assert torch.equal(got.flatten(0, 1), ops.indirect_pool2d(input, table, table, True))


@pytest.mark.parametrize("name", ["indirect_conv2d", "indirect_pool2d"])
def test_a_derivative_is_refused(name: str) -> None:
    input, weight, bias = (t.requires_grad_() for t in problem((1, 2, 4, 4), 3, (2, 2)))
    table = regular(4, 2)
    arguments = (weight, bias, table, table) if name == "indirect_conv2d" else (table, table, True)
    op = getattr(ops, name)
    output = op(input, *arguments)
    with torch.no_grad():
        assert torch.equal(output, op(input, *arguments))
    refusal = pytest.raises(
        NotImplementedError, match=rf"^lenetshift::{name}: has no derivative; torch\.[^\n]*$"
    )
    with refusal:
        output.sum().backward()
    with refusal:
        torch.func.grad(lambda x: op(x, *arguments).sum())(input.detach())


GOOD: dict[str, Any] = {
    "input": torch.zeros(2, 6, 5, 4),
    "weight": torch.zeros(8, 6, 3, 2),
    "bias": torch.zeros(8),
    "rows": regular(5, 3),
    "columns": regular(4, 2),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": None}, "input: got NoneType, expected a Tensor"),
        ({"input": torch.zeros(6, 5, 4)}, "input: got shape [6, 5, 4], expected [*, *, *, *]"),
        ({"input": torch.zeros(2, 6, 5, 4).cfloat()}, "input: got complex64, expected float32 or "),
        ({"rows": regular(5, 3) + 3}, "rows: got values in 3..7, expected values in -1..4"),
        ({"rows": regular(5, 3) - 2}, "rows: got values in -2..2, expected values in -1..4"),
        ({"rows": torch.full((1, 3), -(2**63))}, "rows: got values in -9223372036854775808..-9"),
        ({"columns": regular(5, 2)}, "columns: got values in 0..4, expected values in -1..3"),
        ({"rows": regular(5, 3).int()}, "rows: got int32, expected int64"),
        ({"columns": regular(4, 2)[0]}, "columns: got shape [2], expected [*, *]"),
    ],
)  # fmt: skip
def test_bad_windows(change: dict[str, Any], message: str) -> None:
    with refused(message):
        ops.indirect_conv2d(**(GOOD | change))
    tables = GOOD | change
    with refused(message):
        ops.indirect_pool2d(tables["input"], tables["rows"], tables["columns"], True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": torch.zeros(2, 6, 5, 4).int()}, "input: got int32, expected float32 or "),
        ({"weight": torch.zeros(8, 6, 3, 3)}, "weight: got shape [8, 6, 3, 3], expected [*, 6, 3, 2]"),
        ({"weight": torch.zeros(8, 5, 3, 2)}, "weight: got shape [8, 5, 3, 2], expected [*, 6, 3, 2]"),
        ({"weight": torch.zeros(8, 6, 3, 2).half()}, "weight: got float16, expected float32"),
        ({"bias": torch.zeros(7)}, "bias: got shape [7], expected [8]"),
        ({"bias": torch.zeros(8).double()}, "bias: got float64, expected float32"),
        ({"groups": 4}, "groups: got 4, expected a divisor of the 6 channels"),
        ({"groups": 0}, "groups: got 0, expected a divisor of the 6 channels"),
        ({"groups": -1}, "groups: got -1, expected a divisor of the 6 channels"),
        (
            {"groups": 3, "weight": torch.zeros(8, 2, 3, 2)},
            "groups: got 3, expected a divisor of the 8 outputs",
        ),
        ({"low": NAN}, "low: got nan, expected a number"),
        ({"high": NAN}, "high: got nan, expected a number"),
    ],
)  # fmt: skip
def test_bad_input(change: dict[str, Any], message: str) -> None:
    with refused(message):
        ops.indirect_conv2d(**(GOOD | change))


@pytest.mark.parametrize("name", ["weight", "bias", "rows", "columns"])
def test_bad_device(name: str) -> None:
    """The function itself: the dispatcher sends a call with a tensor on meta to the fake kernel."""
    with refused(f"{name}: got a tensor on meta, expected one on cpu"):
        indirect._conv2d(**(GOOD | {name: GOOD[name].to("meta")}))


def test_bad_dtype_of_pooling() -> None:
    for dtype in (torch.bool, torch.complex64):
        with refused(f"input: got {str(dtype).removeprefix('torch.')}, expected float32 or "):
            ops.indirect_pool2d(
                torch.zeros(1, 1, 2, 2, dtype=dtype), regular(2, 1), regular(2, 1), True
            )


def test_largest_bounds_are_pytorchs() -> None:
    """Bounds that float32 does not hold."""
    tensors, table = problem((1, 2, 4, 4), 3, (2, 2)), regular(4, 2)
    got = ops.indirect_conv2d(*tensors, table, table, 1, -1e300, 1e300)
    assert torch.equal(got, ops.indirect_conv2d(*tensors, table, table))
    assert math.isinf(float(torch.tensor(1e300).float()))
