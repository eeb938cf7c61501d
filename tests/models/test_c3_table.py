"""The connection table of 1998, and weights in sparse and dense form."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lenetshift
from lenetshift.c3_table import C3_TABLE, from_dense, n_connections, table_masks, to_dense
from lenetshift.models.build import build_model
from lenetshift.models.lenet5 import SymmetricLeNet5


def test_table_is_that_of_1998() -> None:
    rotate = [{(i + k) % 6 for i in range(3)} for k in range(6)]  # three neighbours
    rotate += [{(i + k) % 6 for i in range(4)} for k in range(6)]  # four neighbours
    rotate += [{i + k if i + k < 6 else i + k - 6 for i in (0, 1, 3, 4)} for k in range(3)]
    rotate += [set(range(6))]
    assert [set(inputs) for inputs in C3_TABLE] == rotate
    assert all(list(inputs) == sorted(inputs) for inputs in C3_TABLE)


def test_sixty_connections_ten_for_every_s2_map() -> None:
    assert n_connections(C3_TABLE) == 60
    assert [sum(c in inputs for inputs in C3_TABLE) for c in range(6)] == [10] * 6


def test_masks_hold_one_bit_per_input() -> None:
    masks = table_masks(C3_TABLE)
    assert masks[0] == 0b000111
    assert masks[4] == 0b110001
    assert masks[15] == 0b111111
    assert [bin(mask).count("1") for mask in masks] == [len(inputs) for inputs in C3_TABLE]


@pytest.mark.parametrize("table", [[()], [(0, 0)], [(2, 1)], [(-1, 0)], [(0, 62)]])
def test_malformed_tables_are_refused(table: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"^table\[0\]: got .*, expected .*$"):
        table_masks(table)


def test_dense_weight_against_a_loop_and_back() -> None:
    weight = torch.randn(60, 5, 5, dtype=torch.float64)
    dense = to_dense(weight, C3_TABLE, 6)
    assert dense.shape == (16, 6, 5, 5)
    assert dense.dtype == torch.float64
    kernels = iter(weight)
    for output in range(16):
        for c in range(6):
            expected = next(kernels) if c in C3_TABLE[output] else torch.zeros(5, 5)
            assert torch.equal(dense[output, c], expected.to(torch.float64))
    assert torch.equal(from_dense(dense, C3_TABLE), weight)


def test_from_dense_drops_what_the_table_lacks() -> None:
    dense = torch.randn(16, 6, 5, 5)
    mask = to_dense(torch.ones(60, 5, 5), C3_TABLE, 6)
    assert torch.equal(to_dense(from_dense(dense, C3_TABLE), C3_TABLE, 6), dense * mask)


def test_gradients_flow_through_both() -> None:
    weight = torch.randn(60, 5, 5, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, 6, 6, 6, dtype=torch.float64)
    F.conv2d(x, to_dense(weight, C3_TABLE, 6)).sum().backward()
    dense = to_dense(weight.detach(), C3_TABLE, 6).requires_grad_()
    F.conv2d(x, to_dense(from_dense(dense, C3_TABLE), C3_TABLE, 6)).sum().backward()
    assert weight.grad is not None
    assert dense.grad is not None
    assert torch.equal(to_dense(weight.grad, C3_TABLE, 6), dense.grad)


def test_wrong_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^weight: got shape \[59, 5, 5\], expected \[60, 5, 5\]"):
        to_dense(torch.zeros(59, 5, 5), C3_TABLE, 6)
    with pytest.raises(ValueError, match=r"^n_inputs: got 5, expected an int of 6 or more$"):
        to_dense(torch.zeros(60, 5, 5), C3_TABLE, 5)
    with pytest.raises(ValueError, match=r"^weight: got shape \[16, 5, 5, 5\], expected \[16, "):
        from_dense(torch.zeros(16, 5, 5, 5), C3_TABLE)
    for shape in ((16, 6, 25), (1, 16, 6, 5, 5), (15, 6, 5, 5)):
        with pytest.raises(
            ValueError, match=rf"^weight: got shape {re.escape(str(list(shape)))}, exp"
        ):
            from_dense(torch.zeros(shape), C3_TABLE)
    for call in (lambda w: to_dense(w, C3_TABLE, 6), lambda w: from_dense(w, C3_TABLE)):
        with pytest.raises(ValueError, match=r"^weight: got NoneType, expected a Tensor$"):
            call(None)


def test_a_table_of_no_outputs() -> None:
    assert to_dense(torch.zeros(0, 5, 5), [], 0).shape == (0, 0, 5, 5)
    assert from_dense(torch.zeros(0, 0, 5, 5), []).shape == (0, 5, 5)


def test_a_masked_dense_model_gives_the_same_outputs() -> None:
    """``SymmetricLeNet5`` has PyTorch's own layers; its C3 is an ordinary convolution."""
    model, plain = build_model("lenet5", seed=1).double(), SymmetricLeNet5().double()
    assert type(plain.c3) is nn.Conv2d
    plain.load_state_dict(lenetshift.to_masked_dense(model.state_dict()))
    x = torch.rand(3, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(plain(x), model(x), rtol=1e-12, atol=1e-12)
    back = build_model("lenet5", seed=2).double()
    back.load_state_dict(lenetshift.from_masked_dense(plain.state_dict()))
    assert torch.equal(back(x), model(x))


def test_masked_dense_round_trip() -> None:
    state = build_model("lenet5", seed=1).half().state_dict()
    dense = lenetshift.to_masked_dense(state)
    assert dense["c3.weight"].shape == (16, 6, 5, 5)
    assert dense["c3.weight"].count_nonzero() == 60 * 25
    back = lenetshift.from_masked_dense(dense)
    assert list(back) == list(dense) == list(state)
    for name, tensor in state.items():
        assert back[name].dtype == torch.float16
        assert torch.equal(back[name], tensor)


@pytest.mark.parametrize("value", [1e-30, float("nan")])
def test_a_masked_weight_must_be_zero(value: float) -> None:
    dense = lenetshift.to_masked_dense(build_model("lenet5", seed=1).state_dict())
    dense["c3.weight"][0, 3, 4, 4] = value  # map 0 sees S2's maps 0, 1 and 2
    with pytest.raises(ValueError, match=r"^c3\.weight: got 1 non-zero values where C3_TABLE has "):
        lenetshift.from_masked_dense(dense)


def test_state_dicts_of_other_models_are_refused() -> None:
    mlp, lenet = (build_model(name, seed=0).state_dict() for name in ("mlp", "lenet5"))
    for convert in (lenetshift.to_masked_dense, lenetshift.from_masked_dense):
        with pytest.raises(ValueError, match=r"^state_dict: got no c3\.weight, expected one"):
            convert(mlp)
    expected = r"^c3\.weight: got shape \[60, 5, 5\], expected \[16, 6, 5, 5\]$"
    with pytest.raises(ValueError, match=expected):
        lenetshift.from_masked_dense(lenet)
    with pytest.raises(ValueError, match=r"^c3\.weight: got shape \[16, .*\], expected \[60, "):
        lenetshift.to_masked_dense(lenetshift.to_masked_dense(lenet))
