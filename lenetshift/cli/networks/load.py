"""The network that ``--model`` names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ...checks.errors import UsageError
from . import libraries, python_code
from .archives import load_exported, load_torchscript
from .names import LIBRARIES, ModelName
from .onnx_file import load_onnx


@dataclass(frozen=True, eq=False)
class Network:
    """A network that a command was given.

    Attributes:
        module: the network itself.
        title: what it is called in text and figures.
        batch_size: the only number of images that it takes at once; None if it takes any.
    """

    module: nn.Module
    title: str
    batch_size: int | None = None


def load_network(which: ModelName, arguments: Mapping[str, Any] | None = None) -> Network:
    """The network of a name, with random weights unless it has its own. Nothing is downloaded.

    Args:
        which: the network.
        arguments: keyword arguments for the class or function that makes it; None if there are none.

    Raises:
        UsageError: it cannot be made, in one line.
    """
    option = f"argument --model: {which}"
    if which.kind == "code":
        return Network(python_code.load_model(which.place, which.name, arguments), which.title)
    if which.kind in LIBRARIES:
        make = {"timm": libraries.from_timm, "torchvision": libraries.from_torchvision}[which.kind]
        return Network(make(which.name, arguments or {}), which.title)
    if arguments is not None:
        raise UsageError(f"argument --model-args: not with {which}, which holds a finished network")
    load = {"torchscript": load_torchscript, "exported": load_exported, "onnx": load_onnx}
    module, batch_size = load[which.kind](option, Path(which.place))
    return Network(module, which.title, batch_size)
