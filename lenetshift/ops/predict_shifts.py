"""``predict_shifts_<model>``: a model's answers for all shifts of all images, without making moved images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


PredictShifts = Callable[..., tuple[Tensor, Tensor]]


def _defined(model: FusedModel) -> PredictShifts:
    def predict_shifts(
        images: Tensor,
        dx: Sequence[int],
        dy: Sequence[int],
        parameters: Sequence[Tensor],
        activation: str = "tanh",
        return_logits: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The answers of the model that the op's name ends with, for all shifts of all images.

        No moved image is made: features that the shifts have in common are computed once. The op is
        ``torch.ops.lenetshift.predict_shifts_<model>``, its twin in plain PyTorch
        :func:`lenetshift.reference.shifted_logits`; docs/sharing.md explains the algorithm. It has no
        derivative. :func:`lenetshift.predict_shifts` calls it where it can, for any grid. Captured in a CUDA
        graph, it reads the images and parameters anew at each replay.

        Args:
            images: uint8 ``[N, 28, 28]``; the model sees pixel / 255. Uncovered pixels are 0.
            dx: two ints, the range [first, stop) of shifts in pixels, within -27..27.
            dy: likewise.
            parameters: the model's, float32 and contiguous, in the order of ``model.parameters()``; finite,
                and such that no sum of a forward pass overflows
                (:func:`lenetshift.models.fused.sums_stay_finite`). For others the op does not reproduce
                PyTorch's infinities and NaNs; ``lenetshift.predict_shifts`` does not use it for them.
            activation: ``"tanh"`` or ``"relu"``.
            return_logits: whether the logits are returned.

        Returns:
            Predictions uint8 ``[N, n_dy, n_dx]``, the class of the largest logit (the first of equal ones),
            and logits float32 ``[N, n_dy, n_dx, 10]``, or ``[0]`` if ``return_logits`` is false.

        Raises:
            ValueError: a shape, dtype, device, range or activation does not fit.

        >>> import lenetshift, torch
        >>> from lenetshift import ops
        >>> parameters = [p.detach() for p in lenetshift.build_model("mlp", seed=0).parameters()]
        >>> images = torch.zeros(2, 28, 28, dtype=torch.uint8)
        >>> predictions, _ = ops.predict_shifts_mlp(images, [-5, 6], [-2, 3], parameters)
        >>> predictions.shape  # dx -5..5, dy -2..2
        torch.Size([2, 5, 11])
        """
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

    op = define(
        f"predict_shifts_{model.name}(Tensor images, int[] dx, int[] dy, Tensor[] parameters, "
        'str activation="tanh", bool return_logits=False) -> (Tensor, Tensor)',
        predict_shifts,
        _predict_shifts_fake,
    )
    register_no_derivatives(
        f"predict_shifts_{model.name}", "the model's forward of torch.ops.lenetshift.translate"
    )
    register_float32_autocast(f"predict_shifts_{model.name}")
    return op


PREDICT_SHIFTS: dict[str, PredictShifts] = {model.name: _defined(model) for model in FUSED_MODELS}
"""Model -> the op."""

predict_shifts_lenet5 = PREDICT_SHIFTS["lenet5"]
predict_shifts_symmetric_lenet5 = PREDICT_SHIFTS["symmetric_lenet5"]
predict_shifts_mlp = PREDICT_SHIFTS["mlp"]
predict_shifts_pooled_mlp = PREDICT_SHIFTS["pooled_mlp"]
