"""The answers of a model to every image under every shift, collected as they are computed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MAX_CLASSES_IN_A_BYTE = 256


@dataclass(frozen=True, eq=False)
class Answers:
    """A model's answers to every image under every shift, and how they were computed.

    Attributes:
        predictions: ``[N, n_dy, n_dx]``, the index of the largest logit, the first of equal ones;
            uint8 for up to 256 classes, otherwise int32. On the device of the images.
        logits: ``[N, n_dy, n_dx, K]`` in the dtype of the model's output, or None.
        method: ``"fused"``, ``"shared"``, ``"rewritten"`` or ``"plain"``.
        reason: why that method was used; begins with its name.
        n_classes: K, the number of logits per pattern; 0 without images.
        n_not_finite: the number of patterns with an infinite or NaN logit.

    Example:
        >>> import lenetshift, torch
        >>> evaluator = lenetshift.ShiftEvaluator(lenetshift.build_model("mlp", seed=0))
        >>> answers = evaluator.answer(torch.zeros(2, 28, 28, dtype=torch.uint8))
        >>> answers.predictions.shape, answers.logits, answers.n_classes, answers.n_not_finite
        (torch.Size([2, 5, 11]), None, 10, 0)
        >>> answers.reason
        'fused: MLP has its own op'
    """

    predictions: Tensor
    logits: Tensor | None
    method: str
    reason: str
    n_classes: int
    n_not_finite: int


class Collected:
    """Memory for the answers to N images under ``n_dy * n_dx`` shifts, filled part by part.

    Args:
        n: the number of images.
        shape: ``(n_dy, n_dx)``.
        device: where the answers are kept.
        keeps_logits: whether the logits are kept too.
    """

    def __init__(
        self, n: int, shape: tuple[int, int], device: torch.device, keeps_logits: bool
    ) -> None:
        self.n, self.shape, self.device, self.keeps_logits = n, shape, device, keeps_logits
        self._predictions: Tensor | None = None  # [N * n_dy * n_dx]
        self._logits: Tensor | None = None  # [N * n_dy * n_dx, K]
        self._odd = torch.zeros(0, dtype=torch.bool, device=device)  # [N * n_dy * n_dx]
        self._n_classes = 0  # until the first logits come

    def put(self, first: int, logits: Tensor) -> None:
        """Keep the logits ``[B, K]`` of pattern ``first`` and those that follow: all shifts of the first
        image, then all of the second, ..."""
        if self._predictions is None:
            self._allocate(logits.shape[1], logits.dtype)
        assert self._predictions is not None
        part = slice(first, first + len(logits))
        ranked = logits.byte() if logits.dtype == torch.bool else logits  # bools have no order
        self._predictions[part] = ranked.argmax(1)
        if logits.is_floating_point():
            self._odd[part] = ~logits.isfinite().all(1)
        if self._logits is not None:
            self._logits[part] = logits

    @torch.inference_mode(False)  # what is returned are ordinary tensors
    def _allocate(self, n_classes: int, dtype: torch.dtype) -> None:
        self._n_classes = n_classes
        n_patterns = self.n * self.shape[0] * self.shape[1]
        small = torch.uint8 if n_classes <= MAX_CLASSES_IN_A_BYTE else torch.int32
        self._predictions = torch.empty(n_patterns, dtype=small, device=self.device)
        self._odd = torch.zeros(n_patterns, dtype=torch.bool, device=self.device)
        if self.keeps_logits:
            self._logits = torch.empty(n_patterns, n_classes, dtype=dtype, device=self.device)

    def answers(self, method: str, reason: str) -> Answers:
        """All answers; without images the number of classes is 0."""
        predictions, logits = self._predictions, self._logits
        if predictions is None:
            predictions = torch.empty(0, dtype=torch.uint8, device=self.device)
            if self.keeps_logits:
                logits = torch.empty(0, 0, device=self.device)
        return Answers(
            predictions.view(self.n, *self.shape),
            None if logits is None else logits.view(self.n, *self.shape, logits.shape[1]),
            method,
            reason,
            self._n_classes,
            int(self._odd.sum()),
        )
