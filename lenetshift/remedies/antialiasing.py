"""A network with its subsampling layers replaced by blurred ones, :func:`antialiased`."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from torch import Tensor, nn

from ..checks.errors import ArgumentError
from ..checks.types import check_choice, check_type
from ..models.dtypes import device_of
from .blur import PADDING_MODES, BlurPool2d, MaxBlurPool2d, Pair, check_blur_size, check_maps

SUBSAMPLING = (nn.MaxPool2d, nn.AvgPool2d, nn.Conv2d)
"""The layers that are replaced if they have a stride."""

NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm, nn.Identity)
"""Layers that may lie between a convolution and its activation."""

ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Softplus, nn.Softsign),
)
"""Activations without parameters: a blur can be put behind them without a change to a ``state_dict``."""


def antialiased(model: nn.Module, kernel_size: int = 3, padding_mode: str = "reflect") -> nn.Module:
    """A copy of a network whose subsampling layers blur before they subsample (Zhang 2019, section 3.2).

    - ``nn.MaxPool2d`` with a stride becomes :class:`MaxBlurPool2d`: the same pooling with stride 1, then
      the blur.
    - ``nn.AvgPool2d`` with a stride becomes a :class:`BlurPool2d`, if its kernel is not larger than the
      blur's (a larger one, such as a global average, blurs more by itself and stays).
    - ``nn.Conv2d`` with a stride gets stride 1. The paper blurs after the activation that follows: so it is
      done where the convolution, batch normalization if there is one, and the activation follow each
      other in an ``nn.Sequential``. Elsewhere what follows is known to the network's ``forward`` alone:
      the blur comes directly after the convolution (:class:`BlurredConv2d`), before normalization and
      activation.

    Every result has the shape that it had, and the copy's ``state_dict`` has the same keys and weights,
    so that it can be loaded from the original's. Weights are copied, not shared: training one network
    leaves the other alone. The weights fit the new layers roughly, and the accuracy drops at first: train
    the copy, from the start or for a little longer. What subsamples without being such a layer (a
    ``F.max_pool2d`` in a ``forward``, adaptive poolings) stays as it is.

    Args:
        model: any network; it is not changed.
        kernel_size: of the blur, 2..7; larger ones remove more.
        padding_mode: that of the blur: ``"reflect"``, ``"zeros"`` or ``"circular"``.

    Raises:
        ValueError: the network has no layer to replace; or one that cannot be replaced: a subclass with a
            stride, a max pooling that returns indices, an average pooling with a divisor of its own or
            with so much padding that its result has more rows than the blur's.

    >>> from torch import nn
    >>> from lenetshift.remedies import antialiased
    >>> antialiased(nn.Sequential(nn.Conv2d(1, 6, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2)))
    Sequential(
      (0): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))
      (1): Sequential(
        (0): ReLU()
        (1): BlurPool2d(kernel_size=3, stride=(2, 2), padding_mode='reflect')
      )
      (2): MaxBlurPool2d(
        (max): DenseMaxPool2d(kernel_size=(2, 2), padding=(0, 0), dilation=(1, 1))
        (blur): BlurPool2d(kernel_size=3, stride=(2, 2), padding_mode='reflect')
      )
    )
    """
    check_type("model", model, nn.Module)
    kernel_size = check_blur_size("kernel_size", kernel_size)
    check_choice("padding_mode", padding_mode, PADDING_MODES[:-1])
    for name, layer in model.named_modules():
        _check_replaceable(name, layer)
    if not any(_replaced(layer, kernel_size) for layer in model.modules()):
        raise ArgumentError(
            "model",
            f"a {type(model).__name__} in which no layer subsamples",
            "nn.MaxPool2d, nn.AvgPool2d or nn.Conv2d layers with a stride, not functions in its forward",
        )
    holder = nn.Sequential(copy.deepcopy(model))
    _Replacing(holder, kernel_size, padding_mode).run()
    return holder[0]


class BlurredConv2d(nn.Conv2d):
    """A convolution at every place, then a blur that subsamples: an ``nn.Conv2d`` of stride 1 with the
    :class:`BlurPool2d` ``blur`` in it. It has the weights of a convolution under the same names."""

    blur: BlurPool2d

    def forward(self, input: Tensor) -> Tensor:
        """Maps ``[N, C, H, W]``, of the shape that the stride would have given."""
        blurred: Tensor = self.blur(super().forward(input))
        return blurred


class AverageBlurPool2d(BlurPool2d):
    """A :class:`BlurPool2d` in place of an ``nn.AvgPool2d``, whose result has the same shape: rows and
    columns at the end that the pooling left out are left out here too.

    Args:
        pooling: what it replaces.
        kernel_size, padding_mode: of the blur.
    """

    def __init__(self, pooling: nn.AvgPool2d, kernel_size: int, padding_mode: str) -> None:
        super().__init__(kernel_size, stride_of(pooling), padding_mode)
        self.pooled = _pair(pooling.kernel_size)
        self.padding = _pair(pooling.padding)
        self.ceil_mode = pooling.ceil_mode

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``[N, C, H, W]`` or ``[C, H, W]``, of the shape that the pooling would have given."""
        rows, columns = (self._used(dim, size) for dim, size in enumerate(check_maps(maps)))
        return super().forward(maps[..., :rows, :columns])

    def _used(self, dim: int, size: int) -> int:
        """How many lines the blur is given: those of as many strides as the pooling has results."""
        stride, padding = self.stride[dim], self.padding[dim]
        beyond = size + 2 * padding - self.pooled[dim]
        last = -(-beyond // stride) if self.ceil_mode else beyond // stride
        if self.ceil_mode and last * stride >= size + padding:
            last -= 1
        return (last + 1) * stride


class _Replacing:
    """The work of :func:`antialiased` on a network that may be changed.

    Args:
        network: holds the layers to be replaced, none of which is the network itself.
        kernel_size, padding_mode: of the blur.
    """

    def __init__(self, network: nn.Module, kernel_size: int, padding_mode: str) -> None:
        self.network, self.kernel_size, self.padding_mode = network, kernel_size, padding_mode
        self.device = device_of(network)
        self.uses = Counter(id(c) for m in network.modules() for c in m._modules.values())

    def run(self) -> None:
        """Replace all layers; a layer that is used in several places by one new layer."""
        made: dict[int, nn.Module] = {}
        for parent in list(self.network.modules()):
            if type(parent).forward is nn.Sequential.forward:
                self._blur_after_activations(parent)
            for name, child in parent._modules.items():
                if child is not None and _replaced(child, self.kernel_size):
                    made.setdefault(id(child), self._replacement(child))
                    parent._modules[name] = made[id(child)]

    def _blur_after_activations(self, layers: nn.Module) -> None:
        """Move the stride of convolutions behind the activations that follow them."""
        names = list(layers._modules)
        for first, name in enumerate(names):
            conv = layers._modules[name]
            if type(conv) is not nn.Conv2d or not _strides(conv) or self.uses[id(conv)] > 1:
                continue
            for later in names[first + 1 :]:
                layer = layers._modules[later]
                if layer is None or self.uses[id(layer)] > 1:
                    break
                if type(layer) in ACTIVATIONS:
                    both = nn.Sequential(layer, self._blur(stride_of(conv)))
                    layers._modules[later] = both.train(layer.training)
                    conv.stride = (1, 1)
                    break
                if type(layer) not in NORMS:
                    break

    def _replacement(self, layer: nn.Module) -> nn.Module:
        if isinstance(layer, nn.MaxPool2d):
            new: nn.Module = MaxBlurPool2d(
                _pair(layer.kernel_size),
                stride_of(layer),
                _pair(layer.padding),
                _pair(layer.dilation),
                layer.ceil_mode,
                blur_size=self.kernel_size,
                padding_mode=self.padding_mode,
            )
        elif isinstance(layer, nn.AvgPool2d):
            new = AverageBlurPool2d(layer, self.kernel_size, self.padding_mode)
        else:
            assert isinstance(layer, nn.Conv2d)
            blur = self._blur(stride_of(layer))
            layer.stride = (1, 1)
            layer.__class__ = BlurredConv2d  # keeps its parameters, hooks and settings
            layer.blur = blur.train(layer.training)
            return layer
        return new.to(self.device).train(layer.training)

    def _blur(self, stride: Pair) -> BlurPool2d:
        return BlurPool2d(self.kernel_size, stride, self.padding_mode).to(self.device)


def stride_of(layer: nn.Module) -> Pair:
    """The stride (y, x) of a layer of :data:`SUBSAMPLING`."""
    assert isinstance(layer, SUBSAMPLING)
    return _pair(layer.kernel_size if layer.stride is None else layer.stride)


def _strides(layer: nn.Module) -> bool:
    return isinstance(layer, SUBSAMPLING) and max(stride_of(layer)) > 1


def _replaced(layer: nn.Module, kernel_size: int) -> bool:
    """Whether a layer is replaced if the blur has a kernel of that size."""
    if not _strides(layer):
        return False
    return not isinstance(layer, nn.AvgPool2d) or max(_pair(layer.kernel_size)) <= kernel_size


def _check_replaceable(name: str, layer: nn.Module) -> None:
    """Raise ArgumentError for a layer that subsamples in a way that has no blurred version."""
    if not _strides(layer):
        return
    at = f"{type(layer).__name__} at {name}" if name else type(layer).__name__
    if type(layer) not in SUBSAMPLING:
        kinds = " or ".join(
            f"nn.{kind.__name__}" for kind in SUBSAMPLING if isinstance(layer, kind)
        )
        raise ArgumentError("model", at, f"{kinds} itself: a subclass may use its stride otherwise")
    if isinstance(layer, nn.MaxPool2d) and layer.return_indices:
        raise ArgumentError("model", f"{at} with return_indices=True", "return_indices=False")
    if isinstance(layer, nn.AvgPool2d):
        if layer.divisor_override is not None:
            raise ArgumentError(
                "model", f"{at} with divisor_override={layer.divisor_override}", "none"
            )
        sides = zip(_pair(layer.kernel_size), _pair(layer.padding), strict=True)
        if any(p and (2 * p >= k or layer.ceil_mode) for k, p in sides):
            raise ArgumentError(
                "model",
                f"{at} with padding={layer.padding}",
                "less than half of its kernel_size, and none with ceil_mode",
            )


def _pair(value: Any) -> Pair:
    return (value[0], value[-1]) if isinstance(value, tuple) else (value, value)
