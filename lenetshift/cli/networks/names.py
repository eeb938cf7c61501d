"""What ``--model`` accepts. This file needs no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LIBRARIES = ("timm", "torchvision")
"""The packages whose networks can be asked for by their names."""

ARCHIVES = {
    **dict.fromkeys((".pt", ".pth", ".ts", ".torchscript"), "torchscript"),
    ".pt2": "exported",
    ".onnx": "onnx",
}
"""The end of a file's name -> the kind of network that the file holds as a whole."""


@dataclass(frozen=True)
class ModelName:
    """A network as ``--model`` names it.

    Attributes:
        kind: ``"code"`` (a Python file or module), one of :data:`LIBRARIES`, or one of the values of
            :data:`ARCHIVES`.
        place: the file or the module; the library's name.
        name: what it is called there; empty for an archive, which holds one network.
    """

    kind: str
    place: str
    name: str = ""

    def __str__(self) -> str:
        """As messages and JSON have it."""
        return f"{self.place}:{self.name}" if self.name else self.place

    @property
    def title(self) -> str:
        """What the network is called in text and figures."""
        return self.name or Path(self.place).name


def model_name(text: str) -> ModelName | None:
    """The network that a text names; None if it names none.

    >>> model_name("net.py:Net")
    ModelName(kind='code', place='net.py', name='Net')
    >>> model_name("timm:resnet18.a1_in1k")
    ModelName(kind='timm', place='timm', name='resnet18.a1_in1k')
    >>> model_name("net.pt2")
    ModelName(kind='exported', place='net.pt2', name='')
    """
    start, _, rest = text.partition(":")
    if start in LIBRARIES and rest:
        return ModelName(start, start, rest)
    if start == "onnx" and rest:
        return ModelName("onnx", rest)
    suffix = Path(text).suffix.lower()
    if suffix in ARCHIVES:
        return ModelName(ARCHIVES[suffix], text)
    place, _, name = text.rpartition(":")
    if place and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name):
        return ModelName("code", place, name)
    return None
