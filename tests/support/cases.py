"""Inputs that tests of several rooms share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lenetshift.c3_table import C3_TABLE
from lenetshift.data.dataset import Dataset

TABLES = {
    "1998": (C3_TABLE, 6),
    "dense": (((0, 1, 2),) * 5, 3),
    "one": (((0,),), 1),
    "ragged": (((3,), (0, 1, 2, 3), (0, 3)), 5),  # map 4 is seen by nobody
}
"""Name -> connection table, number of input maps."""

SHIFTS = torch.tensor(
    [(0, 0), (3, 0), (-3, 0), (0, 5), (2, -4), (6, 0), (-7, 0), (0, 7), (100, -100)]
)
"""Shifts (dx, dy) of the tests of translate, some beyond the image."""

SETTINGS: dict[str, Any] = {"epochs": 1, "learning_rate": 0.1, "batch_size": 32, "seed": 7}


def make_dataset(n: int) -> Dataset:
    """Noisy bars: a digit's label is the row where its bar lies. Something can be learnt."""
    generator = torch.Generator().manual_seed(n)
    labels = torch.randint(0, 10, (n,), generator=generator)
    images = torch.zeros(n, 28, 28, dtype=torch.uint8)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[2 + 2 * label : 6 + 2 * label, 5:23] = torch.randint(
            100, 256, (4, 18), dtype=torch.uint8, generator=generator
        )
    return Dataset(images, labels)


def weights(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


class Foreign(nn.Module):
    """Not one of the package's models; draws random numbers in training."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 16), nn.Dropout(0.5), nn.ReLU(), nn.Linear(16, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layers(x)
        return result


def make_foreign() -> nn.Module:
    torch.manual_seed(3)
    return Foreign()


def run_c3(masks: list[int], *tensors: Tensor) -> list[Tensor]:
    """Input, weight, bias, upstream gradient -> output and the three gradients."""
    inputs = [tensor.clone().requires_grad_() for tensor in tensors[:3]]
    output = torch.ops.lenetshift.c3_conv(*inputs, masks)
    return [output.detach(), *torch.autograd.grad(output, inputs, tensors[3])]
