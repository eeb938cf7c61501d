"""Trainings with one thing different: each against a loop written out, and its evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import make_dataset, make_images, refused, weights
from hand_loop import hand_loop
from torch import Tensor, nn

from lenetshift import ShiftGrid, build_model, predict_shifts, train
from lenetshift.data.dataset import Dataset, as_input
from lenetshift.data.seeds import epoch_permutation
from lenetshift.models.build import MODEL_NAMES
from lenetshift.models.lenet5 import C3Conv
from lenetshift.ops.activations import ACTIVATION_LAYERS
from lenetshift.study.experiments.runs import one_thread
from lenetshift.study.experiments.variants import VARIANTS, Trainer, build
from lenetshift.study.experiments.variants.networks import RawPixels, TrainableAverage, recomposed

SETTINGS: dict[str, Any] = {"learning_rate": 0.1, "batch_size": 8, "seed": 7}

EVERY = [
    (name, model, activation)
    for name, variant in VARIANTS.items()
    for model in variant.models
    for activation in variant.activations
]

OF_THE_NETWORK = ("sigmoid", "trainable_pooling", "raw_pixels")
OF_THE_START = ("init_xavier", "init_lecun", "init_1998")

Loss = Callable[[Tensor, Tensor], Tensor]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():  # as in runs; for steps this small also faster
        yield


def written_out(
    network: nn.Module, dataset: Dataset, orders: list[Tensor], loss: Loss, momentum: float = 0
) -> list[Tensor]:
    """The losses of the steps, for each epoch's order of the images; the weights move by definition."""
    parameters = list(network.parameters())
    velocities = [torch.zeros_like(parameter) for parameter in parameters]
    losses = []
    for order in orders:
        of_epoch = []
        for batch in order.split(SETTINGS["batch_size"]):
            images = dataset.images[batch][:, None].to(parameters[0].dtype) / 255
            value = loss(network(images), dataset.labels[batch])
            gradients = torch.autograd.grad(value, parameters)
            with torch.no_grad():
                for parameter, velocity, gradient in zip(
                    parameters, velocities, gradients, strict=True
                ):
                    velocity.mul_(momentum).add_(gradient)
                    parameter -= SETTINGS["learning_rate"] * velocity
            of_epoch.append(value.detach().float())
        losses.append(torch.stack(of_epoch))
    return losses


def shuffled(n: int) -> list[Tensor]:
    return [epoch_permutation(n, SETTINGS["seed"], epoch) for epoch in range(2)]


def check_training(
    variant: str, model: str, orders: list[Tensor], loss: Loss, momentum: float = 0
) -> None:
    """Two epochs of a trainer and of the loop written out; their losses and weights are equal. In double:
    what float32 rounds in a step depends on the machine, and with raw pixels later steps magnify it."""
    dataset = make_dataset(20)  # the last of three steps has 4 images
    network, expected = (build(variant, model, "tanh", 1).double() for _ in range(2))
    trainer = Trainer(variant, network, dataset, **SETTINGS)
    losses = [trainer.epoch(number) for number in range(2)]
    assert [(of_epoch.shape, of_epoch.dtype) for of_epoch in losses] == [((3,), torch.float32)] * 2
    torch.testing.assert_close(losses, written_out(expected, dataset, orders, loss, momentum))
    torch.testing.assert_close(weights(network), weights(expected))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("model", MODEL_NAMES)
def test_without_a_variant_it_is_the_package_s_own_to_the_bit(model, activation) -> None:
    dataset = make_dataset(20)  # 3 steps
    network, own = build("", model, activation, 3), build_model(model, activation, seed=3)
    assert torch.equal(weights(network), weights(own))
    trainer = Trainer("", network, dataset, **SETTINGS)
    losses = [trainer.epoch(number) for number in range(2)]
    expected = train(own, dataset, method="autograd", epochs=2, **SETTINGS)
    assert all(torch.equal(*pair) for pair in zip(losses, expected, strict=True))
    assert torch.equal(weights(network), weights(own))


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_no_shuffling(model) -> None:
    check_training("no_shuffling", model, [torch.arange(20)] * 2, F.cross_entropy)


def test_the_losses_without_shuffling_follow_the_data_s_order() -> None:
    dataset = make_dataset(20)
    network = build("no_shuffling", "mlp", "tanh", 1)
    with torch.no_grad():
        expected = F.cross_entropy(
            network(dataset.images[:, None] / 255), dataset.labels, reduction="none"
        )
    still = {**SETTINGS, "learning_rate": 1e-12, "batch_size": 1}
    trainer = Trainer("no_shuffling", network, dataset, **still)
    for number in range(2):
        torch.testing.assert_close(trainer.epoch(number), expected)


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_softmax_before_loss(model) -> None:
    check_training(
        "softmax_before_loss",
        model,
        shuffled(20),
        lambda outputs, labels: F.cross_entropy(F.softmax(outputs, 1), labels),
    )


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_mse(model) -> None:
    check_training(
        "mse",
        model,
        shuffled(20),
        lambda outputs, labels: (outputs - torch.eye(10)[labels]).square().mean(),
    )


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_momentum_lasts_from_step_to_step_and_from_epoch_to_epoch(model) -> None:
    check_training("momentum", model, shuffled(20), F.cross_entropy, momentum=0.9)


def test_momentum_is_that_of_pytorch() -> None:
    dataset, (first, second) = make_dataset(20), shuffled(20)
    network, expected = (build("momentum", "mlp", "tanh", 1) for _ in range(2))
    trainer = Trainer("momentum", network, dataset, **SETTINGS)
    trainer.epoch(0), trainer.epoch(1)
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.1, momentum=0.9)
    for batch in (*first.split(8), *second.split(8)):
        optimizer.zero_grad()
        F.cross_entropy(
            expected(dataset.images[batch][:, None] / 255), dataset.labels[batch]
        ).backward()
        optimizer.step()
    assert torch.equal(weights(network), weights(expected))


@pytest.mark.parametrize(
    ("variant", "model", "activation"),
    [one for one in EVERY if one[0] in (*OF_THE_NETWORK, *OF_THE_START) and one[2] == "tanh"],
)
def test_the_others_train_as_the_package_does(variant, model, activation) -> None:
    check_training(variant, model, shuffled(20), F.cross_entropy)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("model", MODEL_NAMES)
def test_a_recomposed_model_is_that_model(model, activation) -> None:
    own = build_model(model, activation, seed=1)
    parts = recomposed(own, ACTIVATION_LAYERS[activation], lambda n_maps: [nn.AvgPool2d(2)])
    images = torch.rand(3, 1, 28, 28)
    assert torch.equal(parts(images), own(images))
    assert list(parts.parameters()) == list(own.parameters())


def lenet5_of(model: nn.Module, images: Tensor, act: Any, average: Any) -> Tensor:
    s2 = average(act(model.c1(images)), 0)
    s4 = average(act(model.c3(s2)), 1)
    return model.output(act(model.f6(act(model.c5(s4.flatten(1))))))


def test_sigmoid() -> None:
    images = torch.rand(3, 1, 28, 28)

    def sigmoid(x: Tensor) -> Tensor:
        return 1 / (1 + (-x).exp())

    for name in MODEL_NAMES:
        model, network = build_model(name, seed=1), build("sigmoid", name, "tanh", 1)
        if name.endswith("mlp"):
            seen = F.avg_pool2d(images, 4) if name == "pooled_mlp" else images
            expected = model.output(sigmoid(model.hidden(seen.flatten(1))))
        else:
            expected = lenet5_of(model, images, sigmoid, lambda x, _: F.avg_pool2d(x, 2))
        torch.testing.assert_close(network(images), expected)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("name", ["lenet5", "symmetric_lenet5"])
def test_trainable_pooling(name, activation) -> None:
    images, act = torch.rand(3, 1, 28, 28), getattr(torch, activation)
    model, network = (
        build_model(name, activation, seed=1),
        build("trainable_pooling", name, activation, 1),
    )
    poolings = [layer for layer in network if isinstance(layer, TrainableAverage)]
    assert [layer.coefficient.tolist() for layer in poolings] == [[1.0] * 6, [1.0] * 16]
    assert [layer.bias.tolist() for layer in poolings] == [[0.0] * 6, [0.0] * 16]
    added = sum(p.numel() for p in network.parameters()) - sum(
        p.numel() for p in model.parameters()
    )
    assert added == 12 + 32  # S2 and S4 of 1998

    def average(x: Tensor, number: int) -> Tensor:
        scale, bias = (getattr(poolings[number], name) for name in ("coefficient", "bias"))
        means = x.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).mean((-1, -3))
        return act(torch.stack([means[:, m] * scale[m] + bias[m] for m in range(len(scale))], 1))

    torch.testing.assert_close(network(images), lenet5_of(model, images, act, average))
    with torch.no_grad():
        for layer in poolings:
            layer.coefficient.uniform_(-2, 2)
            layer.bias.uniform_(-2, 2)
    torch.testing.assert_close(network(images), lenet5_of(model, images, act, average))


def test_trainable_pooling_is_trained() -> None:
    network = build("trainable_pooling", "lenet5", "tanh", 1)
    Trainer("trainable_pooling", network, make_dataset(8), **SETTINGS).epoch(0)
    for layer in (network[2], network[6]):
        assert isinstance(layer, TrainableAverage)
        assert not (layer.coefficient == 1).any()
        assert not (layer.bias == 0).any()


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_raw_pixels(name) -> None:
    images = make_images("digits", 3)[:, None]
    model, network = build_model(name, seed=1), build("raw_pixels", name, "tanh", 1)
    assert isinstance(network, RawPixels)
    torch.testing.assert_close(network(images / 255), model(images.float()))
    every = torch.arange(256, dtype=torch.uint8).view(256, 1, 1)
    assert torch.equal(as_input(every) * 255, every[:, None].float())  # no rounding


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_the_package_s_own_initial_weights_are_those_of_pytorch(name) -> None:
    """So there is no variant for them: the same numbers as in PyTorch's own layers."""
    model = build_model(name, seed=5)
    torch.manual_seed(5)
    for layer in model.modules():
        if isinstance(layer, C3Conv):
            maps = [nn.Conv2d(len(inputs), 1, 5) for inputs in layer.table]
            torch.testing.assert_close(layer.weight, torch.cat([conv.weight[0] for conv in maps]))
            torch.testing.assert_close(layer.bias, torch.cat([conv.bias for conv in maps]))
        elif isinstance(layer, nn.Conv2d):
            assert torch.equal(
                layer.weight, nn.Conv2d(layer.in_channels, layer.out_channels, 5).weight
            )
        elif isinstance(layer, nn.Linear):
            assert torch.equal(
                layer.weight, nn.Linear(layer.in_features, layer.out_features).weight
            )


def layers_of(network: nn.Module) -> list[tuple[Tensor, Tensor, int, int]]:
    """Weight, bias, fan_in and fan_out of each layer, and of each map of C3."""
    found = []
    for layer in network.children():
        weight, bias = layer.weight.detach(), layer.bias.detach()
        if isinstance(layer, C3Conv):
            first = 0
            for inputs, one in zip(layer.table, bias, strict=True):
                found.append((weight[first : first + len(inputs)], one, 25 * len(inputs), 250))
                first += len(inputs)
        else:
            found.append((weight, bias, *nn.init._calculate_fan_in_and_fan_out(layer.weight)))
    return found


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_initial_weights(name) -> None:
    """Their range, spread and mean; of small layers with many seeds together."""
    for variant in OF_THE_START:
        drawn = [layers_of(build(variant, name, "tanh", seed)) for seed in range(4)]
        for number, (_, _, fan_in, fan_out) in enumerate(drawn[0]):
            weight, bias = (
                torch.cat([layers[number][part].flatten() for layers in drawn]) for part in (0, 1)
            )
            n = weight.numel()
            if variant == "init_lecun":
                deviation, most = 1 / math.sqrt(fan_in), math.inf
            else:
                most = 2.4 / fan_in if variant == "init_1998" else math.sqrt(6 / (fan_in + fan_out))
                deviation = most / math.sqrt(3)
            assert weight.abs().max() <= most
            assert abs(weight.std() / deviation - 1) < 4 / math.sqrt(2 * n)
            assert abs(weight.mean()) < 4 * deviation / math.sqrt(n)
            if variant == "init_1998":
                assert 0 < bias.abs().max() <= most
                assert bias.unique().numel() == bias.numel()
            else:
                assert not bias.any()
            if variant == "init_lecun":
                assert weight.abs().max() > 2 * deviation  # a uniform one ends at 1.7


@pytest.mark.parametrize(("variant", "model", "activation"), EVERY)
def test_weights_depend_on_the_seed_alone(variant, model, activation) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, again, other = (weights(build(variant, model, activation, seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    if variant not in (*OF_THE_START, "trainable_pooling"):
        assert torch.equal(first, weights(build_model(model, activation, seed=1)))


@pytest.mark.parametrize(("variant", "model", "activation"), EVERY)
def test_it_is_evaluated_as_in_a_loop(variant, model, activation) -> None:
    """After a few steps: the predictions of ``auto`` are those of a loop written out."""
    images, grid = make_images("digits", 4), ShiftGrid(range(-2, 3), range(-1, 2))
    network = build(variant, model, activation, 2)
    Trainer(variant, network, make_dataset(40), **{**SETTINGS, "learning_rate": 0.01}).epoch(0)
    expected = hand_loop(network, images, grid)
    assert torch.equal(predict_shifts(network, images, grid).long(), expected.argmax(-1))


def test_every_variant_has_words() -> None:
    assert len({variant.title for variant in VARIANTS.values()}) == len(VARIANTS)
    for name, variant in VARIANTS.items():
        assert name.replace("_", "").isalnum() or name == ""
        assert variant.differs.endswith(".")
        assert set(variant.models) <= set(MODEL_NAMES)


def test_what_is_refused() -> None:
    with refused("variant: got 'dropout', expected '' or 'no_shuffling' or"):
        build("dropout", "mlp", "tanh", 0)
    with refused(
        "network_name: got 'mlp' for the variant 'trainable_pooling', expected 'lenet5' or 'sy"
    ):
        build("trainable_pooling", "mlp", "tanh", 0)
    with refused("activation: got 'relu' for the variant 'sigmoid', expected 'tanh'"):
        build("sigmoid", "mlp", "relu", 0)
    with refused("network_name: got 'alexnet', expected 'lenet5' or 'mlp'"):
        build("", "alexnet", "tanh", 0)
    with refused("seed: got -1"):
        build("init_1998", "mlp", "tanh", -1)
    network, dataset = build("", "mlp", "tanh", 0), make_dataset(8)
    with refused("variant: got 'dropout'"):
        Trainer("dropout", network, dataset, **SETTINGS)
    with refused("dataset: got no images, expected at least one"):
        Trainer("", network, dataset[:0], **SETTINGS)
    for setting, value in (("learning_rate", 0.0), ("batch_size", 0), ("seed", -1)):
        with refused(f"{setting}: got {value}"):
            Trainer("", network, dataset, **{**SETTINGS, setting: value})


def test_epochs_follow_each_other() -> None:
    trainer = Trainer("momentum", build("momentum", "mlp", "tanh", 0), make_dataset(8), **SETTINGS)
    with refused("number: got 1, expected 0, the next epoch"):
        trainer.epoch(1)
    trainer.epoch(0)
    with refused("number: got 0, expected 1, the next epoch"):
        trainer.epoch(0)
    trainer.epoch(1)
