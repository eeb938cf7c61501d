"""The value tests of the CUDA kernels: one matrix of cases, which the emulation runs on the CPU
(test_cuda_emulation.py) and ``pytest -m cuda`` on a card (test_cuda.py).
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Protocol

import pytest
import torch
from c3_bounds import check_c3_conv, problem
from cases import EVERY_SHIFT, SHIFTS, TABLES, check_clear_predictions, make_images, make_perceptron
from torch import Tensor, nn

import lenetshift  # noqa: F401  registers the ops
from lenetshift import reference
from lenetshift.c3_table import C3_TABLE, table_masks
from lenetshift.data.load import load_mnist
from lenetshift.models.build import build_model
from lenetshift.shifts import ShiftGrid


class Kernels(Protocol):
    """The CUDA ops, on a card or emulated. Tensors come from the CPU and return to it."""

    #: Copies an input to where the kernels read it.
    place: Callable[[Tensor], Tensor]

    def c3_conv(self, input: Tensor, weight: Tensor, bias: Tensor, masks: list[int]) -> Tensor:
        """The output."""

    def c3_conv_backward(
        self, upstream: Tensor, input: Tensor, weight: Tensor, masks: list[int], wanted: list[bool]
    ) -> list[Tensor]:
        """The gradients of input, weight and bias, empty if not wanted."""

    def translate(self, images: Tensor, shifts: Tensor) -> Tensor:
        """The moved images."""

    def translate_backward(self, upstream: Tensor, shifts: Tensor) -> Tensor:
        """The gradient of the images."""

    def shift_each(self, images: Tensor, shifts: Tensor) -> Tensor:
        """Each image moved by its own shift."""

    def predict(
        self,
        name: str,
        model: nn.Module,
        images: Tensor,
        grid: ShiftGrid,
        return_logits: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Predictions, and logits (empty if not wanted)."""

    def train(
        self,
        name: str,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        permutation: Tensor,
        learning_rate: float,
        batch_size: int,
    ) -> list[Tensor]:
        """Losses and the new parameters; the model is not changed."""


# c3_conv

ALL_TABLES = TABLES | {
    # More rows than one launch takes, and inputs that are staged in several turns.
    "long": (tuple((i % 7,) for i in range(131)), 7),
    "wide": (((0, 5, 61), tuple(range(62))), 62),
    "symmetric": ((tuple(range(6)),) * 16, 6),
}
SIZES = [(5, 5), (9, 6), (14, 14), (15, 26), (7, 25)]
COUNTS = [0, 1, 3, 4, 5, 13]


def run_c3_conv(kernels: Kernels, tensors: tuple[Tensor, ...], masks: list[int]) -> list[Tensor]:
    input, weight, bias, upstream = tensors
    output = kernels.c3_conv(input, weight, bias, masks)
    return [output, *kernels.c3_conv_backward(upstream, input, weight, masks, [True] * 3)]


def check_c3(
    kernels: Kernels, n: int, table_name: str, size: tuple[int, int], dtype: torch.dtype
) -> None:
    table, n_inputs = ALL_TABLES[table_name]
    masks = table_masks(table)
    check_c3_conv(
        lambda *tensors: run_c3_conv(kernels, tensors, masks), n, table, n_inputs, size, dtype
    )


# predict_shifts, train_epoch

LENETS = ("lenet5", "symmetric_lenet5")
PERCEPTRONS = ("mlp", "pooled_mlp")
MODELS = (*LENETS, *PERCEPTRONS)
DEFAULT = ShiftGrid()
# One shift, one row, one column, one side of the frame only, more than one subgrid in x and in y,
# shifts that empty the image.
GRIDS = [
    ShiftGrid(range(1), range(1)),
    ShiftGrid(range(-3, -2), range(2, 3)),
    ShiftGrid(range(-6, 7), range(3, 4)),
    ShiftGrid(range(1, 2), range(-4, 3)),
    ShiftGrid(range(25, 28), range(-27, -25)),
]
# On a card the MLP is computed in a form, in tiles of 4 dx and 5 dy, if a grid fills them well enough.
# Part of a tile; several, some of them partly filled; shifts that empty the image.
ONE_TILE = ShiftGrid(range(4), range(2))
TILED_GRIDS = [
    ONE_TILE,
    ShiftGrid(range(-6, 7), range(-3, 4)),
    ShiftGrid(range(20, 28), range(-27, -22)),
]
# The pooled MLP orders more images than share their windows if a grid has enough shifts.
ORDERED = ShiftGrid(range(-4, 4), range(-1, 1))
MODELS_AND_GRIDS = [*((name, ShiftGrid(range(2), range(2))) for name in MODELS), ("mlp", ONE_TILE)]
# The allowed error of float32: this many times the difference between PyTorch's own float32 and float64,
# and the rounding of the largest value, since the difference may happen to be small.
ROUNDINGS = 8


def make_model(name: str, activation: str, n_hidden: int = 17) -> nn.Module:
    """Random weights, larger than at the start of training so that no layer is nearly linear."""
    if name in LENETS:
        model = build_model(name, activation, seed=3)
    else:
        model = make_perceptron(name, n_hidden, activation)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1.5
    return model


@functools.cache
def expected_logits(
    name: str, activation: str, n_hidden: int, kind: str, n: int, grid: ShiftGrid
) -> tuple[Tensor, Tensor]:
    """PyTorch's in float64 and in float32."""
    model, images = make_model(name, activation, n_hidden), make_images(kind, n)
    single = reference.shifted_logits(model, images, grid, torch.float32)
    return reference.shifted_logits(model.double(), images, grid), single


def check_rounding(what: str, got: Tensor, single: Tensor, exact: Tensor) -> float:
    """Check that `got` is about as close to float64 as PyTorch's own float32; returns the allowed error."""
    eps = torch.finfo(torch.float32).eps * float(exact.abs().max())
    bound = ROUNDINGS * (float((single - exact).abs().max()) + eps)
    error = float((got - exact).abs().max())
    assert error <= bound, f"{what}: worst error {error:.3g}, allowed {bound:.3g}"
    return bound


def check_predictions(
    kernels: Kernels,
    name: str,
    kind: str,
    n: int,
    grid: ShiftGrid = DEFAULT,
    activation: str = "tanh",
    n_hidden: int = 17,
) -> None:
    model, images = make_model(name, activation, n_hidden), make_images(kind, n)
    predictions, logits = kernels.predict(name, model, images, grid)
    exact, single = expected_logits(name, activation, n_hidden, kind, n, grid)
    assert logits.shape == exact.shape
    assert torch.equal(predictions, logits.argmax(-1).to(torch.uint8))
    if n == 0:
        return
    bound = check_rounding("logits", logits, single, exact)
    check_clear_predictions(predictions, exact, 2 * bound)


def check_training(
    kernels: Kernels,
    name: str,
    n: int,
    batch_size: int,
    activation: str = "tanh",
    n_hidden: int = 17,
    images: Tensor | None = None,
    permutation: Tensor | None = None,
) -> None:
    """An epoch on the first n digits, or on the first labels with other images."""
    model, digits = make_model(name, activation, n_hidden), load_mnist()[0]
    images = digits.images[:n] if images is None else images
    labels = digits.labels[: len(images)]
    if permutation is None:
        permutation = torch.randperm(n, generator=torch.Generator().manual_seed(n))
    arguments = (images, labels, permutation, 0.3, batch_size)
    ours = kernels.train(name, model, *arguments)
    single, exact = copy.deepcopy(model), copy.deepcopy(model).double()
    losses = [reference.sgd_epoch(twin, *arguments) for twin in (single, exact)]
    twins = (
        [loss, *(p.detach() for p in twin.parameters())]
        for loss, twin in zip(losses, (single, exact), strict=True)
    )
    before = [torch.zeros_like(losses[0]), *(p.detach() for p in model.parameters())]
    for i, (got, theirs, want, old) in enumerate(zip(ours, *twins, before, strict=True)):
        check_rounding(f"value {i}", got, theirs, want)
        assert not torch.equal(got, old)


every_dtype = pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.bool, torch.int16, torch.float32, torch.float64, torch.complex128]
)


def unaligned(tensor: Tensor) -> Tensor:
    """A copy in a slice of a larger tensor, aligned only to the size of its values."""
    larger = tensor.new_empty(tensor.numel() + 1)
    larger[1:] = tensor.flatten()
    return larger[1:].view(tensor.shape)


class Matrix:
    """A subclass has a fixture `kernels`."""

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("table_name", ALL_TABLES)
    def test_c3_conv_tables(self, kernels: Kernels, table_name: str, dtype: torch.dtype) -> None:
        check_c3(kernels, 2, table_name, (7, 11), dtype)

    @pytest.mark.parametrize("size", SIZES, ids=str)
    def test_c3_conv_sizes(self, kernels: Kernels, size: tuple[int, int]) -> None:
        check_c3(kernels, 2, "ragged", size, torch.float32)

    @pytest.mark.parametrize("n", COUNTS)
    def test_c3_conv_batch_sizes(self, kernels: Kernels, n: int) -> None:
        check_c3(kernels, n, "1998", (14, 14), torch.float32)

    @pytest.mark.parametrize("table_name", ["one", "ragged", "symmetric"])
    def test_c3_conv_tables_on_lenet5_maps(self, kernels: Kernels, table_name: str) -> None:
        check_c3(kernels, 2, table_name, (14, 14), torch.float32)

    def test_c3_conv_many_images_of_lenet5(self, kernels: Kernels) -> None:
        """More than the kernels for few images take; a result does not depend on which kernel it is."""
        masks = table_masks(C3_TABLE)
        check_c3(kernels, 261, "1998", (14, 14), torch.float32)
        input, weight, bias, _ = problem(261, C3_TABLE, 6, (14, 14), torch.float32)
        many, few = (kernels.c3_conv(t, weight, bias, masks) for t in (input, input[-5:]))
        assert torch.equal(many[-5:], few)

    def test_c3_conv_many_patch_groups(self, kernels: Kernels) -> None:
        """More groups than parts of the sums over images."""
        check_c3(kernels, 400, "one", (6, 5), torch.float32)

    @pytest.mark.parametrize("size", [(9, 6), (14, 14)], ids=str)
    def test_c3_conv_gradients_only_where_wanted(
        self, kernels: Kernels, size: tuple[int, int]
    ) -> None:
        input, weight, _, upstream = problem(2, C3_TABLE, 6, size, torch.float32)
        arguments = (upstream, input, weight, table_masks(C3_TABLE))
        every = kernels.c3_conv_backward(*arguments, [True] * 3)
        for i in range(3):
            gradients = kernels.c3_conv_backward(*arguments, [i == k for k in range(3)])
            assert [g.numel() > 0 for g in gradients] == [i == k for k in range(3)]
            assert torch.equal(gradients[i], every[i])

    @every_dtype
    def test_translate(self, kernels: Kernels, dtype: torch.dtype) -> None:
        for shape in [(2, 7, 6), (2, 3, 5, 8), (0, 7, 6), (1, 2, 2, 1, 1), (1, 12, 28)]:
            images = torch.randint(1, 200, shape).to(dtype)
            # The reference slices; Python's integers do not overflow.
            expected = reference.translate(images, EVERY_SHIFT)
            assert torch.equal(kernels.translate(images, EVERY_SHIFT), expected)

    @every_dtype
    def test_shift_each(self, kernels: Kernels, dtype: torch.dtype) -> None:
        shifts, n = EVERY_SHIFT, len(EVERY_SHIFT)
        for shape in [(n, 7, 6), (n, 3, 5, 8), (0, 7, 6), (n, 2, 1, 1, 1), (n, 12, 28)]:
            images = torch.randint(1, 200, shape).to(dtype)
            expected = reference.shift_each(images, shifts[: shape[0]])
            assert torch.equal(kernels.shift_each(images, shifts[: shape[0]]), expected)

    def test_translate_by_no_shifts(self, kernels: Kernels) -> None:
        moved = kernels.translate(torch.ones(2, 7, 6), torch.zeros(0, 2, dtype=torch.int64))
        assert moved.shape == (2, 0, 7, 6)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_translate_gradient(self, kernels: Kernels, dtype: torch.dtype) -> None:
        images = torch.randn(2, 3, 7, 6, dtype=dtype, requires_grad=True)
        moved = torch.ops.lenetshift.translate(images, SHIFTS)
        upstream = torch.randn_like(moved)
        (expected,) = torch.autograd.grad(moved, images, upstream)
        # To the last bit: the same order of additions as on the CPU.
        assert torch.equal(kernels.translate_backward(upstream, SHIFTS), expected)

    @pytest.mark.parametrize("name", LENETS)
    @pytest.mark.parametrize("activation", ["tanh", "relu"])
    def test_predict_dense_images(self, kernels: Kernels, name: str, activation: str) -> None:
        check_predictions(kernels, name, "dense", 2, DEFAULT, activation)

    @pytest.mark.parametrize("name", PERCEPTRONS)
    @pytest.mark.parametrize("activation", ["tanh", "relu"])
    def test_predict_default_grid(self, kernels: Kernels, name: str, activation: str) -> None:
        check_predictions(kernels, name, "sparse", 3, DEFAULT, activation)

    @pytest.mark.parametrize("name", MODELS)
    @pytest.mark.parametrize("grid", GRIDS, ids=str)
    def test_predict_odd_grids(self, kernels: Kernels, name: str, grid: ShiftGrid) -> None:
        check_predictions(kernels, name, "dense" if name in LENETS else "sparse", 1, grid)

    @pytest.mark.parametrize("name", LENETS)
    def test_predict_real_digits(self, kernels: Kernels, name: str) -> None:
        """Images that lose ink on different sides, or none, in one block of patterns."""
        check_predictions(kernels, name, "digits", 5)

    def test_predict_single_pixels(self, kernels: Kernels) -> None:
        check_predictions(kernels, "lenet5", "pixels", 10)

    @pytest.mark.parametrize("name", PERCEPTRONS)
    @pytest.mark.parametrize(
        ("n_hidden", "activation"), [(1, "tanh"), (128, "relu"), (130, "tanh")]
    )
    def test_predict_numbers_of_units(
        self, kernels: Kernels, name: str, n_hidden: int, activation: str
    ) -> None:
        grid = ShiftGrid(range(-1, 1), range(2, 3))
        check_predictions(kernels, name, "dense", 3, grid, activation, n_hidden)

    @pytest.mark.parametrize("grid", TILED_GRIDS, ids=str)
    def test_predict_mlp_in_tiles(self, kernels: Kernels, grid: ShiftGrid) -> None:
        check_predictions(kernels, "mlp", "dense", 2, grid)

    @pytest.mark.parametrize(("n_hidden", "activation"), [(1, "tanh"), (32, "relu"), (70, "tanh")])
    def test_predict_mlp_in_tiles_numbers_of_units(
        self, kernels: Kernels, n_hidden: int, activation: str
    ) -> None:
        check_predictions(kernels, "mlp", "digits", 3, ONE_TILE, activation, n_hidden)

    @pytest.mark.parametrize(("kind", "n"), [("digits", 70), ("pixels", 1), ("pixels", 10)])
    def test_predict_mlp_in_tiles_inked_cells(self, kernels: Kernels, kind: str, n: int) -> None:
        """More images than share their inked cells; one cell; those at the frame's edges."""
        check_predictions(kernels, "mlp", kind, n, ShiftGrid(range(-2, 2), range(-2, 3)))

    def test_predict_mlp_in_tiles_blank_images(self, kernels: Kernels) -> None:
        """No cell has ink."""
        check_predictions(kernels, "mlp", "blank", 2, ONE_TILE)

    @pytest.mark.parametrize(
        ("kind", "n", "n_hidden"), [("digits", 70, 70), ("pixels", 1, 65), ("blank", 34, 129)]
    )
    def test_predict_pooled_mlp_inked_windows(
        self, kernels: Kernels, kind: str, n: int, n_hidden: int
    ) -> None:
        """More images than share their windows; few windows with ink; none. One to three warps' units."""
        check_predictions(kernels, "pooled_mlp", kind, n, ORDERED, n_hidden=n_hidden)

    @pytest.mark.parametrize("name", MODELS)
    def test_predict_no_images(self, kernels: Kernels, name: str) -> None:
        check_predictions(kernels, name, "dense", 0, GRIDS[0])

    @pytest.mark.parametrize("name", PERCEPTRONS)
    def test_predict_more_images_than_a_tile(self, kernels: Kernels, name: str) -> None:
        check_predictions(kernels, name, "digits", 130, ShiftGrid(range(4, 5), range(-1, 0)))

    @pytest.mark.parametrize(("name", "grid"), MODELS_AND_GRIDS, ids=str)
    def test_predict_without_logits(self, kernels: Kernels, name: str, grid: ShiftGrid) -> None:
        model, images = make_model(name, "tanh"), make_images("sparse", 2)
        predictions, _ = kernels.predict(name, model, images, grid)
        alone, logits = kernels.predict(name, model, images, grid, False)
        assert torch.equal(alone, predictions)
        assert logits.numel() == 0

    @pytest.mark.parametrize(("name", "grid"), MODELS_AND_GRIDS, ids=str)
    def test_predict_first_of_equal_logits(
        self, kernels: Kernels, name: str, grid: ShiftGrid
    ) -> None:
        model = make_model(name, "tanh")
        with torch.no_grad():
            model.output.weight.zero_()
            model.output.bias.copy_(torch.tensor([0, 1, 1, 0, 1, 0, 0, 0, 1, 0]))
        predictions, _ = kernels.predict(name, model, make_images("sparse", 3), grid)
        assert (predictions == 1).all()
        with torch.no_grad():
            model.output.bias[[3, 7]] = torch.nan  # in PyTorch it is the largest, too
        predictions, _ = kernels.predict(name, model, make_images("sparse", 3), grid)
        assert (predictions == 3).all()

    @pytest.mark.parametrize("name", MODELS)
    def test_train(self, kernels: Kernels, name: str) -> None:
        check_training(kernels, name, 7, 5, "relu")

    @pytest.mark.parametrize("name", MODELS)
    def test_train_three_steps(self, kernels: Kernels, name: str) -> None:
        check_training(kernels, name, 12, 5)

    @pytest.mark.parametrize("name", PERCEPTRONS)
    def test_train_on_a_batch_beyond_a_tile(self, kernels: Kernels, name: str) -> None:
        check_training(kernels, name, 35, 35, n_hidden=40)

    @pytest.mark.parametrize("name", MODELS)
    def test_train_blank_images_and_repeats(self, kernels: Kernels, name: str) -> None:
        """Images without ink, and the same image many times in a batch."""
        images = torch.zeros(3, 28, 28, dtype=torch.uint8)
        images[2, 27, 27] = 255
        permutation = torch.tensor([2, 2, 0, 1, 2, 0])
        check_training(kernels, name, 6, 4, images=images, permutation=permutation)

    @pytest.mark.parametrize("name", MODELS)
    def test_train_no_images(self, kernels: Kernels, name: str) -> None:
        model, digits = make_model(name, "tanh"), load_mnist()[0]
        nothing = torch.zeros(0, dtype=torch.int64)
        images, labels = digits.images[:3], digits.labels[:3]
        losses, *parameters = kernels.train(name, model, images, labels, nothing, 0.1, 4)
        assert losses.shape == (0,)
        for got, before in zip(parameters, model.parameters(), strict=True):
            assert torch.equal(got, before)

    def test_inputs_aligned_to_their_values_alone(
        self, kernels: Kernels, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = kernels.place
        monkeypatch.setattr(kernels, "place", lambda tensor: unaligned(place(tensor)))
        check_c3(kernels, 1, "1998", (9, 6), torch.float32)
        check_c3(kernels, 2, "1998", (14, 14), torch.float32)
        images = torch.randint(1, 200, (2, 5, 8), dtype=torch.uint8)
        assert torch.equal(kernels.translate(images, SHIFTS), reference.translate(images, SHIFTS))
        moved = kernels.shift_each(images, SHIFTS[1:3])
        assert torch.equal(moved, reference.shift_each(images, SHIFTS[1:3]))
        check_predictions(kernels, "mlp", "sparse", 1, ONE_TILE)
        for name in MODELS:
            check_predictions(kernels, name, "sparse", 1, GRIDS[1])
            check_training(kernels, name, 3, 2)
