"""A network of your own, evaluated under every shift: PyTorch's MNIST example, trained for one epoch.

    python examples/own_model.py                     # a minute or two on two cores
    python examples/own_model.py --n-train 3000      # seconds, and a worse network

Only ``evaluate`` uses this package; the rest is ordinary PyTorch.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lenetshift


class Net(nn.Module):
    """The network of github.com/pytorch/examples/blob/main/mnist/main.py."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities ``[B, 10]`` of ``[B, 1, 28, 28]``."""
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.dropout1(F.max_pool2d(x, 2))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return F.log_softmax(self.fc2(self.dropout2(x)), dim=1)


normalize = lenetshift.Normalize(mean=0.1307, std=0.3081)


def train(model: nn.Module, data: lenetshift.Dataset) -> None:
    """One epoch, as in the example."""
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    model.train()
    for batch in torch.randperm(len(data)).split(64):
        images = data.images[batch].unsqueeze(1) / 255
        loss = F.nll_loss(model(normalize(images)), data.labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def evaluate(model: nn.Module, data: lenetshift.Dataset, out: Path) -> None:
    """Print and draw the answers to every image under every shift."""
    grid = lenetshift.ShiftGrid(dx=range(-5, 6), dy=range(-2, 3))
    start = time.perf_counter()
    evaluation = lenetshift.evaluate_shifts(
        model, data.images, data.labels, grid, transform=normalize
    )
    print(f"{len(data) * len(grid):,} patterns in {time.perf_counter() - start:.1f} s")
    print(evaluation)
    axes = evaluation.plot_accuracy_map()
    axes.set_title("PyTorch's MNIST example")
    axes.figure.savefig(out)
    print(f"drawn: {out}")


def main() -> None:
    """Train, evaluate, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-train", type=int, default=60_000, help="images to train on")
    parser.add_argument("--n-test", type=int, default=10_000, help="images to evaluate")
    parser.add_argument("--out", type=Path, default=Path("accuracy.png"), help="the figure")
    args = parser.parse_args()
    torch.manual_seed(0)
    data, test = lenetshift.load_mnist()
    model = Net()
    train(model, data.subset(args.n_train))
    evaluate(model, test.subset(args.n_test), args.out)


if __name__ == "__main__":
    main()
