"""Well-known networks as their authors wrote them, for ``own.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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


def conv(
    n_inputs: int, n_outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution that keeps the size of its maps, but for the stride."""
    return nn.Conv2d(n_inputs, n_outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def normalized(
    n_inputs: int, n_outputs: int, stride: int = 1, activation: type = nn.ReLU
) -> list[nn.Module]:
    """A 3 x 3 convolution, batch normalization and activation."""
    return [conv(n_inputs, n_outputs, 3, stride), nn.BatchNorm2d(n_outputs), activation()]


def padded_convnet() -> nn.Module:
    """A small convolutional network that pads in every layer."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1568, 10)),
    )


def same_32_64_128() -> nn.Module:
    """Three 3 x 3 convolutions, each padded and pooled."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1152, 10)),
    )


def same_5_5_3_3() -> nn.Module:
    """Two 5 x 5 and two 3 x 3 convolutions, as in many of the best entries of Kaggle's digit recognizer."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.Conv2d(32, 32, 5, padding=2), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten()),
        *(nn.Linear(3136, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10)),
    )


def vgg_2_2_2() -> nn.Module:
    """VGG (Simonyan and Zisserman 2015) for 32 x 32, with batch normalization."""
    layers: list[nn.Module] = []
    for n_inputs, n_outputs in ((3, 64), (64, 128), (128, 256)):
        layers += normalized(n_inputs, n_outputs) + normalized(n_outputs, n_outputs)
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4096, 10))


class Residual(nn.Module):
    """The basic block of He et al. 2015."""

    def __init__(self, n_inputs: int, n_outputs: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *normalized(n_inputs, n_outputs, stride),
            *(conv(n_outputs, n_outputs), nn.BatchNorm2d(n_outputs)),
        )
        self.shortcut = nn.Sequential()
        if stride > 1 or n_inputs != n_outputs:
            self.shortcut = nn.Sequential(
                conv(n_inputs, n_outputs, 1, stride), nn.BatchNorm2d(n_outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.layers(x) + self.shortcut(x))


def resnet(stem: list[nn.Module], widths: tuple[int, ...], blocks: int, classes: int) -> nn.Module:
    """A residual network (He et al. 2015): each stage but the first begins with stride 2."""
    layers, n_inputs = list(stem), widths[0]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            layers.append(Residual(n_inputs, width, 2 if stage and not block else 1))
            n_inputs = width
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_inputs, classes)
    return nn.Sequential(*layers, *head)


def resnet18_224() -> nn.Module:
    """ResNet-18 with the stem for 224 x 224, as torchvision has it."""
    stem = [conv(3, 64, 7, 2), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return resnet(stem, (64, 128, 256, 512), 2, 1000)


def mobile() -> nn.Module:
    """Depthwise and 1 x 1 convolutions in turn, as in MobileNet (Howard et al. 2017), for 32 x 32."""
    layers, n_inputs = normalized(3, 32, activation=nn.ReLU6), 32
    for n_outputs, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        layers += [conv(n_inputs, n_inputs, 3, stride, groups=n_inputs)]
        layers += [nn.BatchNorm2d(n_inputs), nn.ReLU6()]
        layers += [conv(n_inputs, n_outputs, 1), nn.BatchNorm2d(n_outputs), nn.ReLU6()]
        n_inputs = n_outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


@dataclass(frozen=True)
class Own:
    """A network and what is expected of it.

    Attributes:
        make: makes it.
        least: the target for how many times faster than its best peer it is evaluated.
        least_by_sharing: the same, compared with the rewritten method, which shares nothing; None: no target.
        size: height and width of its images; other than 28, they have three channels.
        images: how many of them are timed; peers have fewer.
    """

    make: Callable[[], nn.Module]
    least: float
    least_by_sharing: float | None = None
    size: int = 28
    images: int = 500


NETWORKS: dict[str, Own] = {
    "pytorch_example": Own(PyTorchExample, 7.0),
    "keras_convnet": Own(keras_convnet, 5.5),
    "lenet5_max_pooling": Own(lambda: lenet5(lambda _: nn.MaxPool2d(2), nn.Flatten(), 400), 4.5),
    "lenet5_subsampling": Own(lambda: lenet5(lambda _: Subsample(), nn.Flatten(), 400), 4.5),
    "lenet5_blur_pool": Own(lambda: lenet5(BlurPool, nn.Flatten(), 256), 4.5),
    "lenet5_global_average": Own(
        lambda: lenet5(lambda _: nn.AvgPool2d(2), GlobalAverage(), 16), 4.0
    ),
    "padded_convnet": Own(padded_convnet, 2.2, 1.3),
    "same_32_64_128": Own(same_32_64_128, 2.2, 1.3, images=200),
    "same_5_5_3_3": Own(same_5_5_3_3, 2.4, 1.8, images=100),
    "vgg_2_2_2": Own(vgg_2_2_2, 2.1, 1.5, 32, images=20),
    "resnet20": Own(lambda: resnet(normalized(3, 16), (16, 32, 64), 3, 10), 1.6, 1.2, 32, 40),
    "mobile": Own(mobile, 1.8, 1.0, 32, images=40),
    "resnet18_32": Own(
        lambda: resnet(normalized(3, 64), (64, 128, 256, 512), 2, 10), 1.3, 1.15, 32, 4
    ),
    "resnet18_224": Own(resnet18_224, 1.35, 1.0, 224, 1),
}
