"""The CUDA kernels, run on the CPU by the emulation: values without a card. The kernels' sources are
those of the product, compiled as C++ (cuda_emulation/emulation.h); every case runs under
AddressSanitizer and UndefinedBehaviorSanitizer, and again under ThreadSanitizer.
"""

from __future__ import annotations

import copy
import functools
from pathlib import Path

import pytest
import torch
from cuda_emulation.builds import changed, emulator, folder
from cuda_emulation.emulator import Emulator, compiler
from cuda_emulation.kernels import EmulatedKernels
from cuda_matrix import (
    MODELS_AND_GRIDS,
    ONE_TILE,
    ORDERED,
    PERCEPTRONS,
    SHIFTS,
    Kernels,
    Matrix,
    check_c3,
    check_predictions,
    check_training,
    make_images,
    make_model,
    problem,
    run_c3_conv,
)

from lenetshift import reference
from lenetshift.c3_table import C3_TABLE, table_masks
from lenetshift.data.load import load_mnist
from lenetshift.shifts import ShiftGrid

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(compiler() is None, reason="needs a C++ compiler"),
]


class TestAddress(Matrix):
    """Accesses beyond an array, misaligned accesses, and undefined behaviour of C++."""

    @pytest.fixture
    def kernels(self) -> Kernels:
        return EmulatedKernels(emulator("address"))


class TestThread(Matrix):
    """Races between barriers."""

    @pytest.fixture
    def kernels(self) -> Kernels:
        return EmulatedKernels(emulator("thread"))


@functools.cache
def small_limits() -> Emulator:
    target = Path(folder.name, "small")
    changes = {
        # Seven images of LeNet-5, one sharing group of the MLP, four of the pooled MLP, or one in order.
        "math/fused_device.h": ("std::int64_t{256} << 20;", "500000;"),
        "perceptron/predict_pooled_mlp.cu": ("kMostSortedGroups = 320", "kMostSortedGroups = 1"),
        "lenet5/train.cu": ("kMaxSlots = 128;", "kMaxSlots = 2;"),
        # One or two slots for c3_conv's gradients; no channel is counted in 32 bits.
        "conv/c3_conv.cu": ("kC3Bytes = 64 << 20;", "kC3Bytes = 1 << 14;"),
        "conv/c3_lenet5.h": ("kFewImages = 256;", "kFewImages = 4;"),
        "images/translate.cu": ("kMostIn32Bits = 1 << 30;", "kMostIn32Bits = 0;"),
    }
    units = (
        "conv/c3_conv",
        "images/translate",
        "lenet5/predict",
        "perceptron/predict_mlp",
        "perceptron/predict_pooled_mlp",
        "lenet5/train",
    )
    files = changed(target, changes, *(f"{unit}.cu" for unit in units))
    return Emulator(target, "address", files)


class TestSmallLimits:
    """Cases that otherwise need thousands of images or large ones: several chunks, several images in a slot,
    sizes in 64 bits."""

    @pytest.fixture
    def kernels(self) -> Kernels:
        return EmulatedKernels(small_limits())

    def test_predict_lenet5(self, kernels: Kernels) -> None:
        """Three chunks, the last one short, in two subgrids each."""
        check_predictions(kernels, "lenet5", "dense", 16, ShiftGrid(range(1, 2), range(-3, 4)))

    @pytest.mark.parametrize("name", PERCEPTRONS)
    def test_predict_perceptrons(self, kernels: Kernels, name: str) -> None:
        check_predictions(kernels, name, "digits", 260, ShiftGrid(range(-1, 0), range(2)))

    def test_predict_mlp_in_tiles(self, kernels: Kernels) -> None:
        """Three chunks, the last one short."""
        check_predictions(kernels, "mlp", "digits", 70, ONE_TILE)

    def test_predict_pooled_mlp_in_order(self, kernels: Kernels) -> None:
        """Three chunks, each in its own order, the last one short."""
        check_predictions(kernels, "pooled_mlp", "digits", 70, ORDERED)

    def test_train_lenet5(self, kernels: Kernels) -> None:
        check_training(kernels, "lenet5", 8, 5)

    @pytest.mark.parametrize("table_name", ["1998", "long"])
    @pytest.mark.parametrize("size", [(9, 6), (14, 14)], ids=str)
    def test_c3_conv(self, kernels: Kernels, table_name: str, size: tuple[int, int]) -> None:
        check_c3(kernels, 19, table_name, size, torch.float32)

    @pytest.mark.parametrize("width", [6, 8])
    def test_translate(self, kernels: Kernels, width: int) -> None:
        images = torch.arange(2 * 3 * 5 * width, dtype=torch.uint8).view(2, 3, 5, width)
        assert torch.equal(kernels.translate(images, SHIFTS), reference.translate(images, SHIFTS))
        upstream = torch.randn(2, len(SHIFTS), 3, 5, width)
        floats = images.float().requires_grad_()
        moved = torch.ops.lenetshift.translate(floats, SHIFTS)
        (expected,) = torch.autograd.grad(moved, floats, upstream)
        assert torch.equal(kernels.translate_backward(upstream, SHIFTS), expected)

    def test_shift_each(self, kernels: Kernels) -> None:
        images = torch.arange(len(SHIFTS) * 30, dtype=torch.int16).view(-1, 5, 6)
        expected = reference.translate(images, SHIFTS)[range(len(SHIFTS)), range(len(SHIFTS))]
        assert torch.equal(kernels.shift_each(images, SHIFTS), expected)


@pytest.mark.parametrize(
    ("shape", "n_outputs"),
    [
        ((1, 6, 14, 14), 16),
        ((1, 6, 11_650, 11_650), 16),
        ((1, 1, 5, 2**33), 1),
        ((1000, 62, 300, 300), 1000),
    ],
)
def test_c3_conv_workspace_is_bounded(shape: tuple[int, ...], n_outputs: int) -> None:
    """Tables with every connection; 0 bytes would mean that a size has overflowed."""
    masks = torch.full((n_outputs,), 2 ** shape[1] - 1)
    numbers = torch.zeros(1, dtype=torch.int64)
    kernels = EmulatedKernels(emulator("address"))
    (n_bytes,) = kernels.run("c3_conv_workspace", list(shape), [masks], [numbers.numpy()])[-1]
    assert 0 < n_bytes <= 64 * 2**20


def in_both_orders() -> list[EmulatedKernels]:
    return [EmulatedKernels(emulator("thread"), reverse) for reverse in (False, True)]


def test_c3_conv_does_not_depend_on_the_order_of_blocks() -> None:
    tensors, masks = problem(9, C3_TABLE, 6, (14, 14), torch.float32), table_masks(C3_TABLE)
    results = [run_c3_conv(kernels, tensors, masks) for kernels in in_both_orders()]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize(("name", "grid"), MODELS_AND_GRIDS, ids=str)
def test_fused_kernels_do_not_depend_on_the_order_of_blocks(name: str, grid: ShiftGrid) -> None:
    model, digits = make_model(name, "tanh"), load_mnist()[0]
    epoch = (digits.images[:6], digits.labels[:6], torch.arange(6), 0.1, 4)
    results = [
        [
            *kernels.predict(name, model, make_images("sparse", 2), grid),
            *kernels.train(name, model, *epoch),
        ]
        for kernels in in_both_orders()
    ]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize(("name", "grid"), MODELS_AND_GRIDS, ids=str)
def test_a_replay_needs_nothing_from_the_one_before(name: str, grid: ShiftGrid) -> None:
    """As in a CUDA graph: the second replay finds in the workspace what the first has left there."""
    model, digits = make_model(name, "tanh"), load_mnist()[0]
    images = make_images("sparse", 2)
    epoch = (digits.images[:6], digits.labels[:6], torch.arange(6), 0.1, 4)
    once, twice = (EmulatedKernels(emulator("address"), replays=n) for n in (1, 2))
    for kept, again in zip(
        once.predict(name, model, images, grid),
        twice.predict(name, model, images, grid),
        strict=True,
    ):
        assert torch.equal(kept, again)
    _, *parameters = once.train(name, model, *epoch)
    trained = copy.deepcopy(model)
    with torch.no_grad():
        for parameter, value in zip(trained.parameters(), parameters, strict=True):
            parameter.copy_(value)
    two_epochs = once.train(name, trained, *epoch)
    replayed = twice.train(name, model, *epoch)
    assert all(torch.equal(a, b) for a, b in zip(two_epochs, replayed, strict=True))


def test_a_replay_of_c3_conv_needs_nothing_from_the_one_before() -> None:
    tensors, masks = problem(9, C3_TABLE, 6, (14, 14), torch.float32), table_masks(C3_TABLE)
    once, twice = (EmulatedKernels(emulator("address"), replays=n) for n in (1, 2))
    results = [run_c3_conv(kernels, tensors, masks) for kernels in (once, twice)]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
