"""The mean answer over several shifts, :class:`ShiftAveraged`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import _get_current_dispatch_mode

from ..checks.describe import describe
from ..checks.errors import ArgumentError
from ..checks.images import Fill, check_fill, check_fill_alone
from ..checks.shifts import check_grid_fits
from ..checks.types import check_type
from ..models.dtypes import input_dtypes
from ..predict.evaluator import ShiftEvaluator
from ..predict.shared import SharesByItself
from ..predict.shared.canvas import Frame
from ..predict.shared.outputs import logits_of
from ..shifts import ShiftGrid


class ShiftAveraged(SharesByItself):
    """A network that answers with the mean of another one's logits over all shifts of a grid.

    Test-time augmentation by translations (Krizhevsky, Sutskever and Hinton 2012, section 4.1, average over
    crops; here the logits are averaged, before any softmax). No training is needed, and the answers of the
    network within it change less when the image moves.

    In eval mode and without gradients, the logits come from a :class:`lenetshift.ShiftEvaluator`: features
    that the shifts have in common are computed once, so that an answer of a network without padding costs a
    few of the network's own; ``docs/remedies.md`` has measurements. What was made for that is kept, with a
    copy of the network's weights, and is made anew when a weight or an attribute of a module has changed.
    Otherwise (in training mode, with gradients, while a program traces or compiles) the network runs once for
    each shift.

    Args:
        model: takes ``[N, C, H, W]``, gives logits ``[N, K]``, or an output with the attribute or key
            ``logits``. It is not copied.
        grid: the shifts, in pixels: |dx| < W and |dy| < H.
        fill: what uncovered pixels hold, in the units of the model's input: a number, or one per channel;
            or ``"circular"``.

    Raises:
        ValueError: an argument is not as described; in the forward pass, images that are not.

    >>> import lenetshift, torch
    >>> from lenetshift.remedies import ShiftAveraged
    >>> model = lenetshift.build_model("lenet5", seed=0)
    >>> averaged = ShiftAveraged(model, lenetshift.ShiftGrid(range(-1, 2), range(-1, 2))).eval()
    >>> images = torch.rand(2, 1, 28, 28)
    >>> with torch.no_grad():
    ...     logits = averaged(images)
    >>> moved = torch.ops.lenetshift.translate(images, averaged.grid.shifts())  # [2, 9, 1, 28, 28]
    >>> torch.allclose(logits, model(moved.flatten(0, 1)).view(2, 9, 10).mean(1), atol=1e-5)
    True
    """

    def __init__(self, model: nn.Module, grid: ShiftGrid, *, fill: Fill = 0) -> None:
        super().__init__()
        check_type("model", model, nn.Module)
        check_type("grid", grid, ShiftGrid)
        check_fill_alone(fill)
        self.model, self.grid = model, grid
        self.fill = copy.deepcopy(fill)
        self._kept: tuple[_State, ShiftEvaluator] | None = None

    def forward(self, images: Tensor) -> Tensor:
        """The mean logits ``[N, K]`` of images ``[N, C, H, W]``, floating, as the model takes them."""
        if not isinstance(images, Tensor) or images.dim() != 4 or not images.is_floating_point():
            raise ArgumentError("images", describe(images), "floating [N, C, H, W]")
        if len(images) and self._may_share(images):
            answers = self._evaluator().answer(images, return_logits=True)
            assert answers.logits is not None
            return answers.logits.mean((1, 2))
        frame = self._frame(images)
        logits = [
            logits_of(self.model(self._moved(images, frame, number)))
            for number in range(len(self.grid))
        ]
        return torch.stack(logits).mean(0)

    def _may_share(self, images: Tensor) -> bool:
        return (
            not torch.compiler.is_compiling()
            and not torch.is_grad_enabled()
            and not any(getattr(module, "training", False) for module in self.modules())
            and not any(map(is_lazy, self.parameters()))
            and images.dtype == input_dtypes(self.model)[0]
            and type(images) is Tensor
            and not torch._C._get_tracing_state()
            and _get_current_dispatch_mode() is None
            and torch._C._functorch.maybe_current_level() is None
            and bool(images.isfinite().all())  # NaN passes through the network, as in any module
        )

    def _evaluator(self) -> ShiftEvaluator:
        kept = self._kept
        if kept is None or not kept[0].is_that_of(self.model):
            evaluator = _Evaluator(self.model, self.grid, fill=self.fill)
            kept = self._kept = (_State(self.model), evaluator)
        return kept[1]

    def _frame(self, images: Tensor) -> Frame:
        size = (int(images.shape[-2]), int(images.shape[-1]))  # tensors while a program traces
        check_grid_fits(self.grid.dx, self.grid.dy, size, size)
        return Frame(self.grid, size, size, check_fill(self.fill, images))

    def _moved(self, images: Tensor, frame: Frame, number: int) -> Tensor:
        """All images under one shift of the grid."""
        if frame.is_translation:
            shift = self.grid.shifts()[number : number + 1].to(images.device)
            moved: Tensor = torch.ops.lenetshift.translate(images, shift)[:, 0]
            return moved
        all_images = torch.arange(len(images), device=images.device)
        row, column = (torch.full_like(all_images, at) for at in divmod(number, self.grid.n_dx))
        return frame.patterns(images, all_images, row, column)

    def extra_repr(self) -> str:
        """The grid and the fill, in the module's printed form."""
        return f"{self.grid}, fill={self.fill!r}"

    def __getstate__(self) -> dict[str, Any]:
        """Without what was made for answers: a copy or an unpickled module makes it anew."""
        return {**self.__dict__, "_kept": None}


class _Evaluator(ShiftEvaluator):
    """One that expects the input of a model, normalised or not, so that no range of it is odd."""

    def _warn_of_odd_range(self, pictures: Tensor) -> None:
        pass


class _State:
    """Everything of a network that shared answers depend on: its modules with all their attributes, hooks
    among them, and copies of all tensors."""

    def __init__(self, model: nn.Module) -> None:
        parts = _Parts(model)
        self.found, self.tensors = parts.found, [t.detach().clone() for t in parts.tensors]

    def is_that_of(self, model: nn.Module) -> bool:
        parts = _Parts(model)
        return (
            self.found == parts.found
            and len(parts.tensors) == len(self.tensors)
            and all(map(_same, parts.tensors, self.tensors))
        )


def _same(a: Tensor, b: Tensor) -> bool:
    return (a.dtype, a.device, a.shape) == (b.dtype, b.device, b.shape) and torch.equal(a, b)


class _Parts:
    """What a network consists of, in an order that stays the same unless something changes.

    Attributes:
        found: numbers, texts, the types of containers, and objects; for what was found before, its number.
        tensors: all tensors. The caller compares their values.
    """

    def __init__(self, model: nn.Module) -> None:
        self.found: list[Any] = []
        self.tensors: list[Tensor] = []
        self._numbers: dict[int, int] = {}  # by the id of a tensor or container: when it was found
        for tensor in (*model.parameters(), *model.buffers()):  # in a scripted module, only here
            self._add(tensor)
        self._add(model)

    def _add(self, value: Any) -> None:
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
            self.found += (type(value), value)
        elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
            self.found += (value.dtype, value.shape, value.tobytes())
        elif not isinstance(value, (Tensor, nn.Module, dict, list, tuple, set, frozenset)):
            self.found.append(_Object(value))
        elif id(value) in self._numbers:
            self.found.append(self._numbers[id(value)])
        else:
            self._numbers[id(value)] = len(self._numbers)
            self._add_first(value)

    def _add_first(self, value: Any) -> None:
        """Add a tensor, or a container with its contents."""
        self.found.append(_Object(value) if isinstance(value, nn.Module) else type(value))
        if isinstance(value, Tensor):
            self.tensors.append(value)
            return
        if isinstance(value, ShiftAveraged):  # what it keeps is no part of it
            value = value.__getstate__()
        elif isinstance(value, nn.Module):
            value = vars(value)
        self.found.append(len(value))
        for item in value:
            self._add(item)
            if isinstance(value, dict):
                self._add(value[item])


class _Object:
    """Something that is compared by identity, such as a function. It is kept, so that nothing else gets its
    ``id``."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Object) and self.value is other.value

    __hash__ = None  # type: ignore[assignment]
