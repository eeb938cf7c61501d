"""How each peer runs a model: ``make(model, batch_size)`` gives ``run(patterns) -> logits``.

``patterns`` is a float32 ``[n, 1, 28, 28]`` in 0..1, translated and converted in advance, n a
multiple of the batch size; batches are views of it. Every peer computes in float32 (OpenVINO would
take bfloat16 by itself on some CPUs, cuDNN TF32), has as many threads as we, knows its batch size
in advance, and stops at the logits: finding the largest of ten is not in its time.
"""

from __future__ import annotations

import functools
import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Run = Callable[[Tensor], Tensor]
Make = Callable[[nn.Module, int], Run]


def eager(model: nn.Module, batch_size: int) -> Run:
    """Plain PyTorch."""

    @torch.inference_mode()
    def run(patterns: Tensor) -> Tensor:
        return torch.cat([model(batch) for batch in patterns.split(batch_size)])

    return run


def compiled(model: nn.Module, batch_size: int) -> Run:
    """torch.compile for this one shape, with frozen weights so that it can change their layout."""
    options = {"freezing": True} if next(model.parameters()).device.type == "cpu" else None
    return eager(torch.compile(model, fullgraph=True, dynamic=False, options=options), batch_size)


def cuda_graph(model: nn.Module, batch_size: int) -> Run:
    """Plain PyTorch on a GPU, all batches captured once and replayed as one CUDA graph."""
    run_eagerly = eager(model, batch_size)
    graphs: dict[tuple[int, torch.Size], Callable[[], Tensor]] = {}

    def run(patterns: Tensor) -> Tensor:
        memory = patterns.data_ptr(), patterns.shape
        if memory not in graphs:
            graphs[memory] = capture(lambda: run_eagerly(patterns))
        return graphs[memory]()

    return run


def onnxruntime(model: nn.Module, batch_size: int) -> Run:
    """ONNX Runtime, its graph optimised for this one shape."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_free_dimension_override_by_name("batch", batch_size)
    session = ort.InferenceSession(onnx_model(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(patterns: Tensor) -> Tensor:
        batches = patterns.split(batch_size)
        return _joined([session.run(None, {name: batch.numpy()})[0] for batch in batches])

    return run


def openvino(model: nn.Module, batch_size: int) -> Run:
    """OpenVINO, one batch after the other, all threads on each."""
    request = _openvino_model(model, batch_size, "LATENCY").create_infer_request()

    def run(patterns: Tensor) -> Tensor:
        logits = []
        for batch in patterns.split(batch_size):
            answer = request.infer(batch.numpy(), share_inputs=True)[0]
            logits.append(answer.copy())  # the request overwrites it
        return _joined(logits)

    return run


def openvino_streams(model: nn.Module, batch_size: int) -> Run:
    """OpenVINO, a stream of batches on each thread; with as many concurrent requests as it recommends."""
    compiled_model = _openvino_model(model, batch_size, "THROUGHPUT")
    n_requests = compiled_model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    requests = [compiled_model.create_infer_request() for _ in range(n_requests)]

    def run(patterns: Tensor) -> Tensor:
        batches = [batch.numpy() for batch in patterns.split(batch_size)]
        logits = []

        def collect(index: int) -> None:
            request = requests[index % n_requests]
            request.wait()
            logits.append(request.get_output_tensor(0).data.copy())

        for index, batch in enumerate(batches):
            if index >= n_requests:
                collect(index - n_requests)
            requests[index % n_requests].start_async(batch, share_inputs=True)
        for index in range(max(0, len(batches) - n_requests), len(batches)):
            collect(index)
        return _joined(logits)

    return run


def _openvino_model(model: nn.Module, batch_size: int, hint: str) -> Any:
    import openvino as ov

    graph = ov.Core().read_model(onnx_model(model))
    graph.reshape([batch_size, 1, 28, 28])
    settings = {
        "PERFORMANCE_HINT": hint,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "f32",
    }
    return ov.Core().compile_model(graph, "CPU", settings)


@functools.lru_cache(maxsize=1)
def onnx_model(model: nn.Module) -> bytes:
    """The model in ONNX, its first dimension named "batch"; exported once for each model."""
    import onnx  # noqa: F401 (torch.onnx needs both: a missing one is named here)
    import onnxscript  # noqa: F401

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # about the exporter's own insides
        exported = torch.onnx.export(
            model,
            (torch.zeros(4, 1, 28, 28),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
        path = Path(folder, "model.onnx")
        exported.save(str(path))
        return path.read_bytes()


def capture(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The CUDA work of ``run`` as a graph; the call replays it from and into the same memory, which
    lives as long as the call: what ``run`` reads belongs to ``run``."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = run()

    def replay() -> Tensor:
        graph.replay()
        return output

    replay.reads = run
    return replay


def _joined(arrays: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays))


CPU_PEERS: dict[str, Make] = {
    "PyTorch eager": eager,
    "torch.compile": compiled,
    "ONNX Runtime": onnxruntime,
    "OpenVINO": openvino,
    "OpenVINO streams": openvino_streams,
}
CUDA_PEERS: dict[str, Make] = {
    "PyTorch eager": eager,
    "torch.compile": compiled,
    "CUDA graph": cuda_graph,
}
