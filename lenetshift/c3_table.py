"""LeNet-5's C3 connection table, and its weights in sparse and dense form.

Each map of the third layer (C3) sees only some maps of the second (S2): 60 of the 96 possible
connections. The table is Table I of Y. LeCun, L. Bottou, Y. Bengio, P. Haffner,
"Gradient-Based Learning Applied to Document Recognition", Proc. IEEE 86(11), 1998.

Sparse weights, ``[n_connections, 5, 5]``, hold one 5x5 kernel per connection, ordered by output map,
then by ascending input map. Dense weights, ``[n_outputs, n_inputs, 5, 5]``, are those of
``torch.nn.Conv2d``.

>>> from lenetshift.c3_table import C3_TABLE, n_connections, table_masks
>>> len(C3_TABLE), C3_TABLE[0], n_connections(C3_TABLE)
(16, (0, 1, 2), 60)
>>> bin(table_masks(C3_TABLE)[0])
'0b111'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .checks.errors import ArgumentError
from .checks.numbers import check_int, is_int
from .checks.types import check_type

Table = Sequence[Sequence[int]]
"""For each output map, the input maps that it sees, in ascending order."""

MAX_INPUTS = 62
"""Most input maps that a table may have: masks, and 1 beyond the last bit, are positive int64."""

C3_TABLE: tuple[tuple[int, ...], ...] = (
    (0, 1, 2),  # three neighbours (cyclic)
    (1, 2, 3),
    (2, 3, 4),
    (3, 4, 5),
    (0, 4, 5),
    (0, 1, 5),
    (0, 1, 2, 3),  # four neighbours (cyclic)
    (1, 2, 3, 4),
    (2, 3, 4, 5),
    (0, 3, 4, 5),
    (0, 1, 4, 5),
    (0, 1, 2, 5),
    (0, 1, 3, 4),  # two pairs
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),  # all
)
"""The S2 maps that each of the 16 C3 maps sees (LeCun et al. 1998, Table I)."""


def table_masks(table: Table) -> list[int]:
    """One int per output map, with bit ``c`` set if it sees input map ``c``: the form that the ops take.

    Raises:
        ValueError: an output map has no inputs, or inputs that do not ascend or are outside 0..61.
    """
    check_type("table", table, Sequence)
    for output, inputs in enumerate(table):
        check_type(f"table[{output}]", inputs, Sequence)
        if not inputs or not all(map(is_int, inputs)) or list(inputs) != sorted(set(inputs)):
            raise ArgumentError(
                f"table[{output}]", str(tuple(inputs)), "one or more ascending input maps"
            )
        if inputs[0] < 0 or inputs[-1] >= MAX_INPUTS:
            raise ArgumentError(
                f"table[{output}]", str(tuple(inputs)), f"input maps in 0..{MAX_INPUTS - 1}"
            )
    return [sum(1 << int(c) for c in inputs) for inputs in table]


def n_connections(table: Table) -> int:
    """Number of (output map, input map) pairs in the table; 60 for ``C3_TABLE``."""
    return sum(len(inputs) for inputs in table)


def to_dense(weight: Tensor, table: Table, n_inputs: int) -> Tensor:
    """The dense form of a sparse weight, 0 where the table has no connection.

    Args:
        weight: ``[n_connections(table), k, m]``, any dtype; 5 x 5 in LeNet-5. Gradients flow through.
        table: its connections.
        n_inputs: number of input maps, larger than every index in the table.

    Returns:
        ``[len(table), n_inputs, k, m]``, dtype and device of ``weight``.

    Raises:
        ValueError: a malformed table, or a weight or ``n_inputs`` that does not fit it.
    """
    check_type("weight", weight, Tensor)
    outputs, inputs = _connections(table)
    least = max(inputs, default=-1) + 1
    n_inputs = check_int("n_inputs", n_inputs, least)
    if weight.dim() != 3 or len(weight) != len(inputs):
        raise ArgumentError(
            "weight",
            f"shape {list(weight.shape)}",
            f"[{len(inputs)}, 5, 5], one kernel per connection of the table",
        )
    dense = weight.new_zeros(len(table), n_inputs, *weight.shape[1:])
    dense[outputs, inputs] = weight
    return dense


def from_dense(weight: Tensor, table: Table) -> Tensor:
    """The sparse form of a dense weight; kernels without a connection in the table are dropped.

    Args:
        weight: ``[len(table), n_inputs, 5, 5]``, any dtype. Gradients flow through.
        table: the connections to keep.

    Returns:
        A new tensor ``[n_connections(table), 5, 5]``, dtype and device of ``weight``.

    Raises:
        ValueError: a malformed table, or a weight that does not fit it.
    """
    check_type("weight", weight, Tensor)
    outputs, inputs = _connections(table)
    least = max(inputs, default=-1) + 1
    if weight.dim() != 4 or len(weight) != len(table) or weight.shape[1] < least:
        raise ArgumentError(
            "weight",
            f"shape {list(weight.shape)}",
            f"[{len(table)}, n_inputs, 5, 5] with n_inputs >= {least}",
        )
    return weight[outputs, inputs]


def to_masked_dense(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """LeNet-5's weights for a model whose C3 is an ordinary convolution.

    Args:
        state_dict: that of a :class:`~lenetshift.LeNet5`, with ``c3.weight`` ``[60, 5, 5]``.

    Returns:
        A state dict with ``c3.weight`` ``[16, 6, 5, 5]``, 0 where ``C3_TABLE`` has no connection, and
        all other tensors as given. It fits :class:`~lenetshift.SymmetricLeNet5`, and any model
        of ``nn.Conv2d`` and ``nn.Linear`` with the same names.

    Raises:
        ValueError: no ``c3.weight``, or one of another shape.

    >>> import lenetshift
    >>> weights = lenetshift.build_model("lenet5", seed=0).state_dict()
    >>> dense = lenetshift.to_masked_dense(weights)
    >>> dense["c3.weight"].shape
    torch.Size([16, 6, 5, 5])
    >>> lenetshift.SymmetricLeNet5().load_state_dict(dense)
    <All keys matched successfully>
    """
    weight = _c3_weight(state_dict, [60, 5, 5])
    return {**state_dict, "c3.weight": to_dense(weight, C3_TABLE, 6)}


def from_masked_dense(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`to_masked_dense`: weights for a :class:`~lenetshift.LeNet5`.

    Args:
        state_dict: with ``c3.weight`` ``[16, 6, 5, 5]``, 0 where ``C3_TABLE`` has no connection.

    Returns:
        A state dict with ``c3.weight`` ``[60, 5, 5]`` and all other tensors as given.

    Raises:
        ValueError: no ``c3.weight``, one of another shape, or one that is not 0 where the table has
            no connection: LeNet-5 cannot hold it.

    >>> import lenetshift
    >>> weights = lenetshift.build_model("lenet5", seed=0).state_dict()
    >>> back = lenetshift.from_masked_dense(lenetshift.to_masked_dense(weights))
    >>> back["c3.weight"].equal(weights["c3.weight"])
    True
    """
    dense = _c3_weight(state_dict, [16, 6, 5, 5])
    weight = from_dense(dense, C3_TABLE)
    connected = to_dense(torch.ones_like(weight), C3_TABLE, 6) != 0
    n_nonzero = int(dense[~connected].count_nonzero())
    if n_nonzero:
        raise ArgumentError(
            "c3.weight", f"{n_nonzero} non-zero values where C3_TABLE has no connection", "0"
        )
    return {**state_dict, "c3.weight": weight}


def _c3_weight(state_dict: Mapping[str, Tensor], shape: list[int]) -> Tensor:
    check_type("state_dict", state_dict, Mapping)
    if "c3.weight" not in state_dict:
        raise ArgumentError("state_dict", "no c3.weight", f"one of shape {shape}")
    weight = state_dict["c3.weight"]
    check_type("c3.weight", weight, Tensor)
    if list(weight.shape) != shape:
        raise ArgumentError("c3.weight", f"shape {list(weight.shape)}", str(shape))
    return weight


def _connections(table: Table) -> tuple[list[int], list[int]]:
    """Output map and input map of every connection, in the order of the sparse weights."""
    table_masks(table)
    pairs = [(output, c) for output, inputs in enumerate(table) for c in inputs]
    return [output for output, _ in pairs], [c for _, c in pairs]
