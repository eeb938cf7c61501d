"""The best batch size of the plain way, for several networks and image sizes.

    python batch_sizes.py [--threads N]

Prints how much slower each batch size is than the best for that network and size, as ratios within one run,
and which size ``lenetshift.predict.plain.default_batch_size`` takes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from networks import PyTorchExample, padded_convnet
from torch import Tensor, nn

from lenetshift.predict.plain import default_batch_size

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TURNS = 5


class Block(nn.Module):
    """Two padded convolutions next to the identity, as in a ResNet (He et al. 2015)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)),
            nn.ReLU(),
            *(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.layers(x))


def resnet(*stem: nn.Module, width: int) -> nn.Module:
    """A stem, then three stages of one block, each half as large and twice as wide."""
    layers: list[nn.Module] = [*stem]
    for stage in range(3):
        channels = width << stage
        layers.append(Block(channels))
        layers.append(nn.Conv2d(channels, 2 * channels, 3, 2, padding=1))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 10))


def perceptron(size: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(size * size, 300), nn.ReLU(), nn.Linear(300, 10))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "784-300-10": (lambda: perceptron(28), 1, 28),
    "padded convnet": (padded_convnet, 1, 28),
    "PyTorch's MNIST example": (PyTorchExample, 1, 28),
    "ResNet of CIFAR": (lambda: resnet(nn.Conv2d(3, 16, 3, padding=1), width=16), 3, 32),
    "the same": (lambda: resnet(nn.Conv2d(3, 16, 3, padding=1), width=16), 3, 64),
    "ResNet with a stem": (
        lambda: resnet(nn.Conv2d(3, 32, 7, 2, padding=3), nn.MaxPool2d(3, 2, 1), width=32),
        3,
        224,
    ),
    "ResNet without one": (lambda: resnet(nn.Conv2d(3, 16, 3, padding=1), width=16), 3, 224),
}


def seconds(model: nn.Module, patterns: Tensor, batch_size: int) -> float:
    """The time for one pattern, in batches of that size."""
    start = time.perf_counter()
    for batch in patterns.split(batch_size):
        model(batch)
    return (time.perf_counter() - start) / len(patterns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, help="of torch; default: its own choice")
    threads = parser.parse_args().threads
    if threads:
        torch.set_num_threads(threads)
    cpu = torch.device("cpu")
    print(f"{torch.get_num_threads()} threads; times the best, at {', '.join(map(str, SIZES))}")
    for name, (make, channels, size) in NETWORKS.items():
        torch.manual_seed(0)
        model = make().eval()
        patterns = torch.rand(256 if size < 100 else 32, channels, size, size)
        tried = [n for n in SIZES if n <= len(patterns)]
        taken: dict[int, list[float]] = {n: [] for n in tried}
        with torch.no_grad():
            for _ in range(TURNS):
                for n in tried:
                    taken[n].append(seconds(model, patterns, n))
        medians = {n: statistics.median(times) for n, times in taken.items()}
        best = min(medians.values())
        ours = default_batch_size((channels, size, size), torch.float32, cpu)
        shown = " ".join(f"{medians[n] / best:5.2f}{'*' if n == ours else ' '}" for n in tried)
        print(f"{name:24} {size:4} {shown}", flush=True)


if __name__ == "__main__":
    main()
