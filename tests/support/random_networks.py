"""Random networks made of layers that the shared method supports, as people write them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn


class Lambda(nn.Module):
    """A layer written as a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Scaled(nn.Module):
    """A number for each channel times an activation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, 0.2) * self.scale.exp() + 1


class FunctionalConv(nn.Module):
    """A convolution called as ``F.conv2d`` on parameters of one's own."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.settings = (conv.stride, conv.padding, conv.dilation, conv.groups)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, *self.settings)


class Residual(nn.Module):
    """``p(x) + f(x)``."""

    def __init__(self, inner: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.inner, self.projection = inner, projection

    def forward(self, x: Tensor) -> Tensor:
        out = self.inner(x)
        out += self.projection(x)
        return out.relu_()


class OptionalArguments(nn.Module):
    """A layer with arguments that are never given, conditions on its input, and asserts."""

    def __init__(self, layer: nn.Module, channels: int) -> None:
        super().__init__()
        self.layer, self.channels = layer, channels

    def forward(self, x: Tensor, mask: Tensor | None = None, *, labels: Any = None, **more: Any):
        assert x.ndim == x.dim() == 4
        assert x.shape[1:] == (self.channels, *x.shape[2:]), x.shape
        if len(x) == 0:
            return x
        if mask is not None:
            x = x * mask
        if torch.is_tensor(x) and isinstance(x, Tensor) and x.is_floating_point():
            x = self.layer((x - 0.13) / 0.31)
        return x if labels is None else (x, labels)


class PlaneByPlane(nn.Module):
    """A loop over channels, and a list of its results."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, k] * (k + 1) for k in range(x.shape[1])], dim=1)


class WrittenInPlace(nn.Module):
    """In-place operations on a tensor and on views of it, in one of several ways (``how``)."""

    WAYS = 6

    def __init__(self, how: int) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.25
        if self.how == 0:
            return x.mul_(1.5).clamp_(-1, 1)
        if self.how == 1:
            x.view(x.size(0), -1).sub_(0.3)
        elif self.how == 2:
            y = x.flatten(1)
            x.neg_()
            return y.view_as(x).tanh_() + x
        elif self.how == 3:
            x[:, 0] = x[:, -1] * 2
        elif self.how == 4:
            x[:, 1:].relu_()
            x[:, :1] += 1
        else:
            first, *_ = x.split(1, dim=1)
            first = first.sigmoid()
            x += first
        return x


class Branches(nn.Module):
    """Branches of equal stride and size, their channels joined."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Ensemble(nn.Module):
    """The mean of what networks answer."""

    def __init__(self, *networks: nn.Module) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([network(x) for network in self.networks]).mean(0)


class Framed(nn.Module):
    """A map written into the middle of a larger one, in one of several ways (``how``)."""

    WAYS = 3

    def __init__(self, how: int) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        if self.how == 0:
            out = torch.zeros(n, channels, height + 2, width + 1, dtype=x.dtype)
            out[:, :, 1:-1, 1:] = x
        elif self.how == 1:
            out = x.new_full((n, channels, height, width + 3), 0.25)
            out[..., 1:-2] = x
            out[:, :, ::2, -2:] = x[:, :, ::2, :2]
        else:
            out = x.clone()
            out[:, :, :1] = 0.5
            out[:, :, 1:, 1:] += x[:, :, :-1, :-1]
        return out


class Blur(nn.Module):
    """Zhang 2019's blurred subsampling, without padding: [1, 2, 1] in x and y, stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", (taps[:, None] * taps).expand(channels, 1, 3, 3).clone())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel, stride=2, groups=x.shape[1])


class Head(nn.Module):
    """From maps to logits, in one of the ways listed in ``HEADS``."""

    def __init__(self, how: int, size: tuple[int, int, int], n_classes: int) -> None:
        super().__init__()
        channels, height, width = size
        self.how, self.n = how, channels * height * width
        self.first = nn.Linear(channels if 4 <= how < 10 else self.n, 7)
        self.last = nn.Linear(7, n_classes)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.whole = nn.Conv2d(channels, 7, (height, width))

    def forward(self, x: Tensor) -> Tensor:
        return HEADS[self.how](self, x)

    def dense(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.last(F.relu(self.first(x))), dim=1)

    def added_in_place(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        y = x.relu_()
        return self.dense(x + y)

    def filled(self, x: Tensor) -> Tensor:
        logits = torch.zeros(x.size(0), self.last.out_features, dtype=x.dtype)
        logits[:, 1:] = self.last(self.first(x.flatten(1)))[:, 1:]
        logits[:, 0].add_(1)
        return logits

    def of_two(self, x: Tensor) -> Tensor:
        parts = [self.first(row.flatten(1)) for row in (x, -x)]
        return self.last(torch.cat(parts, 1).view(x.size(0), 2, -1).sum(1)).squeeze()


HEADS: list[Callable[[Head, Tensor], Tensor]] = [
    lambda net, x: net.dense(x.contiguous().view(x.size(0), -1)),
    lambda net, x: net.dense(x.reshape(-1, net.n)),
    lambda net, x: net.dense(torch.flatten(x, 1)),
    lambda net, x: net.dense(F.dropout(x.flatten(start_dim=1), training=net.training)),
    # from here on, one number per channel
    lambda net, x: net.dense(net.pool(x).view(x.size(0), -1)),
    lambda net, x: net.dense(F.relu(x).mean((2, 3))),
    lambda net, x: net.dense(torch.amax(x, dim=(-2, -1), keepdim=True)[:, :, 0, 0]),
    lambda net, x: net.dense(F.avg_pool2d(x, x.size()[2:]).squeeze(-1).squeeze(-1)),
    lambda net, x: net.dense(x.flatten(2).max(2).values),
    lambda net, x: net.last(torch.tanh(net.whole(x)).flatten(1)),
    # from here on, all numbers again
    lambda net, x: net.dense((x + 0).contiguous().view(-1, net.n)),
    lambda net, x: net.dense(x.contiguous().view(len(x), x.shape[1] * x.shape[2] * x.shape[3])),
    Head.added_in_place,
    Head.filled,
    Head.of_two,
    lambda net, x: net.dense(F.dropout2d(x, training=False).reshape(x.shape[0], -1)),
]


def _pair(draw: st.DrawFn, low: int, high: int) -> tuple[int, int]:
    return draw(st.integers(low, high)), draw(st.integers(low, high))


def _convolution(draw: st.DrawFn, size: tuple[int, int, int]) -> nn.Module:
    channels = size[0]
    groups = draw(st.sampled_from([g for g in (1, 2, channels) if channels % g == 0]))
    padding = draw(st.sampled_from([(0, 0), (0, 0), (1, 2), (1, 1), (0, 1), (3, 0), "same"]))
    mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    conv = nn.Conv2d(
        channels,
        groups * draw(st.integers(1, 3)),
        _pair(draw, 1, 3),
        1 if padding == "same" else _pair(draw, 1, 3),
        padding,
        _pair(draw, 1, 2),
        groups,
        bias=draw(st.booleans()),
        padding_mode=mode,
    )
    layer = FunctionalConv(conv) if mode == "zeros" and draw(st.booleans()) else conv
    behind = [nn.Identity(), _normalisation(conv.out_channels)][draw(st.integers(0, 1))]
    activation = draw(st.sampled_from([nn.Identity(), nn.ReLU(inplace=True), nn.ReLU6()]))
    return nn.Sequential(layer, behind, activation)


def _pooling(draw: st.DrawFn) -> nn.Module:
    kernel, stride = _pair(draw, 1, 4), _pair(draw, 1, 3)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    ceil_mode, counted = draw(st.booleans()), draw(st.booleans())
    dilation = _pair(draw, 1, 2)
    sizes = _pair(draw, 1, 7)
    return draw(
        st.sampled_from(
            [
                nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil_mode),
                nn.AvgPool2d(kernel, stride, padding, ceil_mode, counted),
                Lambda(lambda x: F.max_pool2d(x, 2)),
                Lambda(lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil_mode, counted, 3)),
                Lambda(lambda x: F.max_pool2d(x, kernel, stride=1)),
                nn.AdaptiveAvgPool2d(sizes),
                nn.AdaptiveMaxPool2d(sizes),
            ]
        )
    )


def _padding(draw: st.DrawFn) -> nn.Module:
    by = tuple(draw(st.integers(0, 3)) for _ in range(4))
    cut = tuple(draw(st.integers(-2, 2)) for _ in range(4))
    return draw(
        st.sampled_from(
            [
                *(nn.ZeroPad2d(by), nn.ConstantPad2d(by, 0.25), nn.ReflectionPad2d(by)),
                *(nn.ReplicationPad2d(by), nn.CircularPad2d(by), nn.ZeroPad2d(cut)),
                Lambda(lambda x: F.pad(x, (*cut, 0, 1), value=-0.5)),
                Lambda(lambda x: F.pad(x, cut, mode="circular")),
                Lambda(lambda x: F.pad(x, cut, mode="reflect")),
                Framed(draw(st.integers(0, Framed.WAYS - 1))),
            ]
        )
    )


def _normalisation(channels: int) -> nn.Module:
    layer = nn.BatchNorm2d(channels)
    with torch.no_grad():
        for numbers in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
            numbers.uniform_(0.5, 1.5)
    return layer


def _each_place(draw: st.DrawFn, channels: int, continuous: bool) -> nn.Module:
    layers = [
        nn.ReLU(inplace=True),
        nn.Tanh(),
        nn.PReLU(channels),
        nn.Dropout2d(0.3),
        nn.Hardswish(),
        nn.Softmax(dim=1),
        nn.LocalResponseNorm(2),
        _normalisation(channels),
        Lambda(lambda x: (x - 0.1) / 0.3),
        Scaled(channels),
        Lambda(lambda x: 1 - x.sigmoid() ** 2),
        Lambda(lambda x: x.clamp(min=-0.5, max=0.5)),
        Lambda(lambda x: torch.max(x, -x)),
        Lambda(lambda x: x * x.mean(1, keepdim=True)),
        Lambda(lambda x: torch.cat(x.chunk(2, 1) if channels % 2 == 0 else (x, x), 1)),
        OptionalArguments(nn.Softplus(), channels),
        PlaneByPlane(),
        WrittenInPlace(draw(st.integers(0, WrittenInPlace.WAYS - 1))),
        Lambda(lambda x: x[:, :1].repeat(1, 2, 1, 1)),
        Lambda(lambda x: x[:, -1:].expand(-1, 3, *x.shape[2:])),
        Lambda(
            lambda x: torch.cat([x, torch.zeros(x.size(0), 1, *x.shape[-2:], dtype=x.dtype)], 1)
        ),
        Lambda(lambda x: x.unsqueeze(1).transpose(1, 2).reshape(x.size())),
        Lambda(lambda x: x[:, list(range(x.shape[1]))[::-1]]),
        Lambda(lambda x: x.float().to(x.dtype) * 0 + x),
    ]
    if not continuous:
        layers += [
            Lambda(lambda x: torch.where(x > 0.1, x, torch.zeros_like(x))),
            Lambda(lambda x: x.masked_fill(x < 0, 0.5)),
        ]
    return draw(st.sampled_from(layers))


def _resampling(draw: st.DrawFn) -> nn.Module:
    return draw(
        st.sampled_from(
            [
                Lambda(lambda x: x[:, :, ::2, ::2]),
                Lambda(lambda x: x[..., 1::2, ::3]),
                Lambda(lambda x: x[:, :, 1:-1, 2:]),
                Lambda(lambda x: x[:, :, :-2]),
                nn.Upsample(scale_factor=2),
                Lambda(lambda x: F.interpolate(x, size=(9, 7))),
                Lambda(lambda x: F.interpolate(x, scale_factor=1.7, mode="nearest-exact")),
            ]
        )
    )


def _joined(draw: st.DrawFn, channels: int) -> nn.Module:
    stride = draw(st.integers(1, 2))
    inner = nn.Sequential(nn.Conv2d(channels, 3, 1, stride), nn.Tanh(), nn.Conv2d(3, 4, 1))
    return draw(
        st.sampled_from(
            [
                Residual(inner, nn.Conv2d(channels, 4, 1, stride)),
                Branches(
                    nn.Conv2d(channels, 2, 3, stride),
                    nn.MaxPool2d(3, stride),
                    nn.Sequential(
                        nn.Conv2d(channels, 2, (3, 1), stride), nn.AvgPool2d((1, 3), (1, stride))
                    )
                    if stride == 1
                    else nn.AvgPool2d(3, stride),
                ),
                Blur(channels),
                Residual(_block(channels, 4, stride), nn.Conv2d(channels, 4, 1, stride)),
                Residual(_block(channels, channels, 1), nn.Identity()),
                Branches(nn.Identity(), _block(channels, 2, 1), nn.AvgPool2d(3, 1, 1)),
                Branches(
                    nn.Conv2d(channels, 2, 1, stride),
                    nn.Conv2d(channels, 1, 3, stride, 1),
                    nn.Conv2d(channels, 2, 5, stride, 2),
                    nn.MaxPool2d(3, stride, 1),
                ),
                Lambda(lambda x: torch.cat([x, F.interpolate(F.avg_pool2d(x, 2), x.shape[2:])], 1)),
            ]
        )
    )


def _block(channels: int, outputs: int, stride: int) -> nn.Module:
    """Of a residual network (He et al. 2016)."""
    return nn.Sequential(
        *(nn.Conv2d(channels, outputs, 3, stride, 1, bias=False), _normalisation(outputs)),
        *(nn.ReLU(), nn.Conv2d(outputs, outputs, 3, 1, 1), _normalisation(outputs)),
    )


MOST_VALUES = 8000
"""In one pattern's map: more make a test slow."""


@st.composite
def networks(
    draw: st.DrawFn, size: tuple[int, int, int], n_classes: int = 4, *, continuous: bool = False
) -> nn.Module:
    """A network, in float64 and eval mode, for images of ``size`` (C, h, w).

    Args:
        continuous: without thresholds, at which rounding makes a difference.
    """
    torch.manual_seed(draw(st.integers(0, 2**16)))
    layers: list[nn.Module] = []
    x = torch.zeros(2, *size)
    for _ in range(draw(st.integers(1, 6))):
        channels = x.shape[1]
        kind = draw(st.integers(0, 6))
        if kind <= 1:
            layer = _convolution(draw, tuple(x.shape[1:]))
        elif kind == 2:
            layer = _pooling(draw)
        elif kind == 3:
            layer = _each_place(draw, channels, continuous)
        elif kind == 4:
            layer = _resampling(draw)
        elif kind == 5:
            layer = _padding(draw)
        else:
            layer = _joined(draw, channels)
        try:
            after = layer.eval()(x.clone())
        except (RuntimeError, ValueError):  # the map is too small for it
            continue
        if not 0 < after[0].numel() <= MOST_VALUES:
            continue
        layers.append(layer)
        x = after.detach()
    head = Head(draw(st.integers(0, len(HEADS) - 1)), tuple(x.shape[1:]), n_classes)
    if draw(st.booleans()):  # modules within modules
        layers = [nn.Sequential(*layers)]
    network = nn.Sequential(*layers, head).double().eval()
    return draw(st.sampled_from(_WRAPPERS))(network).eval()


def _ensemble(network: nn.Module) -> nn.Module:
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.75)
    return Ensemble(network, other)


_WRAPPERS: list[Callable[[nn.Module], nn.Module]] = [
    lambda network: network,
    lambda network: nn.Sequential(network, nn.Identity()),
    nn.DataParallel,
    torch.optim.swa_utils.AveragedModel,
    lambda network: torch.compile(network, backend="eager"),
    _ensemble,
]


def with_every_axis_operation() -> nn.Module:
    """A network for images of one channel that uses every operation of ``Axis``, in eval mode on the CPU."""

    def written(x: Tensor) -> Tensor:
        out = x.new_zeros(x.shape)
        out[:, :, 1:-1] = x[:, :, 1:-1] + x[:, :, :-2]
        return out

    torch.manual_seed(0)
    with torch.device("cpu"):
        return nn.Sequential(
            *(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), nn.ReLU(), Lambda(written)),
            *(nn.ConstantPad2d(1, 0.5), nn.ReflectionPad2d(1), nn.AvgPool2d(3, 2, ceil_mode=True)),
            *(nn.AdaptiveAvgPool2d(3), nn.Upsample(scale_factor=2), nn.Flatten()),
            nn.Linear(72, 3),
        ).eval()
