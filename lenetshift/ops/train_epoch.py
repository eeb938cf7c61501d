"""``train_epoch_<model>``: one epoch of plain mini-batch SGD on the mean cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lenetshift.checks.core import core
from lenetshift.checks.errors import ArgumentError
from lenetshift.checks.images import check_digit_images
from lenetshift.checks.tensors import check_indices, check_tensor
from lenetshift.checks.types import check_choice
from lenetshift.ops._common import define, run_kernel
from lenetshift.ops._models import FUSED_MODELS, FusedModel
from lenetshift.ops.activations import ACTIVATIONS


def _train_epoch_fake(
    images: Tensor,
    labels: Tensor,
    permutation: Tensor,
    parameters: Sequence[Tensor],
    learning_rate: float,
    batch_size: int,
    activation: str = "tanh",
) -> Tensor:
    n_steps = (permutation.shape[0] + batch_size - 1) // batch_size
    return images.new_empty((n_steps,), dtype=torch.float32)


TrainEpoch = Callable[..., Tensor]


def _defined(model: FusedModel) -> TrainEpoch:
    def train_epoch(
        images: Tensor,
        labels: Tensor,
        permutation: Tensor,
        parameters: Sequence[Tensor],
        learning_rate: float,
        batch_size: int,
        activation: str = "tanh",
    ) -> Tensor:
        """One epoch of mini-batch SGD on the mean cross-entropy, for the model that the op's name ends with.

        Each step adds -learning_rate * gradient to the parameters in place. A graph that autograd recorded
        with them before raises in its backward pass. The op is ``torch.ops.lenetshift.train_epoch_<model>``,
        its twin in plain PyTorch :func:`lenetshift.reference.sgd_epoch`; :func:`lenetshift.train` calls it
        where it can. Captured in a CUDA graph, each replay is one more epoch, with the images, labels and
        permutation that the tensors then hold, whose values it checks; autograd does not notice that a replay
        changes the parameters.

        Args:
            images: uint8 ``[N, 28, 28]``; the model sees pixel / 255.
            labels: int64 ``[N]``, 0..9.
            permutation: int64 ``[n]``, the indices of the images in the order of their use; the last batch
                may be smaller.
            parameters: the model's, float32 and contiguous, in the order of ``model.parameters()``, without
                a graph, and finite (:func:`lenetshift.models.fused.sums_stay_finite`). They are changed.
            learning_rate: of every step.
            batch_size: images of every step but the last.
            activation: ``"tanh"`` or ``"relu"``.

        Returns:
            float32 ``[n_steps]``, each step's mean loss before its update.

        Raises:
            ValueError: a shape, dtype, device, label, index or activation does not fit, or a parameter
                requires grad.

        >>> import lenetshift, torch
        >>> from lenetshift import ops
        >>> parameters = [p.detach() for p in lenetshift.build_model("mlp", seed=0).parameters()]
        >>> images, labels = torch.zeros(2, 28, 28, dtype=torch.uint8), torch.tensor([1, 7])
        >>> losses = ops.train_epoch_mlp(images, labels, torch.tensor([1, 0]), parameters, 0.1, batch_size=1)
        >>> losses.shape
        torch.Size([2])
        """
        check_digit_images(images)
        check_tensor("labels", labels, (torch.int64,), (images.shape[0],), images.device)
        check_tensor("permutation", permutation, (torch.int64,), (None,), images.device)
        if batch_size < 1:
            raise ArgumentError("batch_size", str(batch_size), "at least 1")
        check_indices("labels", labels, 10)
        check_indices("permutation", permutation, images.shape[0])
        check_choice("activation", activation, ACTIVATIONS)
        model.check_parameters(parameters, images.device)
        if torch.is_grad_enabled() and any(p.requires_grad for p in parameters):
            raise ArgumentError("parameters", "some that require grad", "those of p.detach()")
        images, labels = images.contiguous(), labels.contiguous()
        permutation = permutation.contiguous()
        # A larger batch than all images is all images: this limits the workspace.
        batch_size = min(batch_size, max(permutation.shape[0], 1))
        losses = _train_epoch_fake(
            images, labels, permutation, parameters, learning_rate, batch_size
        )
        try:
            run_kernel(
                f"train_epoch_{model.kernel}",
                images.device,
                model.for_core(parameters, activation),
                core.Epoch(
                    images=images.data_ptr(),
                    labels=labels.data_ptr(),
                    permutation=permutation.data_ptr(),
                    n_images=permutation.shape[0],
                    batch_size=batch_size,
                    learning_rate=learning_rate,
                    losses=losses.data_ptr(),
                ),
            )
        finally:  # also after an interrupt, for the steps before it
            for parameter in parameters:
                if not parameter.is_inference():  # these have no counter
                    torch.autograd.graph.increment_version(parameter)
        return losses

    return define(
        f"train_epoch_{model.name}(Tensor images, Tensor labels, Tensor permutation, "
        "Tensor(a!)[] parameters, float learning_rate, int batch_size, "
        'str activation="tanh") -> Tensor',
        train_epoch,
        _train_epoch_fake,
    )


TRAIN_EPOCH: dict[str, TrainEpoch] = {model.name: _defined(model) for model in FUSED_MODELS}
"""Model -> the op."""

train_epoch_lenet5 = TRAIN_EPOCH["lenet5"]
train_epoch_symmetric_lenet5 = TRAIN_EPOCH["symmetric_lenet5"]
train_epoch_mlp = TRAIN_EPOCH["mlp"]
train_epoch_pooled_mlp = TRAIN_EPOCH["pooled_mlp"]
