"""A network as a graph of functions, traced by ``torch.fx``, with what each gives for two images.

Tracing and two ordinary runs of the graph, on two and on three images, tell which values are the
images', which are constants, and which are numbers that go with the size of the batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from ..normalize import Normalize
from .geometry import NotShared

MODEL_PREFIX = "model."
"""Where a network with a transform before it keeps the model."""

OUTLINES = {"size", "shape", "dim", "ndim", "numel", "nelement", "dtype", "device", "is_cuda"}
"""What a function may ask of a tensor without looking at its values."""

_tracing = threading.Lock()
"""torch.fx replaces methods of ``nn.Module`` while it traces: one thread at a time."""


class _Tracer(fx.Tracer):
    """torch.fx's tracer, which leaves the modules of other threads alone."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Normalize) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if threading.get_ident() != self.thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if threading.get_ident() != self.thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


class _Recorder(fx.Interpreter):
    """Runs a graph as it stands and keeps every value."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.values: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.values[n] = super().run_node(n)
        return self.values[n]


class Network:
    """A traced network.

    Args:
        model: in eval mode; takes ``[B, C, h, w]``.
        images: ``[3, C, h, w]``, what it is tried on.

    Attributes:
        nodes: its functions in the order in which they run.
        modules: its modules by name.

    Raises:
        NotShared: torch.fx cannot trace it, or it looks at the batch as a whole.
    """

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        """Trace it, and run it twice."""
        try:
            with _tracing:
                graph = _Tracer().trace(model)
        except Exception as error:
            raise NotShared(f"torch.fx cannot trace the network ({first_line(error)})") from error
        module = fx.GraphModule(model, graph)
        self.nodes = list(graph.nodes)
        self.modules = dict(module.named_modules())
        self._two, self._three = (self._record(module, images[:n].clone()) for n in (2, 3))
        self._moving = self._find_moving()
        check_alone(self._two[self.nodes[-1]], self._three[self.nodes[-1]])
        self.last_use = _last_uses(self.nodes)

    @staticmethod
    def _record(module: fx.GraphModule, images: Tensor) -> dict[fx.Node, Any]:
        recorder = _Recorder(module)
        recorder.run(images)
        return recorder.values

    def _find_moving(self) -> set[fx.Node]:
        """The nodes whose values go with the images' pixels."""
        moving: set[fx.Node] = set()
        for node in self.nodes:
            if node.op != "placeholder" and not moving.intersection(node.all_input_nodes):
                continue
            if _has_tensor(self._two[node]):
                moving.add(node)
            elif node.op != "output" and not _tells_outlines(node):
                raise NotShared(f"{name_of(node)} makes a number of the pixels of all its images")
        return moving

    def is_constant(self, node: fx.Node) -> bool:
        """Whether a node's value is the same for all images and all sizes of a batch."""
        two, three = self._two[node], self._three[node]
        return node not in self._moving and _shapes(two) == _shapes(three)

    def constant(self, node: fx.Node) -> Any:
        """Its value."""
        return self._two[node]

    def is_number(self, node: fx.Node) -> bool:
        """Whether a node gives numbers, sizes or the like, no tensors."""
        return not _has_tensor(self._two[node])

    def number(self, node: fx.Node, batch: int) -> Any:
        """What such a node gives for a batch of another size: it goes with it in proportion."""

        def at_batch(two: Any, three: Any) -> Any:
            if isinstance(two, (tuple, list)):
                return type(two)([at_batch(a, b) for a, b in zip(two, three, strict=True)])
            if isinstance(two, bool) or not isinstance(two, (int, float)) or two == three:
                return two
            return two + (three - two) * (batch - 2)

        return at_batch(self._two[node], self._three[node])

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """Of its result for two images; empty unless that is one tensor."""
        value = self._two[node]
        return tuple(value.shape) if isinstance(value, Tensor) else ()


def name_of(node: fx.Node) -> str:
    """What a reader of the model would call a function of it."""
    if node.op != "call_module":
        return node.name
    name = str(node.target).removeprefix(MODEL_PREFIX)
    return name if any(map(str.isalpha, name)) else f"layer {name}"


def check_alone(two: Any, three: Any) -> None:
    """NotShared unless a network answers two images as it does beside a third."""
    if not isinstance(two, Tensor) or not isinstance(three, Tensor) or not two.dim():
        raise NotShared("its output is no tensor with a row for each image")
    if two.shape != three[:2].shape or not agreeing(two, three[:2])[0].all():
        raise NotShared("its answer to an image depends on the other images of the batch")


def agreeing(first: Tensor, second: Tensor) -> tuple[Tensor, float]:
    """Which values of two results differ by no more than rounding, and how much that is."""
    scale = second.nan_to_num(0, 0, 0).abs().max().item() if second.numel() else 0.0
    allowed = tolerance(second) * scale
    return torch.isclose(first, second, rtol=0, atol=allowed, equal_nan=True), allowed


def tolerance(values: Tensor) -> float:
    """Largest difference by rounding, as a fraction of the largest value.

    A thousand units in the last place: each layer sums up to some ten thousand products, whose
    rounding errors grow as the root of their number, and there are ten layers or so.
    """
    tf32 = values.is_cuda and torch.backends.cudnn.allow_tf32 and values.dtype == torch.float32
    return 2**-10 * 8 if tf32 else 1000 * torch.finfo(values.dtype).eps


def first_line(error: Exception) -> str:
    """What an exception says, in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _tells_outlines(node: fx.Node) -> bool:
    """Whether a function looks at a tensor's outlines only."""
    if node.op == "call_method":
        return node.target in OUTLINES
    return node.target is getattr and node.args[1] in OUTLINES


def _last_uses(nodes: list[fx.Node]) -> dict[fx.Node, list[fx.Node]]:
    """For each node those whose values nothing needs after it."""
    last: dict[fx.Node, fx.Node] = {}
    for node in nodes:
        for source in node.all_input_nodes:
            last[source] = node
    uses: dict[fx.Node, list[fx.Node]] = {}
    for source, node in last.items():
        uses.setdefault(node, []).append(source)
    return uses


def _has_tensor(value: Any) -> bool:
    return any(isinstance(leaf, Tensor) for leaf in tree_leaves(value))


def _shapes(value: Any) -> list[Any]:
    return [leaf.shape if isinstance(leaf, Tensor) else leaf for leaf in tree_leaves(value)]
