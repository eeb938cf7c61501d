"""Training in the way of a variant, :class:`Trainer`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ....checks.describe import shown
from ....checks.errors import ArgumentError
from ....checks.numbers import check_batch_size, check_positive, check_seed, whole_number
from ....checks.types import check_type
from ....data.dataset import Dataset, as_input
from ....data.seeds import epoch_permutation
from ....models.dtypes import device_of, dtype_of
from .table import variant_named


class Trainer:
    """Trains a network in place, epoch by epoch, in the way of a variant.

    The momentum lasts from one epoch to the next within a trainer, and is not stored: a run that was
    interrupted begins anew.

    Args:
        variant: a name in :data:`VARIANTS`.
        network: as :func:`build` makes it for the same variant, on any device.
        dataset: the training set; a last batch that is smaller than the others is used too.
        learning_rate: positive.
        batch_size: images per step, 1..2**31 - 1.
        seed: 0..2**32 - 1; with the epoch's number it decides the order of the images, as in
            :func:`lenetshift.train`.

    Raises:
        ValueError: an unknown variant, an empty dataset, or a number out of range.
    """

    def __init__(
        self,
        variant: str,
        network: nn.Module,
        dataset: Dataset,
        *,
        learning_rate: float,
        batch_size: int,
        seed: int,
    ) -> None:
        self._variant = variant_named(variant)
        check_type("network", network, nn.Module)
        check_type("dataset", dataset, Dataset)
        if not dataset:
            raise ArgumentError("dataset", "no images", "at least one")
        self._network = network
        self._dataset = dataset.to(device_of(network))
        self._batch_size = check_batch_size(batch_size)
        self._seed = check_seed(seed)
        self._optimizer = torch.optim.SGD(
            network.parameters(),
            lr=check_positive("learning_rate", learning_rate),
            momentum=self._variant.momentum,
        )
        self._next_epoch = 0

    def epoch(self, number: int) -> Tensor:
        """Train one epoch.

        Args:
            number: 0 in the first call, and one more in each further call.

        Returns:
            The loss of every step, before its update: float32 ``[n_steps]`` on the CPU.

        Raises:
            ValueError: another number.
        """
        if whole_number(number) != self._next_epoch:
            raise ArgumentError("number", shown(number), f"{self._next_epoch}, the next epoch")
        self._next_epoch += 1
        batches = torch.split(self._order(int(number)), self._batch_size)
        return torch.stack([self._step(batch) for batch in batches]).float().cpu()

    def _order(self, epoch: int) -> Tensor:
        n, device = len(self._dataset), self._dataset.images.device
        if not self._variant.shuffles:
            return torch.arange(n, device=device)
        return epoch_permutation(n, self._seed, epoch).to(device)

    def _step(self, batch: Tensor) -> Tensor:
        """One update of the weights; returns the loss before it."""
        images = as_input(self._dataset.images[batch], dtype_of(self._network))
        self._optimizer.zero_grad()
        loss = self._variant.loss(self._network(images), self._dataset.labels[batch])
        loss.backward()
        self._optimizer.step()
        return loss.detach()
