"""``c3_conv`` and its gradients against the float64 reference, for every ISA."""

from __future__ import annotations

import pytest
import torch
from c3_bounds import check_c3_op, problem
from cases import TABLES, on_threads, refused, same_bits
from torch import Tensor

import lenetshift  # noqa: F401  registers the ops
from lenetshift.c3_table import C3_TABLE, MAX_INPUTS, table_masks

SIZES = [(14, 14), (5, 5), (9, 6), (32, 32), (7, 25)]
LANES = 16
COUNTS = [0, 1, LANES - 1, LANES, LANES + 1, 2 * LANES + 3, 160]


def random_problem(
    n: int, table_name: str, size: tuple[int, int], dtype: torch.dtype
) -> list[Tensor]:
    """Input, weight and bias."""
    return list(problem(n, *TABLES[table_name], size, dtype)[:3])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("table_name", TABLES)
def test_all_tables(isa: str, table_name: str, dtype: torch.dtype) -> None:
    check_c3_op(LANES + 3, *TABLES[table_name], (14, 14), dtype)


@pytest.mark.parametrize("size", SIZES)
def test_all_sizes(isa: str, size: tuple[int, int]) -> None:
    check_c3_op(3, *TABLES["ragged"], size, torch.float32)


@pytest.mark.parametrize("n", COUNTS)
def test_all_batch_sizes(isa: str, n: int) -> None:
    check_c3_op(n, *TABLES["1998"], (14, 14), torch.float32)


def test_gradcheck(isa: str) -> None:
    inputs = [t.requires_grad_() for t in random_problem(2, "ragged", (6, 7), torch.float64)]
    masks = table_masks(TABLES["ragged"][0])
    assert torch.autograd.gradcheck(
        lambda *tensors: torch.ops.lenetshift.c3_conv(*tensors, masks), inputs
    )


def test_gradients_only_where_wanted() -> None:
    input, weight, bias = random_problem(3, "1998", (14, 14), torch.float32)
    weight.requires_grad_()
    output = torch.ops.lenetshift.c3_conv(input, weight, bias, table_masks(C3_TABLE))
    output.sum().backward()
    assert weight.grad is not None
    assert input.grad is None
    assert bias.grad is None


def test_strided_input_and_gradient() -> None:
    input, weight, bias = random_problem(4, "1998", (14, 28), torch.float32)
    strided = input[::2, :, :, ::2].requires_grad_()
    plain = strided.detach().clone().requires_grad_()
    outputs = [
        torch.ops.lenetshift.c3_conv(t, weight, bias, table_masks(C3_TABLE))
        for t in (strided, plain)
    ]
    generator = torch.Generator().manual_seed(0)
    upstream = torch.randn(10, 10, 16, 2, generator=generator).permute(3, 2, 1, 0)
    grads = [
        torch.autograd.grad(output, t, upstream)[0]
        for output, t in zip(outputs, (strided, plain), strict=True)
    ]
    assert torch.equal(*outputs)
    assert torch.equal(*grads)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bit_identical_for_every_thread_count(isa: str, dtype: torch.dtype) -> None:
    inputs = [t.requires_grad_() for t in random_problem(150, "1998", (14, 14), dtype)]

    def results() -> tuple[Tensor, ...]:
        output = torch.ops.lenetshift.c3_conv(*inputs, table_masks(C3_TABLE))
        return output, *torch.autograd.grad(output.square().sum(), inputs)

    assert same_bits(on_threads((1, 2, 3, 7), results))


def test_opcheck() -> None:
    inputs = [t.requires_grad_() for t in random_problem(3, "1998", (14, 14), torch.float32)]
    masks = table_masks(C3_TABLE)
    torch.library.opcheck(torch.ops.lenetshift.c3_conv.default, (*inputs, masks))
    input, weight, _, upstream = problem(3, C3_TABLE, 6, (14, 14), torch.float32)
    for wanted in ([True, True, True], [False, True, False]):
        torch.library.opcheck(
            torch.ops.lenetshift.c3_conv_backward.default, (upstream, input, weight, masks, wanted)
        )


def test_compile_without_graph_break() -> None:
    inputs = [t.requires_grad_() for t in random_problem(3, "1998", (14, 14), torch.float32)]
    masks = table_masks(C3_TABLE)

    def layer(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.tanh(torch.ops.lenetshift.c3_conv(input * 2, weight, bias, masks))

    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    outputs = compiled(*inputs), layer(*inputs)
    torch.testing.assert_close(*outputs, rtol=0, atol=0)
    gradients = [torch.autograd.grad(output.square().sum(), inputs) for output in outputs]
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


def test_most_input_maps() -> None:
    """The last map of the largest table has an effect; one more map is an error."""
    table = ((0, MAX_INPUTS - 1), (MAX_INPUTS - 1,))
    check_c3_op(2, table, MAX_INPUTS, (5, 6), torch.float32)
    arguments = (torch.zeros(1, 63, 5, 5), torch.zeros(3, 5, 5), torch.zeros(2), table_masks(table))
    with pytest.raises(ValueError, match=r"^input: got 63 maps, expected at most 62$"):
        torch.ops.lenetshift.c3_conv(*arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"input": torch.zeros(2, 6, 4, 14)},
            "input: got maps of 4 x 14, expected 5 x 5 or larger",
        ),
        ({"input": torch.zeros(6, 14, 14)}, "input: got shape [6, 14, 14], expected [*, *, *, *]"),
        ({"input": torch.zeros(2, 6, 14, 14).int()}, "input: got int32, expected float32"),
        ({"input": torch.zeros(2, 5, 14, 14)}, "table: got"),
        ({"weight": torch.zeros(59, 5, 5)}, "weight: got shape [59, 5, 5], expected [60, 5, 5]"),
        ({"weight": torch.zeros(60, 5, 5).double()}, "weight: got float64, expected float32"),
        ({"bias": torch.zeros(15)}, "bias: got shape [15], expected [16]"),
        ({"table": [0] * 16}, "table: got"),
        ({"table": []}, "table: got"),
    ],
)
def test_bad_input(change: dict[str, object], message: str) -> None:
    arguments = {
        "input": torch.zeros(2, 6, 14, 14),
        "weight": torch.zeros(60, 5, 5),
        "bias": torch.zeros(16),
        "table": table_masks(C3_TABLE),
    } | change
    with refused(message):
        torch.ops.lenetshift.c3_conv(**arguments)
