"""Well-known networks as their authors wrote them, for ``own.py``. All take ``[B, 1, 28, 28]``."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PyTorchExample(nn.Module):
    """PyTorch's MNIST example (github.com/pytorch/examples/blob/main/mnist/main.py)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.dropout1(F.max_pool2d(x, 2))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return F.log_softmax(self.fc2(self.dropout2(x)), dim=1)


class Subsample(nn.Module):
    """Every second row and column."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, ::2, ::2]


class BlurPool(nn.Module):
    """Zhang 2019's blurred subsampling: [1, 2, 1] / 4 in x and y, stride 2; without padding, which
    would make features depend on where the frame lies."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", (taps[:, None] * taps).repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel, stride=2, groups=x.shape[1])


class GlobalAverage(nn.Module):
    """The mean of each map."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def keras_convnet() -> nn.Module:
    """Keras's MNIST convnet (keras.io/examples/vision/mnist_convnet)."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10)),
    )


def lenet5(pool: Callable[[int], nn.Module], head: nn.Module, n_features: int) -> nn.Module:
    """The symmetric LeNet-5 with other pooling, or another way from S4 to C5."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), pool(6)),
        *(nn.Conv2d(6, 16, 5), nn.Tanh(), pool(16), head),
        *(nn.Linear(n_features, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)),
    )


def padded_convnet() -> nn.Module:
    """A convolutional network that pads in every layer: its features cannot be shared."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1568, 10)),
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "pytorch_example": PyTorchExample,
    "keras_convnet": keras_convnet,
    "lenet5_max_pooling": lambda: lenet5(lambda _: nn.MaxPool2d(2), nn.Flatten(), 400),
    "lenet5_subsampling": lambda: lenet5(lambda _: Subsample(), nn.Flatten(), 400),
    "lenet5_blur_pool": lambda: lenet5(BlurPool, nn.Flatten(), 256),
    "lenet5_global_average": lambda: lenet5(lambda _: nn.AvgPool2d(2), GlobalAverage(), 16),
    "padded_convnet": padded_convnet,
}
