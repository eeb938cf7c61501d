"""Runs a network on a few images and records the ATen operations that it is made of.

The network runs as it always does, on ordinary tensors, so that conditions on shapes, optional
arguments, ``isinstance`` and loops mean what they mean in Python. Below it a dispatch mode sees every
operation. In-place operations are recorded as what they do to a value: a write to a view is carried to
its base, and other views of that are taken anew when they are used next. What takes numbers out of a
tensor, so that the network might go another way with other images, is an obstacle.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import traceback
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ...checks.text import in_a_line
from .canvas import contiguous
from .geometry import NotShared
from .graph import (
    IMAGES,
    Graph,
    Node,
    Value,
    kind_of,
    leaves,
    mapped,
)
from .joining import Recording, joined
from .private import private_copy

ATEN = torch.ops.aten

_READING = """
    numpy tolist __array__ __dlpack__ data_ptr untyped_storage storage _typed_storage __deepcopy__
    __reduce_ex__ __repr__ __format__ share_memory_ set_ resize_ apply_ map_ map2_
"""
READS_NUMBERS = {getattr(Tensor, name) for name in _READING.split() if hasattr(Tensor, name)}
"""Methods that reach a tensor's numbers without an operation."""

FROM_NUMBERS = (torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor)
"""They make a tensor of a list of numbers, which may be tensors themselves."""

SPLITS = (torch.tensor_split, Tensor.tensor_split)
"""They read where to split from a tensor, past all modes."""

ASKS_NO_NUMBERS = {"is_pinned", "is_same_size", "is_set_to", "_has_same_storage_numel"}
"""Operations that give a number, but not of the pixels."""

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

SHAPES = {"view", "_unsafe_view", "unsqueeze", "squeeze", "alias", "detach", "lift_fresh"}
"""Views of all values in their order."""

COMMON_NAMES = {
    "convolution": "conv2d",
    "_convolution": "conv2d",
    "constant_pad_nd": "pad",
    "max_pool2d_with_indices": "max_pool2d",
    "_adaptive_avg_pool2d": "adaptive_avg_pool2d",
    "native_batch_norm": "batch_norm",
    "native_group_norm": "group_norm",
    "native_layer_norm": "layer_norm",
    "_local_scalar_dense": "item",
    "addmm": "linear",
    "reshape": "view",
}
"""What people call operations of ATen's."""

_MODULE_CALL = nn.Module._call_impl.__code__
_LAYERS = ("torch.nn.", "lenetshift.data.normalize")
_NOT_THE_NETWORKS = tuple(os.path.dirname(file) + os.sep for file in (torch.__file__, __file__))


@dataclass(eq=False)
class _Traced:
    """A tensor of the network's that was met, and which value it stands for.

    Attributes:
        tensor: it; kept, so that its id stays its own.
        value: its value when it was last used: a result, or the tensor itself where it is a constant.
        parent: what it is a view of; None for a base.
        view: the operation, its arguments after the parent, and which result.
        writes: to the base, so many at that time; of a base, so many in all.
        moving: whether its value depends on the pixels.
    """

    tensor: Tensor
    value: Value | Tensor
    moving: bool
    parent: _Traced | None = None
    view: tuple[Any, tuple[Any, ...], dict[str, Any], int | None] | None = None
    writes: int = 0

    @property
    def base(self) -> _Traced:
        return self.chain[-1]

    @property
    def chain(self) -> list[_Traced]:
        """Itself, what it is a view of, and so on to the base."""
        chain = [self]
        while chain[-1].parent is not None:
            chain.append(chain[-1].parent)
        return chain


class _FunctionMode(TorchFunctionMode):
    """Refuses what reaches a tensor's numbers without an operation."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func == Tensor.data.__get__:  # type: ignore[attr-defined]
            return args[0].detach()
        if func == Tensor.data.__set__:  # type: ignore[attr-defined]
            raise self.recorder.refuse("it replaces the values of a tensor")
        kwargs = kwargs or {}
        read: Any = ()
        if func in READS_NUMBERS:
            read = args[:1]
        elif func in FROM_NUMBERS:
            read = [a for a in (*args, kwargs.get("data")) if not isinstance(a, Tensor)]
        elif func in SPLITS:
            read = (*args[1:], *kwargs.values())
        if any(self.recorder.is_moving(t) for t in _tensors(read)):
            name = func.__name__.strip("_") + self.recorder.line()
            raise self.recorder.refuse(f"{name} takes numbers out of a tensor")
        return func(*args, **kwargs)


class _Recorder(TorchDispatchMode):
    """Records operations.

    Args:
        images: what the network is given.
        names: of the network's modules, by id.

    Attributes:
        nodes: the operations so far.
        obstacle: why the network cannot be recorded; kept, since a network may catch the exception.
    """

    def __init__(self, images: Tensor, names: dict[int, str]) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.obstacle: NotShared | None = None
        self._names = names
        self._met: dict[int, _Traced] = {}
        self._storages: dict[int, _Traced] = {}
        self._keep(_Traced(images, IMAGES, moving=True))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to mark the mode for the compiler imports that, which takes a second."""
        return False

    def refuse(self, reason: str) -> NotShared:
        """Note an obstacle; to be raised."""
        self.obstacle = self.obstacle or NotShared(reason)
        return self.obstacle

    def is_moving(self, tensor: Tensor) -> bool:
        """Whether a tensor's values depend on the pixels."""
        met = self._met.get(id(tensor)) or self._storages.get(_storage(tensor))
        return met is not None and met.base.moving

    def value_of(self, output: Any) -> Value:
        """What the network returned.

        Raises:
            NotShared: it is not a tensor with two dimensions that depends on the images.
        """
        if not isinstance(output, Tensor) or output.dim() != 2:
            raise NotShared("its output is not a tensor with a row for each image")
        value = self._current(self._traced(output))
        if not isinstance(value, Value) or not self.is_moving(output):
            raise NotShared("its output does not depend on the images")
        return value

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and record it."""
        kwargs = kwargs or {}
        if self.obstacle:
            return func(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            self._check(func, types, args, kwargs)
            if func._schema.is_mutable:
                return self._written(func, args, kwargs)
            versions = [t._version for t in _tensors((args, kwargs))]
            result = func(*args, **kwargs)
            if versions != [t._version for t in _tensors((args, kwargs))]:
                raise self.refuse(f"{self._name(func)} writes to a tensor without saying so")
            self._record(func, args, kwargs, result)
        return result

    def _check(self, func: Any, types: Any, args: Any, kwargs: Any) -> None:
        if any(kind not in (Tensor, nn.Parameter) for kind in types):
            raise self.refuse("it computes with tensors of a class of its own")
        for tensor in _tensors((args, kwargs)):
            if not _is_ordinary(tensor):
                raise self.refuse(f"{self._name(func)} takes a tensor that is {_oddity(tensor)}")
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise self.refuse(f"{self._name(func)} draws random numbers")
        if _has_dynamic_shape(func, args) and any(map(self.is_moving, _tensors((args, kwargs)))):
            raise self.refuse(f"{self._name(func)} gives a shape that depends on the pixels")

    def _record(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        """Record an operation without side effects, and meet its results."""
        values = self._with_values(args), self._with_values(kwargs)
        traced = [self._traced(tensor) for tensor in _tensors((args, kwargs))]
        moving = any(one.base.moving for one in traced)
        several = isinstance(result, (tuple, list))
        results = list(result) if several else [result]
        if not all(isinstance(one, Tensor) or one is None for one in results):
            if moving and kind_of(func) not in ASKS_NO_NUMBERS:
                raise self.refuse(
                    f"{self._name(func)} makes a number of the pixels of all its images"
                )
            return  # a number of the network's own, an argument of what follows
        if not all(map(_is_ordinary, _tensors(results))):
            raise self.refuse(f"{self._name(func)} makes a tensor that is not an ordinary one")
        node = self._add(func, *values, result, moving, args, _length(func, args, result))
        for k, one in enumerate(results):
            if not isinstance(one, Tensor) or id(one) in self._met:
                continue
            item = k if several else None
            kept = _Traced(one, Value(node, item), moving)
            parent = next((t for t in traced if _storage(t.tensor) == _storage(one)), None)
            if parent is not None:
                kept.parent, kept.writes = parent, parent.base.writes
                kept.view = (func, args[1:], kwargs, item)
            self._keep(kept)

    def _written(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an in-place operation as its twin that returns what it would write."""
        twin, target = _twin(func), args[0] if args else None
        if torch.Tag.inplace_view in func.tags and isinstance(target, Tensor):
            return self._laid_out(func, args, kwargs)
        if twin is None or not isinstance(target, Tensor):
            raise self.refuse(f"{self._name(func)} writes to a tensor in a way that is not known")
        chain = self._traced(target).chain
        if isinstance(chain[-1].value, Tensor):
            raise self.refuse(f"{self._name(func)} changes a tensor of the network's own")
        result = twin(*args, **kwargs)
        self._record(twin, args, kwargs, result)
        if result.dtype != target.dtype:
            source, result = result, result.to(target.dtype)
            self._record(ATEN._to_copy.default, (source,), {"dtype": target.dtype}, result)
        if result.shape != target.shape:
            raise self.refuse(f"{self._name(func)} writes values of another shape")
        moving = chain[-1].moving or self._traced(result).base.moving
        value = self._current(self._traced(result))
        for view, parent in itertools.pairwise(chain):
            before = self._current(parent)
            view.value, value = value, self._put_back(view, value, before, moving)
        chain[-1].value = value
        for traced in chain:
            traced.writes, traced.moving = chain[-1].writes + (traced is not chain[-1]), moving
        chain[-1].writes += 1
        target.copy_(result)
        return target

    def _laid_out(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operation that changes how a tensor lies in memory; every value must keep its place."""
        tensor = args[0]
        numbers = torch.arange(tensor.numel(), device=tensor.device).view(tensor.shape)
        tried = torch.empty_strided(
            tensor.shape, tensor.stride(), dtype=numbers.dtype, device=tensor.device
        ).copy_(numbers)
        tried = func(tried, *args[1:], **kwargs)
        if tried.shape != numbers.shape or not torch.equal(tried, numbers):
            raise self.refuse(f"{self._name(func)} makes another tensor of one in its place")
        return func(*args, **kwargs)

    def _put_back(self, traced: _Traced, value: Any, before: Any, moving: bool) -> Any:
        """Record the value that a view's parent has after a write to the view."""
        assert traced.view is not None
        assert traced.parent is not None
        func, args, kwargs, _ = traced.view
        like = traced.parent.tensor
        shape, kind = list(like.shape), kind_of(func)
        if kind == "slice" and traced.tensor.shape == like.shape:
            return value  # x[:]
        op: Any = func
        arguments: tuple[Any, ...] = (value, *args)
        if kind in SHAPES:
            op, arguments = ATEN.reshape.default, (value, shape)
        elif kind == "permute":
            dims = [d % len(shape) for d in args[0]]
            arguments = (value, [dims.index(d) for d in range(len(dims))])
        elif kind in ("slice", "select"):
            op = ATEN.slice_scatter.default if kind == "slice" else ATEN.select_scatter.default
            arguments = (before, value, *args)
        elif kind not in ("transpose", "t"):
            raise self.refuse(f"{self._name(func)} gives a view that is written to")
        return Value(self._add(op, arguments, kwargs, like, moving, (like,)))

    def _current(self, traced: _Traced) -> Value | Tensor:
        """The value of a tensor, taken anew if its base was written to since."""
        if traced.parent is None or traced.writes == traced.base.writes:
            return traced.value
        assert traced.view is not None
        func, args, kwargs, item = traced.view
        result = traced.tensor if item is None else [traced.tensor]
        arguments = (self._current(traced.parent), *self._with_values(args))
        moving, parent = traced.base.moving, traced.parent.tensor
        node = self._add(func, arguments, self._with_values(kwargs), result, moving, (parent,))
        traced.value, traced.writes, traced.moving = Value(node, item), traced.base.writes, moving
        return traced.value

    def _add(
        self,
        op: Any,
        args: Any,
        kwargs: Any,
        result: Any,
        moving: bool,
        given: Any,
        length: int = 0,
    ) -> int:
        """Another operation: ``args`` and ``kwargs`` as values, ``given`` the tensors behind them."""
        if len(self.nodes) == MOST_OPERATIONS:
            raise self.refuse(f"it runs more than {MOST_OPERATIONS} operations")
        name = self._name(op)
        if op in VIEWS:  # which a result in another memory layout may refuse
            op = ATEN.reshape.default
        if op is ATEN.squeeze.default:  # which would take a single image's dimension, too
            op, args = ATEN.reshape.default, (args[0], list(result.shape))
        shapes = tuple(tuple(tensor.shape) for tensor in _tensors([result]))
        first = next((tuple(t.shape) for t in _tensors(given) if self.is_moving(t)), ())
        self.nodes.append(Node(op, args, kwargs, shapes, first, length, moving, name))
        return len(self.nodes) - 1

    def _with_values(self, tree: Any) -> Any:
        """Arguments with values in the places of tensors."""

        def of(leaf: Any) -> Any:
            return self._current(self._traced(leaf)) if isinstance(leaf, Tensor) else leaf

        return mapped(tree, of)

    def _traced(self, tensor: Tensor) -> _Traced:
        if id(tensor) not in self._met:
            if self.is_moving(tensor):
                raise self.refuse("it reaches the numbers of a tensor without an operation")
            self._keep(_Traced(tensor, tensor, moving=False))
        return self._met[id(tensor)]

    def _keep(self, traced: _Traced) -> None:
        self._met[id(traced.tensor)] = traced
        self._storages.setdefault(_storage(traced.tensor), traced)

    def _name(self, op: Any) -> str:
        """What a reader of the model would call the operation that now runs: the layer of PyTorch's that
        runs it, or the operation with the line of the network's code."""
        layer, line = self._place()
        kind: str = op._schema.name.split("::")[1]
        return layer or COMMON_NAMES.get(kind, kind.strip("_")) + line

    def line(self) -> str:
        """The line of the network's code that now runs, to be put behind a name."""
        return self._place()[1]

    def _place(self) -> tuple[str, str]:
        """The layer of PyTorch's that now runs, if one does; else the line of the network's code."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code is not _recorded.__code__:
            module = frame.f_locals.get("self") if frame.f_code is _MODULE_CALL else None
            name = self._names.get(id(module))
            if name and type(module).__module__.startswith(_LAYERS):
                return name if any(map(str.isalpha, name)) else f"layer {name}", ""
            if not frame.f_code.co_filename.startswith(_NOT_THE_NETWORKS):
                return "", f" ({os.path.basename(frame.f_code.co_filename)}, line {frame.f_lineno})"
            frame = frame.f_back
        return "", ""


def record(network: nn.Module, images: Tensor, prefix: str = "") -> Graph:
    """The graph of a network.

    Args:
        network: in eval mode; takes ``[B, C, h, w]``. Copies of it are run.
        images: ``[3, C, h, w]``, different ones.
        prefix: of names of its modules that reasons leave out.

    Raises:
        NotShared: it cannot be recorded, or it looks at its batch as a whole; the message says why.
    """
    pair, other = contiguous(images[:2]).clone(), contiguous(2 - 5 * images[[1, 2]])
    two, answers = _recorded(network, pair, prefix)
    other_pixels, _ = _recorded(network, other, prefix)
    three, among_three = _recorded(network, contiguous(images[[2, 0, 1]]), prefix)
    graph = joined(two, other_pixels, three)
    _check_alone(graph, answers, among_three[1:])
    return graph


def _recorded(network: nn.Module, images: Tensor, prefix: str) -> tuple[Recording, Tensor]:
    """One recording, and what the network returned."""
    copied = private_copy(network)  # a new one each time: some networks count their calls
    names = {id(m): name.removeprefix(prefix) for name, m in copied.named_modules()}
    recorder = _Recorder(images, names)
    before = _simple_attributes(copied)
    try:
        with torch.jit.optimized_execution(False), _FunctionMode(recorder), recorder:  # type: ignore[attr-defined]
            output = copied(images)
    except Exception as error:
        if recorder.obstacle is None:
            raise NotShared(f"it cannot be recorded: {what_happened(error)}") from error
    if recorder.obstacle is not None:
        raise recorder.obstacle
    changed = {key for key, value in _simple_attributes(copied).items() if before.get(key) != value}
    if changed:
        raise NotShared(f"it changes its attribute {min(changed)} when it is called")
    return Recording(recorder.nodes, recorder.value_of(output)), output


def _simple_attributes(network: nn.Module) -> dict[str, Any]:
    """The numbers and flags that a network's modules hold, by name."""
    return {
        f"{prefix}.{name}".lstrip("."): value
        for prefix, module in network.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, (bool, int, float, str))
    }


def _check_alone(graph: Graph, two: Tensor, among_three: Tensor) -> None:
    """NotShared unless a network answers two images as it does beside a third."""
    if not agree(two, among_three, graph.rounding(two.dtype)).all():
        raise NotShared("its answer to an image depends on the other images of the batch")


def agree(first: Tensor, second: Tensor, relative: float) -> Tensor:
    """Which logits ``[n, K]`` of two results differ by rounding only: by a fraction of themselves, or of what
    is large among the pattern's and among all. A column that is the same for all patterns, such as a class
    that is masked by -1e9, is not large for the others.
    """
    if first.shape != second.shape or first.dtype != second.dtype:
        return torch.zeros((), dtype=torch.bool)
    if not first.is_floating_point():
        return first == second
    first, second = first.double(), second.double()
    size = second.nan_to_num(0, 0, 0).abs()
    vary = (
        (second != second[:1]).flatten(1).any(0)
        if len(second) > 1
        else size.new_ones(size[0].numel()) > 0
    )
    large = size.flatten(1)[:, vary] if vary.any() else size.flatten(1)
    if not large.numel():
        return first == second
    usual = large.quantile(0.75) if large.numel() < 1 << 20 else large.max()
    allowed = relative * torch.maximum(size, large.amax(1, keepdim=True).clamp(max=4 * usual))
    allowed = allowed.maximum(relative * usual)
    return (
        ((first - second).abs() <= allowed) | (first == second) | (first.isnan() & second.isnan())
    )


def what_happened(error: BaseException) -> str:
    """An exception in one line, with the line of the network's code where it was raised."""
    lines = [(f.f_code.co_filename, n) for f, n in traceback.walk_tb(error.__traceback__)]
    own = [(file, n) for file, n in lines if not file.startswith(_NOT_THE_NETWORKS)]
    where = f" ({os.path.basename(own[-1][0])}, line {own[-1][1]})" if own else ""
    return in_a_line(error) + where


def _twin(func: Any) -> Any:
    """The operation that returns what an in-place one writes to its first argument; None if there is
    none."""
    name = func._schema.name.removeprefix("aten::")
    written = [a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments]
    if torch.Tag.inplace_view in func.tags or not name.endswith("_") or sum(written) != 1:
        return None
    return getattr(getattr(ATEN, name[:-1], None), func._overloadname, None)


def _length(func: Any, args: Any, result: Any) -> int:
    """Terms behind each number of the result, where the operation sums."""
    kind = func._schema.name
    if kind in ("aten::convolution", "aten::_convolution", "lenetshift::c3_conv", "aten::linear"):
        return int(math.prod(args[1].shape[1:]))
    if kind in ("aten::mm", "aten::bmm"):
        return int(args[0].shape[-1])
    if kind in ("aten::addmm", "aten::baddbmm"):
        return int(args[1].shape[-1])
    if kind not in REDUCES:
        return 0
    results = _tensors([result])
    n_terms: int = math.prod(args[0].shape[1:])
    n_results: int = math.prod(results[0].shape[1:]) if kind in FEWER else 1
    return n_terms // max(1, n_results)


def _has_dynamic_shape(func: Any, args: Any) -> bool:
    if func._schema.name == "aten::index":  # by numbers it has the shape of these
        return any(isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in args[1])
    return torch.Tag.dynamic_output_shape in func.tags


def _is_ordinary(tensor: Tensor) -> bool:
    return not _oddity(tensor)


def _oddity(tensor: Tensor) -> str:
    """What sets a tensor apart from dense, real ones."""
    if tensor.layout is not torch.strided:
        return str(tensor.layout).removeprefix("torch.").removeprefix("_")
    if tensor.is_quantized:
        return "quantised"
    return "complex" if tensor.is_complex() else ""


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in leaves(tree) if isinstance(leaf, Tensor)]


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata if _is_ordinary(tensor) else id(tensor)
