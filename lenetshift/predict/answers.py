"""The answers of a model to every image under every shift, as they come in."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MAX_CLASSES_IN_A_BYTE = 256


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model answered, and how.

    Attributes:
        predictions: ``[N, n_dy, n_dx]``, the index of the largest logit, of equal ones the first;
            uint8 for up to 256 classes, else int32. On the device of the images.
        logits: ``[N, n_dy, n_dx, K]`` in the dtype of the model's output, or None.
        method: ``"fused"``, ``"shared"`` or ``"plain"``.
        reason: why that way, in a sentence that begins with it.
        n_classes: K, the number of logits for each pattern; 0 without images.
        n_not_finite: patterns of which a logit is infinite or NaN.
    """

    predictions: Tensor
    logits: Tensor | None
    method: str
    reason: str
    n_classes: int
    n_not_finite: int


class Collected:
    """Room for the answers to N images under ``n_dy * n_dx`` shifts, filled part by part.

    Args:
        n: images.
        shape: ``(n_dy, n_dx)``.
        device: where the answers are kept.
        keeps_logits: whether the logits are, too.
    """

    def __init__(
        self, n: int, shape: tuple[int, int], device: torch.device, keeps_logits: bool
    ) -> None:
        """Wait for the first answers, which tell the number of classes."""
        self.n, self.shape, self.device, self.keeps_logits = n, shape, device, keeps_logits
        self._predictions: Tensor | None = None  # [N * n_dy * n_dx]
        self._logits: Tensor | None = None  # [N * n_dy * n_dx, K]
        self._odd = torch.zeros(0, dtype=torch.bool, device=device)  # [N * n_dy * n_dx]
        self._n_classes = 0  # until then

    def put(self, first: int, logits: Tensor) -> None:
        """Keep logits ``[B, K]``, those of pattern ``first`` and the following: all shifts of the
        first image, then all of the second, ..."""
        if self._predictions is None:
            self._make_room(logits.shape[1], logits.dtype)
        assert self._predictions is not None
        part = slice(first, first + len(logits))
        ranked = logits.byte() if logits.dtype == torch.bool else logits  # bools have no order
        self._predictions[part] = ranked.argmax(1)
        if logits.is_floating_point():
            self._odd[part] = ~logits.isfinite().all(1)
        if self._logits is not None:
            self._logits[part] = logits

    @torch.inference_mode(False)  # what is returned are ordinary tensors
    def _make_room(self, n_classes: int, dtype: torch.dtype) -> None:
        self._n_classes = n_classes
        n_patterns = self.n * self.shape[0] * self.shape[1]
        small = torch.uint8 if n_classes <= MAX_CLASSES_IN_A_BYTE else torch.int32
        self._predictions = torch.empty(n_patterns, dtype=small, device=self.device)
        self._odd = torch.zeros(n_patterns, dtype=torch.bool, device=self.device)
        if self.keeps_logits:
            self._logits = torch.empty(n_patterns, n_classes, dtype=dtype, device=self.device)

    def answers(self, method: str, reason: str) -> Answers:
        """All of them; without any image, of a model with 0 classes."""
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
