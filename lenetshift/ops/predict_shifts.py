"""``predict_shifts_<model>``: a model's answers for all shifts of all images, without making moved images.

``predict_shifts_lenet5(images, dx, dy, parameters, activation="tanh", return_logits=False)``, and
``_symmetric_lenet5``, ``_mlp``, ``_pooled_mlp`` likewise:

- ``images`` uint8 ``[N, 28, 28]``; the model sees pixel / 255;
- ``dx``, ``dy`` two ints each, the range [first, stop) of shifts in pixels, within -27..27;
- ``parameters`` the model's, float32 and contiguous, in the order of ``model.parameters()``; finite,
  and such that no sum of a forward pass overflows (:func:`lenetshift.models.fused.sums_stay_finite`).
  For others the op does not reproduce PyTorch's infinities and NaNs; ``lenetshift.predict_shifts``
  does not use it for them;
- returns predictions uint8 ``[N, n_dy, n_dx]``, the class of the largest logit (the first of equal
  ones), and logits float32 ``[N, n_dy, n_dx, 10]``, or ``[0]`` if ``return_logits`` is false.

The twin is :func:`lenetshift.reference.shifted_logits`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lenetshift.checks.core import core
from lenetshift.checks.images import check_digit_images
from lenetshift.checks.shifts import check_first_and_stop
from lenetshift.checks.types import check_choice
from lenetshift.ops._common import define, run_kernel
from lenetshift.ops._models import FUSED_MODELS, FusedModel
from lenetshift.ops._transforms import register_float32_autocast, register_no_derivatives
from lenetshift.ops.activations import ACTIVATIONS


def _predict_shifts_fake(
    images: Tensor,
    dx: Sequence[int],
    dy: Sequence[int],
    parameters: Sequence[Tensor],
    activation: str = "tanh",
    return_logits: bool = False,
) -> tuple[Tensor, Tensor]:
    shape = (images.shape[0], dy[1] - dy[0], dx[1] - dx[0])
    return (
        images.new_empty(shape),
        images.new_empty((*shape, 10) if return_logits else (0,), dtype=torch.float32),
    )


def _register(model: FusedModel) -> None:
    def predict_shifts(
        images: Tensor,
        dx: Sequence[int],
        dy: Sequence[int],
        parameters: Sequence[Tensor],
        activation: str = "tanh",
        return_logits: bool = False,
    ) -> tuple[Tensor, Tensor]:
        check_digit_images(images)
        check_first_and_stop("dx", dx)
        check_first_and_stop("dy", dy)
        check_choice("activation", activation, ACTIVATIONS)
        model.check_parameters(parameters, images.device)
        images = images.contiguous()
        predictions, logits = _predict_shifts_fake(
            images, dx, dy, parameters, activation, return_logits
        )
        run_kernel(
            f"predict_shifts_{model.kernel}",
            images.device,
            model.for_core(parameters, activation),
            core.ShiftedImages(
                images=images.data_ptr(),
                n_images=images.shape[0],
                dx=tuple(dx),
                dy=tuple(dy),
                predictions=predictions.data_ptr(),
                logits=logits.data_ptr() if return_logits else 0,
            ),
        )
        return predictions, logits

    define(
        f"predict_shifts_{model.name}(Tensor images, int[] dx, int[] dy, Tensor[] parameters, "
        'str activation="tanh", bool return_logits=False) -> (Tensor, Tensor)',
        predict_shifts,
        _predict_shifts_fake,
    )
    register_no_derivatives(
        f"predict_shifts_{model.name}", "the model's forward of torch.ops.lenetshift.translate"
    )
    register_float32_autocast(f"predict_shifts_{model.name}")


for _model in FUSED_MODELS:
    _register(_model)
