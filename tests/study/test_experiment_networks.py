"""The experiments' networks: their sizes, and what each changes in LeNet-5."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hand_loop import hand_loop
from torch import Tensor, nn

from lenetshift import Dataset, ShiftGrid, build_model, load_mnist, train
from lenetshift.c3_table import C3_TABLE, to_dense
from lenetshift.models.build import MODEL_NAMES
from lenetshift.models.lenet5 import C3Conv
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.remedies.blur import BlurPool2d, MaxBlurPool2d
from lenetshift.study.experiments.networks import (
    BESIDE_LADDER,
    LADDER,
    NETWORKS,
    build_network,
    trained_parameters,
)
from lenetshift.study.experiments.networks.borders import Bordered
from lenetshift.study.experiments.networks.layers import PermutedPixels, TableConv2d, UntiedConv2d
from lenetshift.study.experiments.networks.lenet5 import of_s2
from lenetshift.study.experiments.runs import GRID, one_thread

C1, C3, F6_AND_OUTPUT = 6 * 25 + 6, 60 * 25 + 16, 120 * 84 + 84 + 84 * 10 + 10
CONVOLUTIONAL_C5 = C1 + C3 + 16 * 25 * 120 + 120 + F6_AND_OUTPUT


def dense(n_inputs: int) -> int:
    """The parameters from C5 to the output."""
    return n_inputs * 120 + 120 + F6_AND_OUTPUT


PARAMETERS = {
    "lenet5_permuted": C1 + C3 + dense(400),
    "mlp_permuted": 784 * 512 + 512 + 512 * 10 + 10,
    "lenet5_untied": 784 * C1 + 100 * C3 + dense(400),
    "lenet5_random_filters": dense(400),
    "lenet5_s2_12": C1 + C3 + dense(16 * 4 * 4),
    "lenet5_s2_11": C1 + C3 + dense(16 * 4 * 4),
    "lenet5_s2_7": C1 + C3 + dense(16 * 2 * 2),
    "lenet5_kernel_3": 6 * 9 + 6 + 60 * 9 + 16 + dense(400),
    "lenet5_kernel_7": 6 * 49 + 6 + 60 * 49 + 16 + dense(400),
    "lenet5_kernel_9": 6 * 81 + 6 + 60 * 81 + 16 + dense(400),
    "lenet5_border_8": C1 + C3 + dense(16 * 9 * 9),
    "lenet5_global_max_border_4": CONVOLUTIONAL_C5,
    "lenet5_global_max_border_12": CONVOLUTIONAL_C5,
    "lenet5_global_max_border_28": CONVOLUTIONAL_C5,
    "lenet5_global_max_border_12_max": CONVOLUTIONAL_C5,
    "lenet5_global_max_border_12_max_blur": CONVOLUTIONAL_C5,
    "lenet5_circular": C1 + C3 + dense(400),
    "lenet5_global_max_zero": CONVOLUTIONAL_C5,
    "lenet5_global_max_circular": CONVOLUTIONAL_C5,
}

S4_SIDES = {
    "lenet5_permuted": 5,
    "lenet5_untied": 5,
    "lenet5_random_filters": 5,
    "lenet5_s2_12": 4,
    "lenet5_s2_11": 4,
    "lenet5_s2_7": 2,
    "lenet5_kernel_3": 5,
    "lenet5_kernel_7": 5,
    "lenet5_kernel_9": 5,
    "lenet5_border_8": 9,
    "lenet5_global_max_border_4": 7,
    "lenet5_global_max_border_12": 11,
    "lenet5_global_max_border_28": 19,
    "lenet5_global_max_border_12_max": 11,
    "lenet5_global_max_border_12_max_blur": 11,
    "lenet5_circular": 5,
    "lenet5_global_max_zero": 7,
    "lenet5_global_max_circular": 7,
}
"""Rows and columns of S4: with C5's and F6's layers they decide all that follows."""

NEW = tuple(PARAMETERS)

METHODS = {
    "lenet5_permuted": "rewritten",
    "mlp_permuted": "plain",
    "lenet5_untied": "plain",
    "lenet5_global_max_zero": "rewritten",
    "lenet5_global_max_circular": "rewritten",
}
"""How networks are evaluated that have no features to share, or too few for it to pay."""


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_mnist()[1].subset(12)


@pytest.fixture(scope="module")
def images(digits) -> Tensor:
    return digits.images[:, None] / 255


def float64(name: str, activation: str = "tanh") -> nn.Module:
    return build_network(name, activation, 5).double().eval()


def take_weights(network: nn.Module, source: nn.Module) -> None:
    """The weights of ``source``, layer by layer."""
    weights = zip(network.state_dict(), source.state_dict().values(), strict=True)
    network.load_state_dict(dict(weights))


Kinds = type[nn.Module] | tuple[type[nn.Module], ...]


def maps_of(network: nn.Module, x: Tensor, kinds: Kinds) -> list[Tensor]:
    """What the layers of some kinds give, in their order."""
    seen: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _module, _given, result: seen.append(result))
        for module in network.modules()
        if isinstance(module, kinds)
    ]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return seen


# All networks


def test_lenet5_of_average_pooling_is_model_0(images) -> None:
    composed, model = build_network("lenet5_average", "tanh", 7), build_model("lenet5", seed=7)
    weights = dict(zip(model.state_dict(), composed.state_dict().values(), strict=True))
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    torch.testing.assert_close(composed(images), model(images))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_draw_their_weights_from_the_seed_alone(name) -> None:
    first, again, other = (build_network(name, "relu", seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", [name for name in NETWORKS if not name.startswith("mlp")])
def test_convolutional_networks_share_their_features(name, digits) -> None:
    network = build_network(name, "tanh", 0)
    answers = ShiftEvaluator(network, GRID).answer(digits.images)
    assert answers.method == METHODS.get(name, "shared"), answers.reason
    plain = ShiftEvaluator(network, GRID, method="plain").answer(digits.images)
    assert torch.equal(answers.predictions, plain.predictions)


@pytest.mark.parametrize("name", NEW)
def test_parameters(name) -> None:
    network = build_network(name, "tanh", 0)
    assert trained_parameters(network) == PARAMETERS[name]
    every = sum(weight.numel() for weight in network.state_dict().values())
    assert every - PARAMETERS[name] == (C1 + C3 if name == "lenet5_random_filters" else 0)


@pytest.mark.parametrize("name", S4_SIDES)
def test_sizes_of_maps(name, images) -> None:
    network = build_network(name, "relu", 0).eval()
    kinds = (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.MaxPool2d, Bordered)
    if name.endswith("max_blur"):
        kinds = (BlurPool2d,)
    *_, s4 = maps_of(network, images[:2], kinds)
    assert s4.shape == (2, 16, S4_SIDES[name], S4_SIDES[name])
    assert network(images[:2]).shape == (2, 10)


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_answers_are_those_of_a_loop(name, activation, digits) -> None:
    network = build_network(name, activation, 0).eval()
    grid, images = ShiftGrid(dx=range(-4, 2, 5), dy=range(-2, 2, 3)), digits.images[:3]
    expected = hand_loop(network, images, grid)
    answers = ShiftEvaluator(network, grid).answer(images, return_logits=True)
    torch.testing.assert_close(answers.logits, expected, rtol=0, atol=1e-5)
    assert torch.equal(answers.predictions, expected.argmax(-1).byte())


@pytest.mark.parametrize("name", NEW)
def test_training_changes_what_is_not_frozen(name, digits) -> None:
    network = build_network(name, "tanh", 0)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    train(
        network, digits, epochs=1, learning_rate=0.1, batch_size=6, seed=0, method="autograd"
    )  # fmt: skip
    for key, parameter in network.named_parameters():
        assert torch.equal(parameter, before[key]) != parameter.requires_grad, key


def test_networks_of_lenet5s_shapes_have_its_weights() -> None:
    """So what differs between two runs of one seed is the network."""
    expected = list(build_model("lenet5", seed=3).state_dict().values())
    for name in ("permuted", "random_filters", "circular"):
        weights = build_network(f"lenet5_{name}", "tanh", 3).state_dict().values()
        assert all(torch.equal(*pair) for pair in zip(weights, expected, strict=True)), name
    mlp = build_model("mlp", seed=3).state_dict().values()
    weights = build_network("mlp_permuted", "tanh", 3).state_dict().values()
    assert all(torch.equal(*pair) for pair in zip(weights, mlp, strict=True))


# The controls


@pytest.mark.parametrize("name", ["lenet5", "mlp"])
def test_a_permuted_network_is_the_other_on_permuted_images(name, images) -> None:
    permuted, other = build_network(f"{name}_permuted", "tanh", 4), build_model(name, seed=4)
    order = PermutedPixels().order
    by_hand = torch.empty_like(images)
    for k, source in enumerate(order.tolist()):
        by_hand[:, 0, k // 28, k % 28] = images[:, 0, source // 28, source % 28]
    torch.testing.assert_close(permuted(images), other(by_hand))
    assert not torch.allclose(permuted(images), other(images), atol=1e-3)


def test_the_permutation_is_one_of_all_pixels_and_never_changes() -> None:
    """A study's numbers depend on it."""
    order = PermutedPixels().order.tolist()
    assert sorted(order) == list(range(784))
    assert order[:6] == [329, 563, 475, 121, 613, 31]
    assert sum(k == source for k, source in enumerate(order)) < 10


def test_an_untied_network_with_equal_weights_everywhere_is_lenet5(images) -> None:
    untied, lenet5 = float64("lenet5_untied"), float64("lenet5")
    source = dict(zip(untied.state_dict(), lenet5.state_dict().values(), strict=True))
    for key, value in untied.state_dict().items():
        given = source[key]
        if value.dim() == 5:  # [n_connections, 5, 5, side, side]
            given = given.reshape(-1, 5, 5, 1, 1)
        elif value.dim() == 3:
            given = given[:, None, None]
        source[key] = given.expand_as(value).clone()
    untied.load_state_dict(source)
    inputs = images.double()
    torch.testing.assert_close(untied(inputs), lenet5(inputs), rtol=0, atol=1e-12)


def test_untied_weights_act_at_their_own_place() -> None:
    layer = UntiedConv2d(3, [[0], [0, 1]])  # 3 connections
    x = torch.rand(2, 2, 7, 7)
    before = layer(x)
    with torch.no_grad():
        layer.weight[1, 4, 0, 2, 1] += 1  # of output 1 and input 0
    expected = torch.zeros(2, 2, 3, 3)
    expected[:, 1, 2, 1] = x[:, 0, 2 + 4, 1]
    with torch.no_grad():
        layer.bias[0, 1, 2] += 1
    expected[:, 0, 1, 2] = 1
    torch.testing.assert_close(layer(x) - before, expected)


def test_untied_weights_begin_as_lenet5s_do_at_every_place() -> None:
    """Uniform in +-1/sqrt(fan_in), and different from place to place."""
    network = build_network("lenet5_untied", "tanh", 0)
    c1, c3 = (layer for layer in network if isinstance(layer, UntiedConv2d))
    assert c1.weight.detach().abs().max().item() == pytest.approx(1 / 5, rel=1e-3)
    first = 0
    for inputs in C3_TABLE:
        weights = c3.weight[first : first + len(inputs)]
        assert weights.detach().abs().max().item() == pytest.approx(
            (25 * len(inputs)) ** -0.5, rel=0.01
        )
        first += len(inputs)
    assert c3.weight[0, 0, 0].unique().numel() == c3.bias[0].unique().numel() == 100


def test_random_filters_stay_as_they_are_drawn(digits) -> None:
    network = build_network("lenet5_random_filters", "tanh", 2)
    frozen = [key for key, p in network.named_parameters() if not p.requires_grad]
    assert frozen == ["0.weight", "0.bias", "3.weight", "3.bias"]
    drawn = {key: network.state_dict()[key].clone() for key in frozen}
    settings = {"epochs": 2, "learning_rate": 0.1, "batch_size": 4, "seed": 0}
    losses = train(network, digits, method="autograd", **settings)
    assert losses[1].mean() < losses[0].mean()
    assert all(torch.equal(network.state_dict()[key], drawn[key]) for key in frozen)


# Kernels and sizes


@pytest.mark.parametrize(("large", "small"), [(9, 7), (7, 5), (5, 3)])
def test_a_kernel_whose_outer_ring_is_zero_is_the_smaller_one(large, small, images) -> None:
    names = ["lenet5" if side == 5 else f"lenet5_kernel_{side}" for side in (large, small)]
    wide, narrow = map(float64, names)
    weights = {}
    for key, given in zip(wide.state_dict(), narrow.state_dict().values(), strict=True):
        is_kernel = given.dim() > 2
        weights[key] = nn.functional.pad(given, [1] * 4) if is_kernel else given
    wide.load_state_dict(weights)
    inputs = images.double()
    torch.testing.assert_close(wide(inputs), narrow(inputs), rtol=0, atol=1e-12)


def test_c3_of_any_kernel_has_the_connections_of_1998() -> None:
    same, dense_layer = TableConv2d(5).double(), C3Conv().double()
    same.load_state_dict(dense_layer.state_dict())
    x = torch.rand(2, 6, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(same(x), dense_layer(x), rtol=0, atol=1e-12)
    wide = TableConv2d(7)
    reached = to_dense(torch.ones_like(wide.weight), C3_TABLE, 6)[:, :, 0, 0].bool()
    x = torch.rand(1, 6, 7, 7, requires_grad=True)
    for output, inputs in enumerate(reached):
        (gradient,) = torch.autograd.grad(wide(x)[0, output, 0, 0], x)
        assert torch.equal(gradient.ne(0).flatten(2).all(2)[0], inputs)
    assert wide.weight.abs().max() <= 1 / (49 * 3) ** 0.5


@pytest.mark.parametrize("side", [3, 7, 9])
def test_kernels_leave_the_sizes_of_maps(side, images) -> None:
    network = build_network(f"lenet5_kernel_{side}", "tanh", 0)
    c1, c3 = maps_of(network, images[:1], (nn.Conv2d, C3Conv))
    assert (c1.shape[2:], c3.shape[2:]) == ((28, 28), (10, 10))


def test_an_s2_of_14_is_lenet5s(images) -> None:
    network, lenet5 = of_s2(14, "tanh"), build_model("lenet5", seed=1)
    take_weights(network, lenet5)
    torch.testing.assert_close(network(images), lenet5(images))


@pytest.mark.parametrize(("side", "c3"), [(12, 8), (11, 7), (7, 3)])
def test_an_s2_of_another_size_leaves_out_no_row(side, c3, images) -> None:
    network = build_network(f"lenet5_s2_{side}", "tanh", 0)
    s2, _ = maps_of(network, images[:1], nn.AdaptiveAvgPool2d)
    assert s2.shape[2:] == (side, side)
    assert maps_of(network, images[:1], C3Conv)[0].shape[2:] == (c3, c3)
    inputs = torch.rand(1, 1, 28, 28, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(inputs).square().sum(), inputs)
    assert gradient.ne(0).all()


# The ladder


def test_the_place_blind_network_cannot_tell_a_move_of_its_stride(digits) -> None:
    blind, seeing = (build_network(name, "tanh", 0) for name in ("place_blind", "lenet5"))
    image = torch.zeros(1, 28, 28, dtype=torch.uint8)
    image[:, 8:20, 8:20] = digits.images[0, 8:20, 8:20]
    moved = image.roll((4, -4), (1, 2))  # nothing leaves the frame
    ask = [(network(image[None] / 255), network(moved[None] / 255)) for network in (blind, seeing)]
    torch.testing.assert_close(*ask[0])
    assert not torch.allclose(*ask[1], atol=1e-4)


@pytest.mark.parametrize("name", ["place_blind", "lenet5_global_max_border_28"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_network_in_a_wide_border_trains_as_it_answers(name, activation) -> None:
    """Training computes the units near the image alone: same logits and gradients, ink at the frame
    included."""
    network = build_network(name, activation, 0).double()
    images = torch.rand(2, 1, 28, 28, dtype=torch.float64)
    logits, gradients = [], []
    for mode in (True, False):
        network.train(mode)
        logits.append(network(images))
        loss = logits[-1].square().sum()
        gradients.append(torch.autograd.grad(loss, list(network.parameters())))
    torch.testing.assert_close(*logits, rtol=0, atol=1e-12)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-11)


def test_training_in_a_wide_border_computes_units_near_the_image_alone(images) -> None:
    network = build_network("lenet5_global_max_border_28", "tanh", 0)
    for mode, sides in ((True, [16, 11]), (False, [42, 19])):
        network.train(mode)
        assert [maps.shape[2] for maps in maps_of(network, images[:1], nn.AvgPool2d)] == sides


def by_hand(images: Tensor, network: nn.Module, black: int, pool: nn.Module) -> Tensor:
    """LeNet-5 up to S4, with pixels of black around the image and the weights of a network."""
    c1, c3 = (layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, C3Conv)) and
              layer.weight.shape[0] in (6, 60))  # fmt: skip
    c1_maps = nn.functional.conv2d(images, c1.weight, c1.bias, padding=black)
    s2 = pool(torch.tanh(c1_maps))
    s4: Tensor = pool(torch.tanh(c3(s2)))
    return s4


@pytest.mark.parametrize(
    ("name", "black", "c5_side", "pool"),
    [
        ("lenet5_global_max_border_4", 6, 3, nn.AvgPool2d(2)),
        ("lenet5_global_max_c5", 10, 5, nn.AvgPool2d(2)),
        ("lenet5_global_max_border_12", 14, 7, nn.AvgPool2d(2)),
        ("lenet5_global_max_border_28", 30, 15, nn.AvgPool2d(2)),
        ("lenet5_global_max_border_12_max", 14, 7, nn.MaxPool2d(2)),
        ("lenet5_global_max_border_12_max_blur", 17, 7, MaxBlurPool2d(2, padding_mode="none")),
    ],
)
def test_global_max_by_hand(name, black, c5_side, pool, images) -> None:
    network, inputs = float64(name), images[:3].double()
    s4 = by_hand(inputs, network, black, pool)
    *_, c5, f6, output = (m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear)))
    c5_maps = torch.tanh(nn.functional.conv2d(s4, c5.weight, c5.bias))
    assert c5_maps.shape[2:] == (c5_side, c5_side)
    expected = output(torch.tanh(f6(c5_maps.amax((2, 3)))))
    torch.testing.assert_close(network(inputs), expected, rtol=0, atol=1e-12)


def test_a_dense_c5_in_a_border_that_ignores_it_is_lenet5(images) -> None:
    bordered, lenet5 = float64("lenet5_border_8"), float64("lenet5")
    weights = dict(zip(bordered.state_dict(), lenet5.state_dict().values(), strict=True))
    (c5,) = (key for key, value in weights.items() if value.shape == (120, 400))
    weights[c5] = nn.functional.pad(weights[c5].view(120, 16, 5, 5), [2] * 4).flatten(1)
    bordered.load_state_dict(weights)
    inputs = images.double()
    torch.testing.assert_close(bordered(inputs), lenet5(inputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("pad", [0, 1, 2])
def test_circular_padding_differs_where_something_reaches_the_edge(pad) -> None:
    """C1 sees 2 pixels beyond an edge: it needs ink within 2 of one."""
    circular, lenet5 = float64("lenet5_circular"), float64("lenet5")
    inputs = torch.zeros(1, 1, 28, 28, dtype=torch.float64)
    inputs[..., pad : 28 - pad, pad : 28 - pad] = 1
    assert torch.allclose(circular(inputs), lenet5(inputs), rtol=0, atol=1e-12) == (pad == 2)


def test_padding_circularly_differs_from_zeros_at_the_edges_alone() -> None:
    """With biases of 0, black gives 0 in every layer. If C1 sees one pixel alone, a spot in the middle has
    3x3 units of S4 (2 to 4 of 7), and no unit of C5 sees them beyond an edge."""
    zero, circular = (float64(f"lenet5_global_max_{how}") for how in ("zero", "circular"))
    alone = torch.zeros(5, 5, dtype=torch.float64)
    alone[2, 2] = 1
    with torch.no_grad():
        for network in (zero, circular):
            for key, parameter in network.named_parameters():
                if key.endswith("bias"):
                    parameter.zero_()
                if parameter.shape == (6, 1, 5, 5):
                    parameter.mul_(alone)
    spot = torch.zeros(1, 1, 28, 28, dtype=torch.float64)
    spot[..., 14, 14] = 1
    torch.testing.assert_close(zero(spot), circular(spot), rtol=0, atol=1e-12)
    corner = spot.roll((13, 13), (2, 3))
    assert not torch.allclose(zero(corner), circular(corner), rtol=0.1, atol=0)


def test_a_circular_network_cannot_tell_a_circular_move_of_its_stride(images) -> None:
    zero, circular = (float64(f"lenet5_global_max_{how}") for how in ("zero", "circular"))
    inputs = images.double()
    moved = inputs.roll((4, -8), (2, 3))
    torch.testing.assert_close(circular(inputs), circular(moved), rtol=0, atol=1e-12)
    assert not torch.allclose(zero(inputs), zero(moved), atol=1e-3)


def test_the_widest_border_hides_moves_of_its_stride(images) -> None:
    """A border of 28 has every C5 unit that could see the image; of 8 not, of moved ones."""
    inputs = torch.zeros(4, 1, 28, 28, dtype=torch.float64)
    inputs[..., 8:20, 8:20] = images[:4, :, 8:20, 8:20]
    moved = inputs.roll((8, -8), (2, 3))
    wide, narrow = (float64(f"lenet5_global_max_{how}") for how in ("border_28", "border_4"))
    torch.testing.assert_close(wide(inputs), wide(moved), rtol=0, atol=1e-12)
    assert not torch.allclose(narrow(inputs), narrow(moved), atol=1e-3)


def test_the_ladder_names_networks() -> None:
    rungs = list(LADDER)
    assert (rungs[0], rungs[-1]) == ("lenet5", "place_blind")
    every = {*MODEL_NAMES, *NETWORKS}
    assert {*rungs, *BESIDE_LADDER} <= every
    assert {base for base, _ in BESIDE_LADDER.values()} <= {*rungs, *BESIDE_LADDER}
    assert not set(rungs) & set(BESIDE_LADDER)
    words = [*LADDER.values(), *(words for _, words in BESIDE_LADDER.values())]
    assert len(set(words)) == len(words)
