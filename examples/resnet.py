"""A small ResNet for images of 32 x 32, as for CIFAR (He et al. 2015, section 4.2)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, n_inputs: int, n_outputs: int, stride: int) -> None:
        """Make the layers."""
        super().__init__()
        self.first = nn.Sequential(  # a Sequential, so that antialiased() blurs behind the ReLU
            nn.Conv2d(n_inputs, n_outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_outputs),
            nn.ReLU(),
        )
        self.second = nn.Sequential(
            nn.Conv2d(n_outputs, n_outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(n_outputs)
        )
        self.shortcut = nn.Sequential()
        if stride > 1 or n_inputs != n_outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_inputs, n_outputs, 1, stride, bias=False), nn.BatchNorm2d(n_outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Maps of maps."""
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class ResNet(nn.Module):
    """``6 * blocks + 2`` layers deep.

    Args:
        blocks: in each of the three stages; 3 is ResNet-20.
        width: maps of the first stage; the others have twice and four times as many.
        classes: outputs.
    """

    def __init__(self, blocks: int = 1, width: int = 16, classes: int = 10) -> None:
        """Make the layers."""
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        stages: list[nn.Module] = []
        n_inputs = width
        for stage in range(3):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(Block(n_inputs, width << stage, stride))
                n_inputs = width << stage
        self.stages = nn.Sequential(*stages)
        self.output = nn.Linear(n_inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of ``[B, 3, H, W]``."""
        return self.output(self.stages(self.stem(x)).mean((2, 3)))
