"""``train_epoch_<model>``: one epoch of plain mini-batch SGD on the mean cross-entropy.

``train_epoch_lenet5(images, labels, permutation, parameters, learning_rate, batch_size,
activation="tanh")``, and ``_symmetric_lenet5``, ``_mlp``, ``_pooled_mlp`` likewise:

- ``images`` uint8 ``[N, 28, 28]``, ``labels`` int64 ``[N]`` in 0..9; the model sees pixel / 255;
- ``permutation`` int64 ``[n]``, the indices of the images in the order of their use; the last batch
  may be smaller;
- ``parameters`` the model's, float32 and contiguous, in the order of ``model.parameters()``, without
  a graph, and finite (:func:`lenetshift.models.fused.sums_stay_finite`): ``lenetshift.train`` ensures
  both. Each step adds -learning_rate * gradient to them in place; a graph that autograd recorded with
  them before raises in its backward pass;
- returns losses float32 ``[n_steps]``, each step's mean loss before its update.

The twin is :func:`lenetshift.reference.sgd_epoch`.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def _register(model: FusedModel) -> None:
    def train_epoch(
        images: Tensor,
        labels: Tensor,
        permutation: Tensor,
        parameters: Sequence[Tensor],
        learning_rate: float,
        batch_size: int,
        activation: str = "tanh",
    ) -> Tensor:
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

    define(
        f"train_epoch_{model.name}(Tensor images, Tensor labels, Tensor permutation, "
        "Tensor(a!)[] parameters, float learning_rate, int batch_size, "
        'str activation="tanh") -> Tensor',
        train_epoch,
        _train_epoch_fake,
    )


for _model in FUSED_MODELS:
    _register(_model)
