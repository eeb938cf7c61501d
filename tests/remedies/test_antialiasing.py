"""``antialiased``: which layers are replaced by what, with which weights, and what stays."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from hand_loop import hand_loop
from torch import nn

from lenetshift import ShiftGrid, build_model
from lenetshift.checks.errors import ArgumentError
from lenetshift.predict.evaluator import ShiftEvaluator
from lenetshift.remedies import BlurPool2d, MaxBlurPool2d, antialiased
from lenetshift.study.experiments.networks import build_network


class Block(nn.Module):
    """A residual block whose activation is called twice, as torchvision's are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 6, 3, 1, 1, bias=False), nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.down = nn.Sequential(nn.Conv2d(4, 6, 1, 2, bias=False), nn.BatchNorm2d(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.down(x))


def resnet() -> nn.Module:
    """A small network of the usual layers, with running statistics that are not the initial ones."""
    net = nn.Sequential(
        nn.Conv2d(1, 4, 5, 2, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5),
    )  # fmt: skip
    for _ in range(3):
        net(torch.randn(8, 1, 32, 32))
    return net.eval()


def blurred(maps: torch.Tensor, kernel: int = 3, mode: str = "reflect") -> torch.Tensor:
    return BlurPool2d(kernel, 2, mode)(maps)


@pytest.mark.parametrize("training", [True, False])
def test_new_layers_have_the_mode_of_those_that_they_replace(training: bool) -> None:
    net = nn.Sequential(resnet(), nn.AvgPool2d(1, 1), nn.Sequential(nn.AvgPool2d(2))).train(
        training
    )
    assert {module.training for module in antialiased(net).modules()} == {training}


def test_a_residual_network() -> None:
    """The stem's convolution is blurred after its activation, those of the block directly."""
    net = resnet()
    copied = antialiased(net)
    x = torch.randn(3, 1, 32, 32)
    with torch.no_grad():
        y = F.relu(net[1](F.conv2d(x, net[0].weight)))
        y = blurred(F.max_pool2d(blurred(y), 3, 1, 1))
        block = net[4]
        z = F.relu(block.bn1(blurred(F.conv2d(y, block.conv1.weight, padding=1))))
        side = block.down[1](blurred(F.conv2d(y, block.down[0].weight)))
        z = F.relu(block.bn2(block.conv2(z)) + side)
        torch.testing.assert_close(copied(x), net[7](z.mean((2, 3))))
    assert not copied.training


def test_weights_are_copied_under_the_same_names() -> None:
    net = resnet()
    before = copy.deepcopy(net.state_dict())
    copied = antialiased(net)
    assert list(copied.state_dict()) == list(net.state_dict())
    copied.load_state_dict(net.state_dict(), strict=True)
    for key, value in copied.state_dict().items():
        assert torch.equal(value, before[key])
        assert value.data_ptr() != net.state_dict()[key].data_ptr()
    torch.optim.SGD(copied.parameters(), lr=1.0).zero_grad()
    copied.train()(torch.randn(4, 1, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in copied.parameters())
    assert all(p.grad is None for p in net.parameters())
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])
    assert [type(m) for m in net.modules()] == [type(m) for m in resnet().modules()]


@pytest.mark.parametrize("size", [28, 29, 31, 33])
@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(2, (1, 2)),
        nn.MaxPool2d(3, 2, dilation=2), nn.AvgPool2d(2), nn.AvgPool2d(2, ceil_mode=True), nn.AvgPool2d(3, 2),
        nn.AvgPool2d(3, 2, 1), nn.AvgPool2d((2, 3), 3), nn.Conv2d(2, 4, 5, 2),
        nn.Conv2d(2, 4, 3, 2, 1, groups=2),
        nn.Conv2d(2, 4, 3, (2, 3), 2, 2, padding_mode="reflect"), nn.Conv2d(2, 4, 2, 2, padding="valid"),
    ],
)  # fmt: skip
def test_results_have_the_shape_that_they_had(layer: nn.Module, size: int) -> None:
    maps = torch.randn(2, 2, size, size + 2)
    for kernel in (3, 4):
        replaced = antialiased(layer, kernel)
        assert type(replaced) is not type(layer)
        assert replaced(maps).shape == layer(maps).shape
        for mode in ("zeros", "circular"):
            assert antialiased(layer, kernel, mode)(maps).shape == layer(maps).shape


def test_values_of_each_layer() -> None:
    maps = torch.randn(2, 3, 12, 12)
    conv = nn.Conv2d(3, 4, 3, 2, 1)
    torch.testing.assert_close(
        antialiased(conv, 5)(maps), blurred(F.conv2d(maps, conv.weight, conv.bias, 1, 1), 5)
    )
    torch.testing.assert_close(
        antialiased(nn.MaxPool2d(3, 2, 1), 4, "zeros")(maps),
        blurred(F.max_pool2d(maps, 3, 1, 1), 4, "zeros"),
    )
    torch.testing.assert_close(antialiased(nn.AvgPool2d(2))(maps), blurred(maps))
    odd = torch.randn(1, 1, 7, 9)  # the average leaves the last row and column out
    torch.testing.assert_close(antialiased(nn.AvgPool2d(2))(odd), blurred(odd[..., :6, :8]))


def test_layers_that_stay() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.MaxPool2d(3, 1), nn.MaxPool2d(2), nn.AvgPool2d(4),
        nn.AdaptiveAvgPool2d(1), nn.PReLU(), nn.Flatten(),
    )  # fmt: skip
    copied = antialiased(net)
    kinds = [(type(a), type(b)) for a, b in zip(net, copied, strict=True)]
    assert [a for a, b in kinds if a is not b] == [nn.MaxPool2d]
    assert isinstance(antialiased(net, 4)[3], BlurPool2d)  # the average is not larger than the blur


def test_where_the_blur_of_a_convolution_goes() -> None:
    relu = nn.ReLU()
    for between, after in [
        ([], nn.ReLU()), ([nn.BatchNorm2d(2)], nn.Tanh()), ([nn.Identity()], nn.GELU()),
    ]:  # fmt: skip
        copied = antialiased(nn.Sequential(nn.Conv2d(1, 2, 3, 2), *between, after))
        assert type(copied[0]) is nn.Conv2d
        assert copied[0].stride == (1, 1)
        assert isinstance(copied[-1][1], BlurPool2d)
    for others in [
        [nn.PReLU()], [nn.GroupNorm(1, 2), nn.ReLU()], [relu, nn.Conv2d(2, 2, 1), relu], [],
    ]:  # fmt: skip
        net = nn.Sequential(nn.Conv2d(1, 2, 3, 2), *others)
        copied = antialiased(net)
        assert isinstance(copied[0], nn.Conv2d)
        assert isinstance(copied[0].blur, BlurPool2d)
        assert list(copied.state_dict()) == list(net.state_dict())
        assert list(map(type, copied))[1:] == list(map(type, others))


def test_a_layer_in_two_places_stays_one() -> None:
    pool, conv = nn.MaxPool2d(2), nn.Conv2d(1, 1, 3, 2)
    one, other = antialiased(
        nn.ModuleList([nn.Sequential(pool, conv, nn.ReLU()), nn.ModuleList([pool, conv])])
    )
    assert one[0] is other[0]
    assert one[1] is other[1]
    assert isinstance(one[0], MaxBlurPool2d)
    assert type(one[2]) is nn.ReLU
    maps = torch.randn(1, 1, 9, 9)
    assert torch.equal(one[1](maps), blurred(F.conv2d(maps, one[1].weight, one[1].bias)))


def test_dtype_settings_and_modes_stay() -> None:
    net = resnet().double().train()
    net[0].weight.requires_grad_(False)
    net[4].conv1.weight.requires_grad_(False)
    net[4].bn2.eval()
    copied = antialiased(net)
    assert copied(torch.randn(2, 1, 32, 32).double()).dtype == torch.float64
    assert [p.requires_grad for p in copied.parameters()] == [
        p.requires_grad for p in net.parameters()
    ]
    assert copied[3].training
    assert not copied[4].bn2.training


def test_the_last_pooling_of_a_deep_network() -> None:
    """2 x 2 -> 1 x 1: nothing is left to reflect."""
    pool = antialiased(nn.Sequential(nn.MaxPool2d(2)))
    assert pool(torch.tensor([[[[1.0, 2], [3, 4]]]])).tolist() == [[[[4.0]]]]


@pytest.mark.parametrize("mode", ["reflect", "zeros", "circular"])
def test_features_of_the_replaced_network_are_shared(mode: str) -> None:
    net = antialiased(resnet(), 3, mode)
    images, grid = torch.rand(4, 1, 32, 32), ShiftGrid(range(-2, 3), range(-1, 2))
    answers = ShiftEvaluator(net, grid, method="shared").answer(images, return_logits=True)
    assert answers.reason.startswith("shared: all 15 windows of a 34 x 36 canvas at once")
    assert "as far as" not in answers.reason
    torch.testing.assert_close(answers.logits, hand_loop(net, images, grid), atol=1e-5, rtol=1e-5)


def test_lenet5() -> None:
    """The model of the package calls functions; the study's LeNet-5 has its poolings as layers."""
    with pytest.raises(ArgumentError, match="model: got a LeNet5 in which no layer subsamples"):
        antialiased(build_model("lenet5", seed=0))
    net = build_network("lenet5_average", "tanh", 0)
    copied = antialiased(net)
    images, grid = torch.rand(3, 1, 28, 28), ShiftGrid(range(-1, 2), range(-1, 2))
    answers = ShiftEvaluator(copied, grid, method="shared").answer(images, return_logits=True)
    torch.testing.assert_close(
        answers.logits, hand_loop(copied, images, grid), atol=1e-5, rtol=1e-5
    )


def test_resnet18_of_torchvision() -> None:
    models = pytest.importorskip("torchvision.models")
    net = models.resnet18(num_classes=7).eval()
    copied = antialiased(net)
    assert list(copied.state_dict()) == list(net.state_dict())
    blurs = [name for name, m in copied.named_modules() if isinstance(m, BlurPool2d)]
    of_blocks = [f"layer{k}.0.{c}.blur" for k in (2, 3, 4) for c in ("conv1", "downsample.0")]
    assert blurs == ["conv1.blur", "maxpool.blur", *of_blocks]
    images, grid = torch.rand(2, 3, 64, 64), ShiftGrid(range(-1, 2), range(2))
    with torch.no_grad():
        assert copied(images).shape == (2, 7)
    answers = ShiftEvaluator(copied, grid, method="shared").answer(images, return_logits=True)
    torch.testing.assert_close(
        answers.logits, hand_loop(copied, images, grid), atol=1e-4, rtol=1e-4
    )


class Weighted(nn.Conv2d):
    """A convolution with a forward of its own."""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: antialiased(3), "model: got int, expected a Module"),
        (lambda: antialiased(nn.MaxPool2d(2), 8), "kernel_size: got 8, expected an int in 2..7"),
        (
            lambda: antialiased(nn.MaxPool2d(2), 3, "none"),
            "padding_mode: got 'none', expected 'reflect' or 'zeros' or 'circular'",
        ),
        (
            lambda: antialiased(nn.Sequential(nn.Conv2d(1, 2, 3))),
            "model: got a Sequential in which no layer subsamples, expected nn.MaxPool2d, nn.Avg",
        ),
        (
            lambda: antialiased(nn.Sequential(nn.Sequential(Weighted(1, 2, 3, 2)))),
            "model: got Weighted at 0.0, expected nn.Conv2d itself: a subclass may use its stride",
        ),
        (
            lambda: antialiased(nn.MaxPool2d(2, return_indices=True)),
            "model: got MaxPool2d with return_indices=True, expected return_indices=False",
        ),
        (
            lambda: antialiased(nn.Sequential(nn.AvgPool2d(2, divisor_override=1))),
            "model: got AvgPool2d at 0 with divisor_override=1, expected none",
        ),
        (
            lambda: antialiased(nn.Sequential(nn.AvgPool2d(2, 2, 1))),
            "model: got AvgPool2d at 0 with padding=1, expected less than half of its kernel_size",
        ),
    ],
)
def test_errors_are_one_line(make, message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
