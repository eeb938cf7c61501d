"""The function ``predict_shifts``."""

from __future__ import annotations

from typing import Literal, overload

from torch import Tensor

from ..checks.arrays import Array
from ..checks.images import Fill
from ..shifts import ShiftGrid
from .evaluator import ShiftEvaluator
from .functions import Model
from .plain import Transform


@overload
def predict_shifts(
    model: Model,
    images: Array,
    grid: ShiftGrid = ...,
    *,
    method: str = ...,
    fill: Fill = ...,
    crop: tuple[int, int] | None = ...,
    transform: Transform | None = ...,
    batch_size: int | None = ...,
    executor: str = ...,
    tune: bool = ...,
    return_logits: Literal[False] = ...,
) -> Tensor: ...


@overload
def predict_shifts(
    model: Model,
    images: Array,
    grid: ShiftGrid = ...,
    *,
    method: str = ...,
    fill: Fill = ...,
    crop: tuple[int, int] | None = ...,
    transform: Transform | None = ...,
    batch_size: int | None = ...,
    executor: str = ...,
    tune: bool = ...,
    return_logits: Literal[True],
) -> tuple[Tensor, Tensor]: ...


def predict_shifts(
    model: Model,
    images: Array,
    grid: ShiftGrid = ShiftGrid(),  # noqa: B008 (immutable)
    *,
    method: str = "auto",
    fill: Fill = 0,
    crop: tuple[int, int] | None = None,
    transform: Transform | None = None,
    batch_size: int | None = None,
    executor: str = "torch",
    tune: bool = False,
    return_logits: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Classify every image moved by every shift of the grid.

    Pixels that leave the frame are lost, and ``fill`` takes the place of uncovered pixels. The model runs in
    eval mode, without gradients, on its own device, in batches of one size. Images are converted to
    float32, or to the dtype of the model's parameters if the model does not take float32.

    In the capture of a CUDA graph (``torch.cuda.graph``) only a fused op can answer, to images on the model's
    device; a replay reads images and weights anew.

    Args:
        model: takes ``[B, C, h, w]``, pixels in 0..1 after the ``transform``; gives logits ``[B, K]``,
            or an output with the attribute or key ``logits``. A module is left as it was, including its
            training mode. Several threads may evaluate one model, but not while another trains it: a module
            has one mode for all threads. A function is called as it is, on the images' device: the modules
            that it uses must be in eval mode already.
        images: ``[N, H, W]`` (one channel) or ``[N, C, H, W]``, uint8 (divided by 255) or floating-point
            (used as they are, finite); a tensor or an array, contiguous or not.
        grid: the shifts, in pixels: |dx| < W and |dy| < H.
        method: ``"auto"``, or the only method allowed: ``"fused"``, the op of a model of the package;
            ``"shared"``, features that the shifts share; ``"rewritten"``, one pattern after another by an
            equal network (batch normalization folded into convolutions, channels last); ``"plain"``, one
            pattern after another by the model itself. They give the same answers except for rounding.
            ``"auto"`` takes the first of them that is possible, and works whenever ``"plain"`` does;
            :meth:`ShiftEvaluator.answer` also returns the method and the reason for it.
        fill: the value of uncovered pixels, in the images' own units (0..255 for uint8): a number, or one per
            channel; or ``"circular"``: what left on the other side (Zhang 2019; Chaman and Dokmanić 2021).
        crop: ``(h, w)``: the network sees only the middle of the image, as torchvision's ``CenterCrop`` cuts
            it, and the image moves behind it, at most so far that no pixel is uncovered.
        transform: applied to ``[B, C, h, w]`` in 0..1 before the model, such as
            :class:`lenetshift.Normalize`; may change only the number of channels.
        batch_size: patterns in every forward pass of the plain method and of the rewritten network; the last
            batch is filled up with repetitions, whose answers are dropped. By default it depends on the
            patterns' shape and dtype and on the device. Needed for a network that takes only one batch size.
        executor: what runs the rewritten network: ``"torch"``; or ``"openvino"`` or ``"onnxruntime"``, on the
            CPU, in float32, with ``torch.get_num_threads()`` threads, where ``"auto"`` rewrites and shares
            nothing. They are extras of the package: ``pip install 'lenetshift[openvino]'``.
        tune: whether ``"auto"``, unless a fused op answers, times the methods that work on the first images
            (shared, rewritten in two memory layouts, plain) and takes the fastest; ``"rewritten"`` its two
            layouts. The last bits may then differ from call to call.
        return_logits: whether to return the model's outputs as well.

    Returns:
        ``predictions [N, n_dy, n_dx]``, the index of the largest output, the first of equal ones, uint8 for
        K <= 256, otherwise int32; or ``(predictions, logits)``, logits ``[N, n_dy, n_dx, K]`` in the dtype of
        the model's output. On the device of ``images``. (Without images, K is 0 for a model that has no fused
        op.)

    Raises:
        ValueError: an argument, or an output of model or transform, is not as described; or the method is not
            possible, with the reason.

    Warns:
        UserWarning: floating-point images look normalised, so that ``fill=0`` is not black; or reach far
            above 1, where uint8 images would have been divided by 255.

    Example:
        A model that answers with the column of the brightest pixel, and an image with one bright pixel:

        >>> import lenetshift, torch
        >>> model = torch.nn.Sequential(torch.nn.MaxPool2d((8, 1)), torch.nn.Flatten())
        >>> image = torch.zeros(1, 8, 8, dtype=torch.uint8)
        >>> image[0, 2, 4] = 255
        >>> grid = lenetshift.ShiftGrid(dx=range(-1, 2), dy=range(2))
        >>> lenetshift.predict_shifts(model, image, grid)
        tensor([[[3, 4, 5],
                 [3, 4, 5]]], dtype=torch.uint8)
    """
    evaluator = ShiftEvaluator(
        model,
        grid,
        method=method,
        fill=fill,
        crop=crop,
        transform=transform,
        batch_size=batch_size,
        executor=executor,
        tune=tune,
    )
    answers = evaluator.answer(images, return_logits=return_logits)
    if answers.logits is None:
        return answers.predictions
    return answers.predictions, answers.logits
