"""The four models: sizes, values, initial weights, and which of them the fused ops may take."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module

from lenetshift.c3_table import C3_TABLE, to_dense
from lenetshift.models import fused
from lenetshift.models.build import MODEL_NAMES, build_model
from lenetshift.models.fused import fused_name
from lenetshift.models.lenet5 import C3Conv, LeNet5, SymmetricLeNet5
from lenetshift.models.perceptrons import MLP
from lenetshift.models.table import FUSED
from lenetshift.ops.activations import ACTIVATIONS
from lenetshift.predict.predict_shifts import predict_shifts


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def plain_forward(name: str, parameters: list[Tensor], x: Tensor, activation: str) -> Tensor:
    """The four models written out with functionals, C3 as a dense convolution with zeros."""
    act = ACTIVATIONS[activation]
    if name.endswith("mlp"):
        hidden_w, hidden_b, output_w, output_b = parameters
        x = F.avg_pool2d(x, 4) if name == "pooled_mlp" else x
        return F.linear(act(F.linear(x.flatten(1), hidden_w, hidden_b)), output_w, output_b)
    c1_w, c1_b, c3_w, c3_b, c5_w, c5_b, f6_w, f6_b, output_w, output_b = parameters
    if name == "lenet5":
        c3_w = to_dense(c3_w, C3_TABLE, 6)
    x = F.avg_pool2d(act(F.conv2d(x, c1_w, c1_b, padding=2)), 2)
    x = F.avg_pool2d(act(F.conv2d(x, c3_w, c3_b)), 2)
    x = act(F.linear(x.flatten(1), c5_w, c5_b))
    return F.linear(act(F.linear(x, f6_w, f6_b)), output_w, output_b)


def test_parameter_counts() -> None:
    assert {name: count(build_model(name)) for name in MODEL_NAMES} == {
        "lenet5": 60_806,
        "mlp": 784 * 512 + 512 + 512 * 10 + 10,
        "symmetric_lenet5": 61_706,
        "pooled_mlp": 49 * 512 + 512 + 512 * 10 + 10,
    }
    assert count(LeNet5().c3) == 1_516  # as in the paper of 1998
    assert count(SymmetricLeNet5().c3) == 2_416
    assert count(LeNet5().c1) == 156
    assert count(LeNet5().c5) == 48_120
    assert count(LeNet5().f6) == 10_164


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_parameters_come_in_the_order_of_the_state_dict(name: str) -> None:
    model = build_model(name)
    layers = ("c1", "c3", "c5", "f6", "output") if "lenet5" in name else ("hidden", "output")
    names = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    assert [parameter for parameter, _ in model.named_parameters()] == names
    assert list(model.state_dict()) == names


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_forward_equals_plain_functionals(name: str, activation: str, n: int) -> None:
    model = build_model(name, activation, seed=1).double()
    x = torch.rand(n, 1, 28, 28, dtype=torch.float64)
    expected = plain_forward(name, list(model.parameters()), x, activation)
    torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-12)
    assert expected.shape == (n, 10)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_gradients_equal_those_of_plain_functionals(name: str) -> None:
    model = build_model(name, seed=2).double()
    parameters = list(model.parameters())
    x = torch.rand(2, 1, 28, 28, dtype=torch.float64)
    upstream = torch.randn(2, 10, dtype=torch.float64)
    got = torch.autograd.grad(model(x), parameters, upstream)
    expected = torch.autograd.grad(plain_forward(name, parameters, x, "tanh"), parameters, upstream)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_state_dict_round_trip(name: str) -> None:
    source, target = build_model(name, seed=3), build_model(name, seed=4)
    x = torch.rand(2, 1, 28, 28)
    assert not torch.equal(source(x), target(x))
    target.load_state_dict(source.state_dict())
    assert torch.equal(source(x), target(x))


def test_without_a_seed_the_global_generator_is_used() -> None:
    torch.manual_seed(5)
    assert torch.equal(MLP().hidden.weight, build_model("mlp", seed=5).hidden.weight)  # type: ignore


def test_c3_initial_weights_follow_each_maps_own_fan_in() -> None:
    torch.manual_seed(0)
    table = tuple((0, 1, 2) for _ in range(400)) + tuple(tuple(range(6)) for _ in range(400))
    layer = C3Conv(table)
    for maps, kernels, n_inputs in [
        (slice(0, 400), slice(0, 1200), 3),
        (slice(400, 800), slice(1200, 3600), 6),
    ]:
        bound = 1 / math.sqrt(25 * n_inputs)
        for values in (layer.weight[kernels], layer.bias[maps]):
            assert values.abs().max() <= bound
            assert values.abs().max() > 0.98 * bound
            uniform_std = bound / math.sqrt(3)
            assert float(values.detach().std()) == pytest.approx(uniform_std, rel=0.05)
            assert abs(float(values.mean().detach())) < 0.1 * bound


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^name: got 'lenet', expected one of lenet5, mlp, .*$"):
        build_model("lenet")
    with pytest.raises(ValueError, match=r"^activation: got 'gelu', expected 'tanh' or 'relu'$"):
        build_model("mlp", "gelu")
    for seed in (-1, 2**32, 1.5, True):
        with pytest.raises(ValueError, match=r"^seed: got .*, expected an int in 0\.\.4294967295$"):
            build_model("mlp", seed=seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", FUSED)
def test_the_packages_own_models_have_fused_ops(name: str, activation: str) -> None:
    state = torch.get_rng_state()
    assert fused_name(build_model(name, activation, seed=0)) == name
    assert torch.equal(torch.get_rng_state(), state)


class Subclass(MLP):
    def forward(self, x: Tensor) -> Tensor:
        return -super().forward(x)


def tie_biases(model: MLP) -> None:
    model.output.bias = nn.Parameter(model.hidden.bias[:10].detach())
    model.hidden.bias = model.output.bias


OTHER_TABLE = tuple(tuple(5 - c for c in reversed(inputs)) for inputs in C3_TABLE)
CHANGES: list[tuple[type[nn.Module], Callable[[Any], object]]] = [
    # a layer
    (MLP, lambda m: setattr(m, "output", nn.Linear(512, 26))),
    (MLP, lambda m: setattr(m, "output", type("Linear", (nn.Linear,), {})(512, 10))),
    (MLP, lambda m: setattr(m, "another", nn.Linear(10, 10))),
    (MLP, lambda m: nn.utils.parametrizations.weight_norm(m.hidden)),
    (MLP, tie_biases),
    (LeNet5, lambda m: setattr(m, "c3", C3Conv(OTHER_TABLE))),
    (LeNet5, lambda m: setattr(m.c3, "masks", [*m.c3.masks[:15], 0b000111])),
    (SymmetricLeNet5, lambda m: setattr(m.c1, "padding", (2, 1))),
    # what is computed
    (LeNet5, lambda m: m.c3.register_forward_hook(lambda *_: None)),
    (MLP, lambda m: setattr(m, "forward", lambda x: -MLP.forward(m, x))),
    (LeNet5, lambda m: setattr(m.f6, "forward", lambda x: x[:, :84])),
    (LeNet5, lambda m: setattr(m.c1, "_conv_forward", lambda x, weight, bias: x)),
    (MLP, lambda m: m.double()),
]


@pytest.mark.parametrize(("make", "change"), CHANGES)
def test_a_changed_model_has_no_fused_ops(
    make: type[nn.Module], change: Callable[[Any], object]
) -> None:
    model = make()
    change(model)
    assert fused_name(model) is None


def test_another_model_has_no_fused_ops() -> None:
    assert fused_name(Subclass()) is None
    assert fused_name(nn.Sequential(nn.Flatten(), nn.Linear(784, 10))) is None


@pytest.mark.parametrize(
    ("name", "owner", "method"),
    [
        ("lenet5", LeNet5, "forward"),
        ("lenet5", C3Conv, "forward"),
        ("symmetric_lenet5", nn.Conv2d, "_conv_forward"),
        ("pooled_mlp", nn.Linear, "forward"),
        ("mlp", MLP, "__call__"),
        ("mlp", nn.Module, "__call__"),
    ],
)
def test_a_method_replaced_in_a_class_is_seen(
    name: str, owner: type, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_model(name, seed=0)
    assert fused_name(model) == name
    with monkeypatch.context() as patch:
        patch.setattr(owner, method, lambda self, x, *_: x)
        assert fused_name(model) is None
        fused._built.cache_clear()  # as in a process that replaces the method first
        assert fused_name(model) is None
    assert fused_name(model) == name


@pytest.mark.parametrize(
    "register", [module.register_module_forward_hook, module.register_module_forward_pre_hook]
)
def test_a_hook_on_every_module_is_called(register: Any) -> None:
    model, images = build_model("lenet5", seed=0), torch.zeros(1, 28, 28, dtype=torch.uint8)
    called: list[nn.Module] = []
    handle = register(lambda hooked, *_: called.append(hooked))
    try:
        assert fused_name(model) is None
        predict_shifts(model, images)
        assert {type(layer) for layer in called} >= {LeNet5, C3Conv, nn.Conv2d, nn.Linear}
    finally:
        handle.remove()
    assert fused_name(model) == "lenet5"
