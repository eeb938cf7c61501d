"""The operations of a network as they run, and the value that each of its tensors stands for.

In-place operations are recorded as the values that they produce: a write to a view is carried to its base,
and other views of that base are taken anew when they are used next.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .geometry import NotShared
from .graph import IMAGES, Node, Value, kind_of, leaves, mapped

ATEN = torch.ops.aten

FACTORIES = {
    "new_zeros": ATEN.zeros.default,
    "new_empty": ATEN.zeros.default,
    "new_ones": ATEN.ones.default,
    "new_full": ATEN.full.default,
}
"""Operations of a tensor that only gives its dtype and device -> those that are told them."""

RETURNS_NO_PIXELS = {"is_pinned", "is_same_size", "is_set_to", "_has_same_storage_numel"}
"""Operations that return a number, but not one of the pixels."""

FEWER = {
    "aten::sum",
    "aten::mean",
    "aten::avg_pool2d",
    "aten::_adaptive_avg_pool2d",
    "aten::logsumexp",
}
REDUCES = {
    *FEWER,
    *("aten::_softmax", "aten::_log_softmax", "aten::native_layer_norm", "aten::native_group_norm"),
    *("aten::linalg_vector_norm", "aten::var", "aten::std", "aten::cumsum"),
}
"""Operations that sum other things than products."""

MOST_OPERATIONS = 4000
"""Of a network that is worth sharing: one that loops over pixels runs more."""

VIEWS = {ATEN.view.default, ATEN._unsafe_view.default}

SAME_ORDER = {"view", "_unsafe_view", "unsqueeze", "squeeze", "alias", "detach", "lift_fresh"}
"""Views of all values in their order."""


@dataclass(eq=False)
class TracedTensor:
    """A tensor that the network has used, and the value that it stands for.

    Attributes:
        tensor: it; kept, so that its id stays its own.
        value: its value when it was last used: a result, or the tensor itself where it is a constant.
        varies: whether its value depends on the pixels.
        parent: what it is a view of; None for a base.
        view: the operation, its arguments after the parent, and which result.
        writes: of a base, the number of writes to it; of a view, that number when its value was taken.
    """

    tensor: Tensor
    value: Value | Tensor
    varies: bool
    parent: TracedTensor | None = None
    view: tuple[Any, tuple[Any, ...], dict[str, Any], int | None] | None = None
    writes: int = 0

    @property
    def base(self) -> TracedTensor:
        """What it is a view of in the end; itself if it is not a view."""
        return self.chain[-1]

    @property
    def chain(self) -> list[TracedTensor]:
        """Itself, what it is a view of, and so on to the base."""
        chain = [self]
        while chain[-1].parent is not None:
            chain.append(chain[-1].parent)
        return chain


class Tape:
    """Operations in the order in which they ran.

    Args:
        images: what the network is given.
        name: what reasons call an operation that is running.

    Attributes:
        nodes: the operations so far.
        obstacle: why the network cannot be recorded; kept, since a network may catch the exception.
    """

    def __init__(self, images: Tensor, name: Callable[[Any], str]) -> None:
        self.nodes: list[Node] = []
        self.obstacle: NotShared | None = None
        self.name = name
        self._traced: dict[int, TracedTensor] = {}  # by id of the tensor
        self._storages: dict[int, TracedTensor] = {}
        self._keep(TracedTensor(images, IMAGES, varies=True))

    def refuse(self, reason: str) -> NotShared:
        """Note an obstacle; to be raised."""
        self.obstacle = self.obstacle or NotShared(reason)
        return self.obstacle

    def varies(self, tensor: Tensor) -> bool:
        """Whether a tensor's values depend on the pixels."""
        known = self._traced.get(id(tensor)) or self._storages.get(_storage(tensor))
        return known is not None and known.base.varies

    def output(self, output: Any) -> Value:
        """The value that the network returned.

        Raises:
            NotShared: it is not a tensor with two dimensions that depends on the images.
        """
        if not isinstance(output, Tensor) or output.dim() != 2:
            raise NotShared("its output is not a tensor with a row for each image")
        value = self._current(self._trace(output))
        if not isinstance(value, Value) or not self.varies(output):
            raise NotShared("its output does not depend on the images")
        return value

    def add(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        """Record an operation without side effects, and trace its results."""
        if kind_of(func) in FACTORIES:
            kwargs = {**kwargs, "dtype": result.dtype, "device": result.device}
        values = self._with_values(args), self._with_values(kwargs)
        traced = [self._trace(tensor) for tensor in tensors((args, kwargs))]
        varies = any(one.base.varies for one in traced)
        several = isinstance(result, (tuple, list))
        results = list(result) if several else [result]
        if not all(isinstance(one, Tensor) or one is None for one in results):
            if varies and kind_of(func) not in RETURNS_NO_PIXELS:
                raise self.refuse(
                    f"{self.name(func)} computes a number from the pixels of all images"
                )
            return  # a number of the network's own, an argument of what follows
        if any(map(oddity, tensors(results))):
            raise self.refuse(f"{self.name(func)} returns a tensor that is not an ordinary one")
        node = self._append(func, *values, result, varies, args, _length(func, args, result))
        for k, one in enumerate(results):
            if not isinstance(one, Tensor) or id(one) in self._traced:
                continue
            item = k if several else None
            new = TracedTensor(one, Value(node, item), varies)
            parent = next((t for t in traced if _storage(t.tensor) == _storage(one)), None)
            if parent is not None:
                new.parent, new.writes = parent, parent.base.writes
                new.view = (func, args[1:], kwargs, item)
            self._keep(new)

    def write(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an in-place operation as its counterpart that returns the values, and record that."""
        counterpart, target = _out_of_place(func), args[0] if args else None
        if torch.Tag.inplace_view in func.tags and isinstance(target, Tensor):
            return self._change_layout(func, args, kwargs)
        if counterpart is None or not isinstance(target, Tensor):
            raise self.refuse(f"{self.name(func)} writes to a tensor in an unknown way")
        chain = self._trace(target).chain
        if isinstance(chain[-1].value, Tensor):
            raise self.refuse(f"{self.name(func)} changes one of the network's own tensors")
        result = counterpart(*args, **kwargs)
        self.add(counterpart, args, kwargs, result)
        if result.dtype != target.dtype:
            source, result = result, result.to(target.dtype)
            self.add(ATEN._to_copy.default, (source,), {"dtype": target.dtype}, result)
        if result.shape != target.shape:
            raise self.refuse(f"{self.name(func)} writes values of another shape")
        varies = chain[-1].varies or self._trace(result).base.varies
        value = self._current(self._trace(result))
        for view, parent in itertools.pairwise(chain):
            before = self._current(parent)
            view.value, value = value, self._after_write(view, value, before, varies)
        chain[-1].value = value
        for traced in chain:
            traced.writes, traced.varies = chain[-1].writes + (traced is not chain[-1]), varies
        chain[-1].writes += 1
        target.copy_(result)
        return target

    def _change_layout(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operation that changes how a tensor lies in memory; every value must keep its place."""
        tensor = args[0]
        numbers = torch.arange(tensor.numel(), device=tensor.device).view(tensor.shape)
        tried = torch.empty_strided(
            tensor.shape, tensor.stride(), dtype=numbers.dtype, device=tensor.device
        ).copy_(numbers)
        tried = func(tried, *args[1:], **kwargs)
        if tried.shape != numbers.shape or not torch.equal(tried, numbers):
            raise self.refuse(f"{self.name(func)} changes a tensor's shape or order in place")
        return func(*args, **kwargs)

    def _after_write(self, traced: TracedTensor, value: Any, before: Any, varies: bool) -> Any:
        """Record the value that a view's parent has after ``value`` was written to the view."""
        assert traced.view is not None
        assert traced.parent is not None
        func, args, kwargs, _ = traced.view
        like = traced.parent.tensor
        shape, kind = list(like.shape), kind_of(func)
        if kind == "slice" and traced.tensor.shape == like.shape:
            return value  # x[:]
        op: Any = func
        arguments: tuple[Any, ...] = (value, *args)
        if kind in SAME_ORDER:
            op, arguments = ATEN.reshape.default, (value, shape)
        elif kind == "permute":
            dims = [d % len(shape) for d in args[0]]
            arguments = (value, [dims.index(d) for d in range(len(dims))])
        elif kind in ("slice", "select"):
            op = ATEN.slice_scatter.default if kind == "slice" else ATEN.select_scatter.default
            arguments = (before, value, *args)
        elif kind not in ("transpose", "t"):
            raise self.refuse(f"{self.name(func)} returns a view that is written to")
        return Value(self._append(op, arguments, kwargs, like, varies, (like,)))

    def _current(self, traced: TracedTensor) -> Value | Tensor:
        """The value of a tensor, taken anew if its base has been written to since."""
        if traced.parent is None or traced.writes == traced.base.writes:
            return traced.value
        assert traced.view is not None
        func, args, kwargs, item = traced.view
        result = traced.tensor if item is None else [traced.tensor]
        arguments = (self._current(traced.parent), *self._with_values(args))
        varies, parent = traced.base.varies, traced.parent.tensor
        node = self._append(func, arguments, self._with_values(kwargs), result, varies, (parent,))
        traced.value, traced.writes, traced.varies = Value(node, item), traced.base.writes, varies
        return traced.value

    def _append(
        self,
        op: Any,
        args: Any,
        kwargs: Any,
        result: Any,
        varies: bool,
        given: Any,
        length: int = 0,
    ) -> int:
        """Another operation: ``args`` and ``kwargs`` as values, ``given`` the tensors behind them."""
        if len(self.nodes) == MOST_OPERATIONS:
            raise self.refuse(f"it runs more than {MOST_OPERATIONS} operations")
        name = self.name(op)
        if op in VIEWS:  # which a result in another memory layout may refuse
            op = ATEN.reshape.default
        if op is ATEN.squeeze.default:  # which would also remove the dimension of a single image
            op, args = ATEN.reshape.default, (args[0], list(result.shape))
        shapes = tuple(tuple(tensor.shape) for tensor in tensors([result]))
        first = next((tuple(t.shape) for t in tensors(given) if self.varies(t)), ())
        self.nodes.append(Node(op, args, kwargs, shapes, first, length, varies, name))
        return len(self.nodes) - 1

    def _with_values(self, tree: Any) -> Any:
        """Arguments with values in the places of tensors."""

        def of(leaf: Any) -> Any:
            return self._current(self._trace(leaf)) if isinstance(leaf, Tensor) else leaf

        return mapped(tree, of)

    def _trace(self, tensor: Tensor) -> TracedTensor:
        if id(tensor) not in self._traced:
            if self.varies(tensor):
                raise self.refuse("it reaches a tensor's values without an operation")
            self._keep(TracedTensor(tensor, tensor, varies=False))
        return self._traced[id(tensor)]

    def _keep(self, traced: TracedTensor) -> None:
        self._traced[id(traced.tensor)] = traced
        self._storages.setdefault(_storage(traced.tensor), traced)


def _out_of_place(func: Any) -> Any:
    """The operation that returns what an in-place one writes to its first argument; None if there is
    none."""
    name = func._schema.name.removeprefix("aten::")
    written = [a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments]
    if torch.Tag.inplace_view in func.tags or not name.endswith("_") or sum(written) != 1:
        return None
    return getattr(getattr(ATEN, name[:-1], None), func._overloadname, None)


def _length(func: Any, args: Any, result: Any) -> int:
    """Terms in each number of the result, if the operation sums; otherwise 0."""
    kind = func._schema.name
    if kind in ("aten::convolution", "aten::_convolution", "lenetshift::c3_conv", "aten::linear"):
        return int(math.prod(args[1].shape[1:]))
    if kind in ("aten::mm", "aten::bmm"):
        return int(args[0].shape[-1])
    if kind in ("aten::addmm", "aten::baddbmm"):
        return int(args[1].shape[-1])
    if kind == "aten::scaled_dot_product_attention":  # queries x keys, then weights x values
        return int(args[0].shape[-1] + args[1].shape[-2])
    if kind not in REDUCES:
        return 0
    n_terms: int = math.prod(args[0].shape[1:])
    n_results: int = math.prod(tensors([result])[0].shape[1:]) if kind in FEWER else 1
    return n_terms // max(1, n_results)


def oddity(tensor: Tensor) -> str:
    """What sets a tensor apart from dense, real ones; empty for these."""
    if tensor.layout is not torch.strided:
        return str(tensor.layout).removeprefix("torch.").removeprefix("_")
    if tensor.is_quantized:
        return "quantised"
    return "complex" if tensor.is_complex() else ""


def tensors(tree: Any) -> list[Tensor]:
    """The tensors among the leaves of an operation's arguments."""
    return [leaf for leaf in leaves(tree) if isinstance(leaf, Tensor)]


def _storage(tensor: Tensor) -> int:
    return id(tensor) if oddity(tensor) else tensor.untyped_storage()._cdata
