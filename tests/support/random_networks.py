"""Random networks made of layers that the shared method supports, as people write them."""

from __future__ import annotations

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
    """``x + f(x)``, f of kernel 1."""

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
    """Branches of equal stride and window, their channels joined."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


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


def _convolution(draw: st.DrawFn, size: tuple[int, int, int], padded: bool) -> nn.Module:
    channels = size[0]
    kernel = _pair(draw, 1, 3)
    dilation = _pair(draw, 1, 2)
    groups = draw(st.sampled_from([g for g in (1, 2, channels) if channels % g == 0]))
    padding: tuple[int, int] | str = (0, 0)
    stride = _pair(draw, 1, 3)
    if padded:
        padding = draw(st.sampled_from([(1, 2), (1, 1), (0, 1), "same"]))
        stride = (1, 1) if padding == "same" else stride
    conv = nn.Conv2d(
        channels,
        groups * draw(st.integers(1, 3)),
        kernel,
        stride,
        padding,
        dilation,
        groups,
        bias=draw(st.booleans()),
    )
    return FunctionalConv(conv) if draw(st.booleans()) else conv


def _pooling(draw: st.DrawFn) -> nn.Module:
    kernel, stride = _pair(draw, 1, 4), _pair(draw, 1, 3)
    return draw(
        st.sampled_from(
            [
                nn.MaxPool2d(kernel, stride),
                nn.AvgPool2d(kernel, stride),
                nn.MaxPool2d((2, 2), stride, dilation=2),
                Lambda(lambda x: F.max_pool2d(x, 2)),
                Lambda(lambda x: F.avg_pool2d(x, kernel, stride, divisor_override=3)),
                Lambda(lambda x: F.max_pool2d(x, kernel, stride=1)),
            ]
        )
    )


def _normalisation(channels: int) -> nn.Module:
    layer = nn.BatchNorm2d(channels)
    with torch.no_grad():
        for numbers in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
            numbers.uniform_(0.5, 1.5)
    return layer


def _each_place(draw: st.DrawFn, channels: int) -> nn.Module:
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
        Lambda(lambda x: torch.where(x > 0.1, x, torch.zeros_like(x))),
        Lambda(lambda x: x.unsqueeze(1).transpose(1, 2).reshape(x.size())),
        Lambda(lambda x: x.masked_fill(x < 0, 0.5)),
        Lambda(lambda x: x[:, list(range(x.shape[1]))[::-1]]),
        Lambda(lambda x: x.float().to(x.dtype) * 0 + x),
    ]
    return draw(st.sampled_from(layers))


def _subsampling(draw: st.DrawFn) -> nn.Module:
    return draw(
        st.sampled_from(
            [
                Lambda(lambda x: x[:, :, ::2, ::2]),
                Lambda(lambda x: x[..., 1::2, ::3]),
                Lambda(lambda x: x[:, :, 1:-1, 2:]),
                Lambda(lambda x: x[:, :, :-2]),
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
            ]
        )
    )


@st.composite
def networks(draw: st.DrawFn, size: tuple[int, int, int], n_classes: int = 4) -> nn.Module:
    """A network, in float64 and eval mode, for images of ``size`` (C, h, w)."""
    torch.manual_seed(draw(st.integers(0, 2**16)))
    layers: list[nn.Module] = []
    x = torch.zeros(2, *size)
    padded = draw(st.booleans())
    for depth in range(draw(st.integers(1, 6))):
        channels = x.shape[1]
        kind = draw(st.integers(0, 5))
        if (depth == 0 and padded) or kind <= 1:
            layer = _convolution(draw, tuple(x.shape[1:]), padded=depth == 0 and padded)
        elif kind == 2:
            layer = _pooling(draw)
        elif kind == 3:
            layer = _each_place(draw, channels)
        elif kind == 4:
            layer = _subsampling(draw)
        else:
            layer = _joined(draw, channels)
        try:
            after = layer.eval()(x.clone())
        except RuntimeError:  # the map is too small for it
            continue
        if 0 in after.shape:
            continue
        layers.append(layer)
        x = after.detach()
    if padded and draw(st.booleans()):  # more padding, before the first layer
        layers = [*draw(st.sampled_from(_BEFORE)), *layers]
        try:
            x = nn.Sequential(*layers).eval()(torch.zeros(2, *size)).detach()
        except RuntimeError:
            layers, x = layers[1:], x
    head = Head(draw(st.integers(0, len(HEADS) - 1)), tuple(x.shape[1:]), n_classes)
    if draw(st.booleans()):  # modules within modules
        layers = [nn.Sequential(*layers)]
    network = nn.Sequential(*layers, head).double().eval()
    return draw(st.sampled_from(_WRAPPERS))(network).eval()


_BEFORE = [[nn.ZeroPad2d(1)], [nn.ZeroPad2d((2, 0, 1, 0))], [nn.ConstantPad2d(1, 0.25)]]

_WRAPPERS: list[Callable[[nn.Module], nn.Module]] = [
    lambda network: network,
    lambda network: nn.Sequential(network, nn.Identity()),
    nn.DataParallel,
    torch.optim.swa_utils.AveragedModel,
    lambda network: torch.compile(network, backend="eager"),
]
