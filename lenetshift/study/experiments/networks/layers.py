"""Layers that PyTorch lacks: convolutions by LeNet-5's table, with other kernels and without shared weights,
and a permutation of the pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....c3_table import C3_TABLE, Table, n_connections, to_dense
from ....data.seeds import epoch_permutation
from ....models.lenet5 import C3Conv

PIXEL_ORDER = 0
"""The seed of the one permutation of the pixels: every run has the same."""


class TableConv2d(C3Conv):
    """:class:`~lenetshift.models.lenet5.C3Conv` with kernels of k x k: [N, n_inputs, H, W] ->
    [N, len(table), H - k + 1, W - k + 1].

    Attributes:
        weight: [n_connections(table), k, k]; what the table does not connect has none.
        bias: [len(table)].
    """

    def __init__(self, kernel_size: int, table: Table = C3_TABLE) -> None:
        super().__init__(table)
        self.weight = nn.Parameter(torch.empty(n_connections(table), kernel_size, kernel_size))
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """A convolution with zeros where the table has no connection."""
        return F.conv2d(x, to_dense(self.weight, self.table, x.shape[1]), self.bias)


class UntiedConv2d(C3Conv):
    """:class:`~lenetshift.models.lenet5.C3Conv` with weights of its own at every place (a locally connected
    layer): [N, n_inputs, side + 4, side + 4] -> [N, len(table), side, side].

    Attributes:
        weight: [n_connections(table), 5, 5, side, side], rows and columns of the kernel, then of the place.
        bias: [len(table), side, side].
    """

    def __init__(self, side: int, table: Table = C3_TABLE) -> None:
        super().__init__(table)
        self.side = side
        self.weight = nn.Parameter(torch.empty(n_connections(table), 5, 5, side, side))
        self.bias = nn.Parameter(torch.empty(len(table), side, side))
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """The product of each place's 5x5 inputs with its own weights. The images of a batch lie side by
        side: that takes a third of the time of ``F.unfold`` and ``einsum``."""
        n_inputs, side = x.shape[1], self.side
        maps = x.permute(2, 3, 1, 0).contiguous()  # [side + 4, side + 4, n_inputs, N]
        seen = [maps[i : i + side, j : j + side] for i in range(5) for j in range(5)]
        columns = torch.stack(seen, 3).reshape(side * side, n_inputs * 25, -1)
        by_connection = self.weight.flatten(3).flatten(1, 2)  # [n_connections, 25, places]
        dense = to_dense(by_connection, self.table, n_inputs).flatten(1, 2)
        at_places = torch.bmm(dense.permute(2, 0, 1).contiguous(), columns)  # [places, outputs, N]
        result: Tensor = at_places.permute(2, 1, 0).unflatten(2, (side, side)) + self.bias
        return result


class PermutedPixels(nn.Module):
    """The 784 pixels of [N, 1, 28, 28] in another order, the same for every image, run and seed."""

    order: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("order", epoch_permutation(784, PIXEL_ORDER, 0), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """The images, pixel ``order[k]`` in place of pixel k."""
        return images.flatten(2).index_select(2, self.order).view_as(images)
