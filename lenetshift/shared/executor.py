"""One pass of a network over canvases: its graph, function by function, on maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves, tree_map

from . import rules, whole
from .call import Call
from .geometry import Axis, MarginTooSmall, NotShared
from .maps import Map, Tally, windows
from .network import Network, first_line, name_of
from .whole import Flat


@dataclass(frozen=True, eq=False)
class Pass:
    """What a pass over canvases gives.

    Attributes:
        logits: ``[N, n_y, n_x, K]``, in the order of the windows on the canvas.
        spoiled_y: bool ``[N, n_y]``, windows above or below which something else lies than a
            padding puts there: their logits are wrong.
        spoiled_x: bool ``[N, n_x]``, the same to their left and right.
        products: multiply-adds of the convolutions on the canvases.
        plain_products: those of the same windows one by one.
        peak_bytes: most memory that the values held at once.
    """

    logits: Tensor
    spoiled_y: Tensor
    spoiled_x: Tensor
    products: int
    plain_products: int
    peak_bytes: int


def run(network: Network, canvases: Tensor, y: Axis, x: Axis) -> Pass:
    """Run a network on all windows of ``canvases [N, C, height, width]``, which it may write to.

    Raises:
        NotShared: it does something that windows cannot share; the message says what.
        MarginTooSmall: the canvases hold too little around their windows.
    """
    tally = Tally()
    images = Map(canvases, y, x, tally)
    values: dict[fx.Node, Any] = {}
    peak = 0
    for node in network.nodes:
        if node.op == "placeholder":
            values[node] = images
        elif node.op == "output":
            break
        else:
            values[node] = _value(network, node, values, images.rows)
        peak = max(peak, _bytes(values))
        for used in network.last_use.get(node, ()):
            del values[used]
    n = len(canvases)
    logits = whole.taken_apart(values[network.nodes[-1].args[0]])
    if len(logits) != images.rows:
        raise NotShared("it gives no row of numbers for each image")
    spoiled_y, spoiled_x = (
        canvases.new_zeros(n, axis.windows, dtype=torch.bool) if spoiled is None else spoiled
        for axis, spoiled in ((y, tally.spoiled_y), (x, tally.spoiled_x))
    )
    return Pass(
        logits.view(n, y.windows, x.windows, -1),
        spoiled_y,
        spoiled_x,
        tally.products,
        tally.plain_products,
        peak,
    )


def _value(network: Network, node: fx.Node, values: dict[fx.Node, Any], rows: int) -> Any:
    if network.is_number(node):
        return network.number(node, rows)
    if network.is_constant(node):
        return network.constant(node)
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
    try:
        result = _applied(network, node, args, kwargs)
    except NotShared as reason:
        raise NotShared(f"{name_of(node)} {reason}") from reason
    except MarginTooSmall:
        raise
    except Exception as error:
        raise NotShared(f"{name_of(node)} cannot be shared ({first_line(error)})") from error
    return tree_map(_settled, result)


def _applied(network: Network, node: fx.Node, args: Any, kwargs: Any) -> Any:
    """A function's result: by its rule where it is given maps, else as it stands."""
    call = Call(_function(network, node), network.shape(node))
    leaves = tree_leaves((args, kwargs))
    if not any(isinstance(value, (Map, Flat)) for value in leaves):
        return call(*args, **kwargs)
    rule = _rule(network, node)
    maps = any(isinstance(value, Map) for value in leaves)
    if not maps and (rule is None or rule[0] not in rules.TAKES_FLAT):
        return whole.of_windows(call, *args, **kwargs)
    if rule is None:
        raise NotShared("cannot be shared between windows")
    function, settings = rule
    return function(call, *args, *settings, **kwargs)


def _function(network: Network, node: fx.Node) -> Callable[..., Any]:
    if node.op == "call_module":
        module: nn.Module = network.modules[str(node.target)]
        return module
    if node.op == "call_method":
        name = str(node.target)
        return lambda self, *args, **kwargs: getattr(self, name)(*args, **kwargs)
    assert callable(node.target)
    return node.target


def _rule(network: Network, node: fx.Node) -> rules.Bound | None:
    if node.op == "call_module":
        return rules.of_module(network.modules[str(node.target)])
    if node.op == "call_method":
        rule = rules.NAMES.get(str(node.target).rstrip("_"))
    else:
        rule = rules.FUNCTIONS.get(node.target)
    return rule and (rule, ())


def _settled(value: Any) -> Any:
    """A map whose windows are one place each, as a row for each of them."""
    single = isinstance(value, Map) and value.y.size == value.x.size == 1
    return windows(value) if single else value


def _bytes(values: dict[fx.Node, Any]) -> int:
    """Memory behind all values, that of views once."""
    tensors = (
        getattr(getattr(v, "map", v), "tensor", v) for v in tree_leaves(list(values.values()))
    )
    storages = (t.untyped_storage() for t in tensors if isinstance(t, Tensor))
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
