"""A network's graph in another runtime: OpenVINO or ONNX Runtime, on the CPU, in float32.

``torch.export`` makes a program of the graph, which each runtime's own converter takes. It is made for one
batch size, and for as many threads as PyTorch has then.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ...c3_table import to_dense
from ...checks.describe import dtype_name
from ...checks.text import in_a_line
from .geometry import NotShared
from .graph import Graph, Node, mapped

BatchFunction = Callable[[Tensor], Tensor]
"""Patterns ``[B, C, h, w]``, B always the same -> logits ``[B, K]``."""


@dataclass(frozen=True)
class Runtime:
    """A library that runs networks.

    Attributes:
        title: its name.
        modules: those that must be installed; the extra with the runtime's key names their packages.
        compiled: a program and an example of its input -> a function of such a batch.
    """

    title: str
    modules: tuple[str, ...]
    compiled: Callable[[Any, Tensor], BatchFunction]

    @property
    def is_installed(self) -> bool:
        """Whether its modules can be found."""
        return all(importlib.util.find_spec(name) for name in self.modules)

    def function(self, graph: Graph, example: Tensor) -> BatchFunction:
        """A network as a function of batches as large as ``example``.

        Raises:
            NotShared: the example is not float32 on the CPU, or the network cannot be converted.
        """
        if example.device.type != "cpu":
            raise NotShared(f"{self.title} runs it on the CPU only, not on {example.device}")
        if example.dtype != torch.float32:
            raise NotShared(
                f"{self.title} runs it in float32 only, not in {dtype_name(example.dtype)}"
            )
        try:
            with _quiet():
                program = torch.export.export(_Network(graph), (example,), strict=False)
                run = self.compiled(program, example)
                run(example)
        except Exception as error:
            raise NotShared(f"{self.title} cannot convert it ({in_a_line(error)})") from error
        return run


class _Network(nn.Module):
    """A graph as a module."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        nodes = (_constant(_with_dense_table(node)) for node in graph.nodes)
        self.graph = replace(graph, nodes=tuple(nodes))
        self.training = False

    def forward(self, batch: Tensor) -> Tensor:
        return self.graph.run(batch)


def _constant(node: Node) -> Node:
    """An operation whose own tensors have no gradients, in PyTorch's default layout."""

    def plain(leaf: Any) -> Any:
        return leaf.detach().contiguous() if isinstance(leaf, Tensor) else leaf

    return replace(node, args=mapped(node.args, plain), kwargs=mapped(node.kwargs, plain))


def _with_dense_table(node: Node) -> Node:
    """An ordinary convolution in place of ``c3_conv``, which no other runtime has."""
    if node.kind != "lenetshift::c3_conv":
        return node
    maps, weight, bias, masks = node.args
    n_inputs = node.given[1]
    table = [[c for c in range(n_inputs) if mask >> c & 1] for mask in masks]
    args = (maps, to_dense(weight, table, n_inputs), bias, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    return replace(node, op=torch.ops.aten.convolution.default, args=args, kwargs={})


def _openvino(program: Any, example: Tensor) -> BatchFunction:
    openvino: Any = importlib.import_module("openvino")
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "f32",  # some CPUs would take bfloat16
    }
    model = openvino.convert_model(program)
    model.reshape(list(example.shape))
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    lock = threading.Lock()

    def run(batch: Tensor) -> Tensor:
        with lock:  # the request has one output for all threads
            answer = request.infer(batch.numpy(), share_inputs=True)[0]
            return torch.from_numpy(answer.copy())

    return run


def _onnxruntime(program: Any, example: Tensor) -> BatchFunction:
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    exported: Any = torch.onnx.export(program, (example,), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(
        exported.model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name

    def run(batch: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: batch.numpy()})[0])

    return run


RUNTIMES = {
    "openvino": Runtime("OpenVINO", ("openvino",), _openvino),
    "onnxruntime": Runtime("ONNX Runtime", ("onnx", "onnxscript", "onnxruntime"), _onnxruntime),
}
"""The executors besides PyTorch; the keys are also the names of the package's extras."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what converters print and log of their own insides."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
