"""Networks in ONNX files, run by onnxruntime on the CPU."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...checks.errors import UsageError
from .files import check_readable, contents
from .own_code import of_a_person

DTYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
"""The types of an ONNX file's input that images can have."""


class OnnxNetwork(nn.Module):
    """A session of onnxruntime as a module: ``[B, C, h, w]`` to logits ``[B, K]``, on the CPU.

    Args:
        session: an ``onnxruntime.InferenceSession``.
        source: the name of its input.
        target: the name of its output that holds the logits.
        dtype: NumPy's, of its input.

    Attributes:
        sha256: of the file, by which kept answers are recognized; empty if the network has no file.
    """

    not_in_fingerprint = ("session",)
    can_be_sent = False  # to a worker: a session cannot be pickled

    def __init__(self, session: Any, source: str, target: str, dtype: Any) -> None:
        super().__init__()
        self.session, self.source, self.target, self.dtype = session, source, target, dtype
        self.sha256 = ""

    def forward(self, x: Tensor) -> Tensor:
        """Run the session."""
        images = x.numpy().astype(self.dtype, copy=False)
        (logits,) = self.session.run([self.target], {self.source: images})
        return torch.from_numpy(logits)


def load_onnx(option: str, path: Path) -> tuple[nn.Module, int | None]:
    """The network of an ONNX file, and its batch size if the file fixes that, else None.

    Raises:
        UsageError: onnxruntime is missing; the file cannot be read; or it does not have one input for
            images and one output for logits, in one line that begins with ``option``.
    """
    check_readable(option, path)
    try:
        runtime = importlib.import_module("onnxruntime")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{option}: onnxruntime is not installed: `pip install onnxruntime`"
        ) from error
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.log_severity_level = 3  # errors
    with of_a_person(f"{option}: not an ONNX file"):
        session = runtime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        inputs, outputs = session.get_inputs(), session.get_outputs()
    names = [one.name for one in outputs]
    if len(inputs) != 1:
        raise UsageError(f"{option}: has the inputs {_listed(inputs)}, expected one")
    if len(names) > 1 and "logits" not in names:
        raise UsageError(
            f"{option}: has the outputs {_listed(outputs)}, expected one, or one named logits"
        )
    source = inputs[0]
    if len(source.shape) != 4 or source.type not in DTYPES:
        shape = ", ".join(map(str, source.shape))
        raise UsageError(
            f"{option}: takes {source.type} [{shape}], expected floating-point [N, C, H, W]"
        )
    target = "logits" if "logits" in names else names[0]
    batch = source.shape[0]
    module = OnnxNetwork(session, source.name, target, DTYPES[source.type])
    module.sha256 = hashlib.sha256(contents(option, path)).hexdigest()
    return module, batch if isinstance(batch, int) else None


def _listed(several: Any) -> str:
    return ", ".join(one.name for one in several) or "none"
