"""Runs a network on a few images and records the ATen operations that it is made of.

The network runs as it always does, on ordinary tensors, so that conditions on shapes, optional
arguments, ``isinstance`` and loops mean what they mean in Python. Below it a dispatch mode sees every
operation. In-place operations are recorded as what they do to a value: a write to a view is carried to
its base, and other views of that are taken anew when they are used next. What takes numbers out of a
tensor, so that the network might go another way with other images, is an obstacle.
"""

from __future__ import annotations

import itertools
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from .canvas import contiguous
from .geometry import NotShared
from .graph import IMAGES, Graph, Node, Value, joined, leaves, mapped
from .private import private_copy

ATEN = torch.ops.aten

_READING = """
    numpy tolist __array__ __dlpack__ data_ptr untyped_storage storage _typed_storage __deepcopy__
    __reduce_ex__ share_memory_ set_ resize_
"""
READS_NUMBERS = {getattr(Tensor, name) for name in _READING.split() if hasattr(Tensor, name)}
"""Methods that reach a tensor's numbers without an operation."""

FROM_NUMBERS = (torch.tensor, torch.as_tensor, torch.asarray)
"""They make a tensor of a list of numbers, which may be tensors themselves."""

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
_LAYERS = ("torch.nn.", "lenetshift.normalize")
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
        reads = func in READS_NUMBERS or (func in FROM_NUMBERS and not isinstance(args[0], Tensor))
        if reads and any(self.recorder.is_moving(t) for t in _tensors(args[:1])):
            raise self.recorder.refuse(f"{func.__name__} takes numbers out of a tensor")
        return func(*args, **(kwargs or {}))


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
            NotShared: it is not a tensor that depends on the images.
        """
        if not isinstance(output, Tensor) or not output.dim():
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
            result = func(*args, **kwargs)
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
            if moving:
                raise self.refuse(
                    f"{self._name(func)} makes a number of the pixels of all its images"
                )
            return  # a number of the network's own, an argument of what follows
        if not all(map(_is_ordinary, _tensors(results))):
            raise self.refuse(f"{self._name(func)} makes a tensor that is not an ordinary one")
        node = self._add(func, *values, result, moving, _length(func, args))
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
        """Run an operation that changes how a tensor lies in memory; values and shape must stay."""
        before = args[0].clone()
        result = func(*args, **kwargs)
        if result.shape != before.shape or not torch.equal(result, before):
            raise self.refuse(f"{self._name(func)} makes another tensor of one in its place")
        return result

    def _put_back(self, traced: _Traced, value: Any, before: Any, moving: bool) -> Any:
        """Record the value that a view's parent has after a write to the view."""
        assert traced.view is not None
        assert traced.parent is not None
        func, args, kwargs, _ = traced.view
        shape = list(traced.parent.tensor.shape)
        kind = func._schema.name.removeprefix("aten::")
        if kind == "slice" and traced.tensor.shape == traced.parent.tensor.shape:
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
        return Value(self._add(op, arguments, kwargs, traced.parent.tensor, moving, 0))

    def _current(self, traced: _Traced) -> Value | Tensor:
        """The value of a tensor, taken anew if its base was written to since."""
        if traced.parent is None or traced.writes == traced.base.writes:
            return traced.value
        assert traced.view is not None
        func, args, kwargs, item = traced.view
        result = traced.tensor if item is None else [traced.tensor]
        arguments = (self._current(traced.parent), *self._with_values(args))
        moving = traced.base.moving
        node = self._add(func, arguments, self._with_values(kwargs), result, moving, 0)
        traced.value, traced.writes, traced.moving = Value(node, item), traced.base.writes, moving
        return traced.value

    def _add(self, op: Any, args: Any, kwargs: Any, result: Any, moving: bool, length: int) -> int:
        if op in VIEWS:  # which a result in another memory layout may refuse
            op = ATEN.reshape.default
        if op is ATEN.squeeze.default:  # which would take a single image's dimension, too
            op, args = ATEN.reshape.default, (args[0], list(result.shape))
        shape = tuple(result.shape) if isinstance(result, Tensor) else ()
        self.nodes.append(Node(op, args, kwargs, shape, length, moving, self._name(op)))
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
        """What a reader of the model would call the operation that now runs: the module of PyTorch's
        that runs it, or the operation with the line of the network's code."""
        kind: str = op._schema.name.split("::")[1]
        called = COMMON_NAMES.get(kind, kind.strip("_"))
        frame: FrameType | None = sys._getframe(1)
        line = ""
        while frame is not None and frame.f_code is not _recorded.__code__:
            module = frame.f_locals.get("self") if frame.f_code is _MODULE_CALL else None
            name = self._names.get(id(module))
            if not line and name and type(module).__module__.startswith(_LAYERS):
                return name if any(map(str.isalpha, name)) else f"layer {name}"
            if not line and not frame.f_code.co_filename.startswith(_NOT_THE_NETWORKS):
                file = os.path.basename(frame.f_code.co_filename)
                line = f" ({file}, line {frame.f_lineno})"
            frame = frame.f_back
        return called + line


def record(network: nn.Module, images: Tensor, prefix: str = "") -> Graph:
    """The graph of a network.

    Args:
        network: in eval mode; takes ``[B, C, h, w]``. Copies of it are run.
        images: ``[3, C, h, w]``, different ones.
        prefix: of names of its modules that reasons leave out.

    Raises:
        NotShared: it cannot be recorded, or it looks at its batch as a whole; the message says why.
    """
    nodes_two, value_two, two = _recorded(network, contiguous(images[:2]).clone(), prefix)
    nodes_three, value_three, three = _recorded(network, contiguous(images[[2, 0, 1]]), prefix)
    graph = joined(nodes_two, value_two, nodes_three, value_three)
    _check_alone(graph, two, three[1:])
    return graph


def _recorded(network: nn.Module, images: Tensor, prefix: str) -> tuple[list[Node], Value, Tensor]:
    """One recording: the operations, which result is the output, and the output."""
    copied = private_copy(network)  # a new one each time: some networks count their calls
    names = {id(m): name.removeprefix(prefix) for name, m in copied.named_modules()}
    recorder = _Recorder(images, names)
    try:
        with (
            torch.random.fork_rng(_cuda_devices(images)),
            torch.jit.optimized_execution(False),  # type: ignore[attr-defined]
            _uncompiled(),
            _FunctionMode(recorder),
            recorder,
        ):
            output = copied(images)
    except Exception as error:
        if recorder.obstacle is None:
            raise NotShared(f"it cannot be recorded ({first_line(error)})") from error
    if recorder.obstacle is not None:
        raise recorder.obstacle
    return recorder.nodes, recorder.value_of(output), output


def _check_alone(graph: Graph, two: Tensor, among_three: Tensor) -> None:
    """NotShared unless a network answers two images as it does beside a third."""
    if not agree(two, among_three, graph.rounding(two.dtype)).all():
        raise NotShared("its answer to an image depends on the other images of the batch")


def agree(first: Tensor, second: Tensor, relative: float) -> Tensor:
    """Which values of two results differ by no more than a fraction of the largest."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return torch.zeros((), dtype=torch.bool)
    if not first.is_floating_point():
        return first == second
    scale = second.nan_to_num(0, 0, 0).abs().max().item() if second.numel() else 0.0
    return torch.isclose(first, second, rtol=0, atol=relative * scale, equal_nan=True)


def first_line(error: BaseException) -> str:
    """What an exception says, in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _uncompiled() -> AbstractContextManager[Any]:
    """Compiled functions run as they were written, within."""
    used = "torch._dynamo" in sys.modules  # nobody compiles without it
    return torch.compiler.set_stance("force_eager") if used else nullcontext()


def _cuda_devices(images: Tensor) -> list[torch.device]:
    return [images.device] if images.is_cuda else []


def _twin(func: Any) -> Any:
    """The operation that returns what an in-place one writes to its first argument; None if there is
    none."""
    name = func._schema.name.removeprefix("aten::")
    written = [a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments]
    if torch.Tag.inplace_view in func.tags or not name.endswith("_") or sum(written) != 1:
        return None
    return getattr(getattr(ATEN, name[:-1], None), func._overloadname, None)


def _length(func: Any, args: Any) -> int:
    """Products behind each number of the result, where the operation sums products."""
    kind = func._schema.name
    if kind in ("aten::convolution", "aten::_convolution", "lenetshift::c3_conv", "aten::linear"):
        return int(args[1][0].numel())
    if kind in ("aten::mm", "aten::bmm"):
        return int(args[0].shape[-1])
    return int(args[1].shape[-1]) if kind in ("aten::addmm", "aten::baddbmm") else 0


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
