"""What reasons call an operation or an error: the layer that runs it, or the line of the network's code."""

from __future__ import annotations

import os
import sys
import traceback
from types import CodeType, FrameType
from typing import Any

import torch
from torch import nn

from ...checks.text import in_a_line

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
"""ATen's name of an operation -> the name that people know."""

_MODULE_CALL = nn.Module._call_impl.__code__
_LAYERS = ("torch.nn.", "lenetshift.data.normalize")
_NOT_THE_NETWORKS = tuple(os.path.dirname(file) + os.sep for file in (torch.__file__, __file__))


class Namer:
    """Names the operation that a network is running, from the call stack.

    Args:
        network: its modules are known by their names.
        prefix: left out of these names.
        caller: the code of the function that calls the network, where the search ends.
    """

    def __init__(self, network: nn.Module, prefix: str, caller: CodeType) -> None:
        self._names = {id(m): name.removeprefix(prefix) for name, m in network.named_modules()}
        self._caller = caller

    def operation(self, op: Any) -> str:
        """The PyTorch layer that is running, or the operation with the line of the network's code."""
        layer, line = self._place()
        kind: str = op._schema.name.split("::")[1]
        return layer or COMMON_NAMES.get(kind, kind.strip("_")) + line

    def line(self) -> str:
        """The line of the network's code that is running, to be put after a name."""
        return self._place()[1]

    def _place(self) -> tuple[str, str]:
        """The PyTorch layer that is running, if there is one; otherwise the line of the network's code."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code is not self._caller:
            module = frame.f_locals.get("self") if frame.f_code is _MODULE_CALL else None
            name = self._names.get(id(module))
            if name and type(module).__module__.startswith(_LAYERS):
                return name if any(map(str.isalpha, name)) else f"layer {name}", ""
            if not frame.f_code.co_filename.startswith(_NOT_THE_NETWORKS):
                return "", f" ({os.path.basename(frame.f_code.co_filename)}, line {frame.f_lineno})"
            frame = frame.f_back
        return "", ""


def described(error: BaseException) -> str:
    """An exception in one line, with the line of the network's code that raised it."""
    lines = [(f.f_code.co_filename, n) for f, n in traceback.walk_tb(error.__traceback__)]
    own = [(file, n) for file, n in lines if not file.startswith(_NOT_THE_NETWORKS)]
    where = f" ({os.path.basename(own[-1][0])}, line {own[-1][1]})" if own else ""
    return in_a_line(error) + where
