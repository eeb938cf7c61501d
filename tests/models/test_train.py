"""Training by both methods, its repeatability, and the biased training set."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import SETTINGS, make_dataset, make_foreign, weights
from torch import nn
from torch.nn.modules import module

from lenetshift import reference
from lenetshift.data.dataset import Dataset
from lenetshift.data.moving import position_biased
from lenetshift.data.seeds import epoch_permutation
from lenetshift.models.build import build_model
from lenetshift.models.table import FUSED
from lenetshift.models.train import train


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("name", FUSED)
def test_fused_equals_autograd(name: str, activation: str) -> None:
    dataset = make_dataset(300)  # 10 steps, the last one of 12 images
    settings = SETTINGS | {"epochs": 2}
    start = weights(build_model(name, activation, seed=1))
    fused, plain = build_model(name, activation, seed=1), build_model(name, activation, seed=1)
    fused_losses = train(fused, dataset, method="fused", **settings)
    plain_losses = train(plain, dataset, method="autograd", **settings)
    assert [losses.shape for losses in fused_losses] == [(10,), (10,)]
    torch.testing.assert_close(fused_losses, plain_losses, rtol=1e-4, atol=1e-5)
    # The error matters in relation to the distance that the weights moved.
    way = (weights(plain) - start).norm()
    assert way > 0.1
    assert (weights(fused) - weights(plain)).norm() < 1e-4 * way


@pytest.mark.parametrize("method", ["fused", "autograd"])
@pytest.mark.parametrize("name", FUSED)
def test_one_step_is_gradient_descent(name: str, method: str) -> None:
    dataset = make_dataset(5)
    model, expected = build_model(name, seed=2), build_model(name, seed=2)
    (losses,) = train(model, dataset, method=method, **SETTINGS)
    loss = F.cross_entropy(expected(dataset.images[:, None] / 255), dataset.labels)
    loss.backward()
    with torch.no_grad():
        for parameter in expected.parameters():
            assert parameter.grad is not None
            parameter -= 0.1 * parameter.grad
    torch.testing.assert_close(losses, loss.detach()[None], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(weights(model), weights(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["fused", "autograd"])
def test_it_learns(method: str) -> None:
    model = build_model("mlp", seed=0)
    losses = train(model, make_dataset(500), method=method, **SETTINGS | {"epochs": 3})
    assert losses[0].dtype == torch.float32
    assert losses[0].device.type == "cpu"
    assert losses[-1].mean() < 0.5 * losses[0].mean()


@pytest.mark.parametrize("method", ["fused", "autograd"])
def test_a_seed_settles_everything(method: str) -> None:
    dataset = make_dataset(100)
    results = []
    for noise, seed in [(1, 7), (2, 7), (1, 8)]:
        model = build_model("lenet5", seed=1)
        torch.manual_seed(noise)
        state = torch.get_rng_state()
        losses = train(model, dataset, method=method, **SETTINGS | {"seed": seed})
        assert torch.equal(torch.get_rng_state(), state)
        results.append(torch.cat([weights(model), *losses]))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("method", ["fused", "autograd"])
def test_epochs_one_by_one_equal_epochs_at_once(method: str) -> None:
    dataset = make_dataset(70)
    at_once, one_by_one = build_model("pooled_mlp", seed=1), build_model("pooled_mlp", seed=1)
    expected = train(at_once, dataset, method=method, **SETTINGS | {"epochs": 2})
    got = [
        train(one_by_one, dataset, method=method, first_epoch=epoch, **SETTINGS)[0]
        for epoch in range(2)
    ]
    assert torch.equal(torch.stack(got), torch.stack(expected))
    assert torch.equal(weights(one_by_one), weights(at_once))


def test_permutation() -> None:
    order = epoch_permutation(1000, seed=3, epoch=2)
    assert order.dtype == torch.int64
    assert order.sort().values.tolist() == list(range(1000))
    assert torch.equal(order, epoch_permutation(1000, seed=3, epoch=2))
    others = [epoch_permutation(1000, *key) for key in [(2, 3), (3, 1), (4, 2), (3, 3), (4, 1)]]
    assert not any(torch.equal(order, other) for other in others)


@pytest.mark.parametrize("method", ["fused", "autograd"])
def test_progress(method: str) -> None:
    calls: list[tuple[int, int, int, float]] = []
    losses = train(
        build_model("pooled_mlp", seed=0),
        make_dataset(130),
        method=method,
        first_epoch=4,
        on_progress=lambda *report: calls.append(report),
        **SETTINGS | {"epochs": 2, "batch_size": 1},
    )
    ends = [call for call in calls if call[1] == call[2]]
    assert [(epoch, step, n_steps) for epoch, step, n_steps, _ in ends] == [
        (4, 130, 130),
        (5, 130, 130),
    ]
    for (*_, loss), expected in zip(ends, losses, strict=True):
        assert loss == pytest.approx(float(expected.mean()), rel=1e-5)
    assert calls == sorted(calls, key=lambda call: call[:2])


def test_autograd_restores_the_mode_and_no_epochs_change_nothing() -> None:
    model = make_foreign().eval()
    before = weights(model)
    assert train(model, make_dataset(10), method="autograd", **SETTINGS | {"epochs": 0}) == []
    assert torch.equal(weights(model), before)
    train(model, make_dataset(10), method="autograd", **SETTINGS)
    assert not model.training
    assert not torch.equal(weights(model), before)


def test_autograd_restores_each_modules_mode() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(784, 10))
    model[1].eval()
    train(model, make_dataset(10), method="autograd", **SETTINGS)
    assert [layer.training for layer in (model, *model)] == [True, True, False, True]


def test_channels_last_weights_train_as_others() -> None:
    dataset = make_dataset(70)
    plain, strided = (build_model("symmetric_lenet5", seed=1) for _ in range(2))
    strided.to(memory_format=torch.channels_last)
    assert not strided.c3.weight.is_contiguous()
    strides = [parameter.stride() for parameter in strided.parameters()]
    losses = [train(model, dataset, **SETTINGS | {"epochs": 2}) for model in (plain, strided)]
    assert [parameter.stride() for parameter in strided.parameters()] == strides
    assert all(map(torch.equal, *losses))
    assert all(map(torch.equal, strided.parameters(), plain.parameters()))


def test_autograd_takes_other_dtypes() -> None:
    model = build_model("mlp", seed=0).double()
    (losses,) = train(model, make_dataset(40), method="autograd", **SETTINGS)
    assert losses.dtype == torch.float32
    assert weights(model).dtype == torch.float64


BAD_VALUES = {
    "epochs": [-1, 1.0],
    "learning_rate": [0, float("nan"), float("inf"), "0.1"],
    "batch_size": [0, True, 10**20],
    "seed": [-1, 2**32],
    "first_epoch": [-1],
    "method": ["fast"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_VALUES.items() for value in values]
)
def test_bad_settings_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: got [^\n]*, expected [^\n]*$"):
        train(build_model("mlp"), make_dataset(4), **SETTINGS | {name: value})


def refused_for(what: str) -> Any:
    return pytest.raises(ValueError, match=rf"^method: got 'fused' for {what}, expected 'autograd'")


def test_what_the_fused_method_cannot_do_is_refused() -> None:
    dataset = make_dataset(4)
    for model in (make_foreign(), build_model("mlp").double()):
        with refused_for(r"\w+"):
            train(model, dataset, **SETTINGS)
    frozen = build_model("lenet5")
    next(frozen.parameters()).requires_grad_(False)
    with refused_for(r".* frozen c1\.weight"):
        train(frozen, dataset, **SETTINGS)
    for hook, on in [
        (lambda m: m.c5.register_full_backward_hook(lambda *_: None), "c5"),
        (lambda m: m.register_full_backward_pre_hook(lambda *_: None), "LeNet5"),
        (lambda m: m.c3.weight.register_hook(lambda grad: 0 * grad), r"c3\.weight"),
        (lambda m: m.f6.bias.register_post_accumulate_grad_hook(lambda p: None), r"f6\.bias"),
        (lambda _: module.register_module_full_backward_hook(lambda *_: None), "every module"),
        (lambda _: module.register_module_full_backward_pre_hook(lambda *_: None), "every module"),
    ]:
        hooked = build_model("lenet5")
        handle = hook(hooked)
        try:
            with refused_for(rf".* a hook on {on}"):
                train(hooked, dataset, **SETTINGS)
        finally:
            handle.remove()
        train(hooked, dataset, **SETTINGS)
    empty = Dataset(dataset.images[:0], dataset.labels[:0])
    with pytest.raises(ValueError, match=r"^dataset: got no images, expected at least one$"):
        train(build_model("mlp"), empty, **SETTINGS)


def test_position_bias_moves_the_named_digits_only() -> None:
    dataset = make_dataset(60)
    original = dataset.images.clone()
    rule = {3: (3, 0), 2: (-3, 0), 7: (2, -1)}
    biased = position_biased(dataset, rule)
    assert torch.equal(dataset.images, original)
    assert torch.equal(biased.labels, dataset.labels)
    assert {2, 3, 7} <= set(dataset.labels.tolist())
    for before, after, label in zip(original, biased.images, dataset.labels.tolist(), strict=True):
        shift = torch.tensor([rule.get(label, (0, 0))])
        assert torch.equal(after, reference.translate(before[None], shift)[0, 0])


def test_position_bias_of_absent_digits_and_of_none() -> None:
    threes = Dataset(torch.ones(2, 28, 28, dtype=torch.uint8), torch.tensor([3, 3]))
    for rule in ({}, {5: (1, 1)}):
        biased = position_biased(threes, rule)
        assert torch.equal(biased.images, threes.images)
        assert biased.images.data_ptr() != threes.images.data_ptr()
    with pytest.raises(ValueError, match=r"^rule: got label 11, expected a digit 0\.\.9$"):
        position_biased(threes, {11: (0, 0)})
