"""A convolution takes in the batch normalization and the clamps after it if the answers stay the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lenetshift.predict.shared.geometry import Axis
from lenetshift.predict.shared.graph import Graph, Value
from lenetshift.predict.shared.passes import run_pass
from lenetshift.predict.shared.recorder import record
from lenetshift.predict.shared.rewriting import rewritten

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGES = torch.rand(3, 2, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A convolution, what a given function makes of it, and a dense layer on that."""

    def __init__(self, behind: Callable[[Net, Tensor], Tensor], bias: bool, affine: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1, bias=bias)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.transposed = nn.ConvTranspose2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4, affine=affine)
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2)
        if affine:
            nn.init.uniform_(self.norm.weight, -2, 2)
            nn.init.uniform_(self.norm.bias, -1, 1)
        self.low = nn.Parameter(torch.tensor(-0.2))
        self.behind, self.head = behind, nn.Linear(256, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.behind(self, x).flatten(1))


def graph_of(
    behind: Callable[[Net, Tensor], Tensor], bias: bool = True, affine: bool = True
) -> Graph:
    torch.manual_seed(0)
    return record(Net(behind, bias, affine).double().eval(), IMAGES.double())


def in_one_window(graph: Graph, images: Tensor) -> Tensor:
    """A graph's answers by a pass over canvases that are the images."""
    y, x = (Axis.spaced(1, 1, n) for n in images.shape[2:])
    return run_pass(graph, images, y, x).logits[:, 0, 0]


def kinds(graph: Graph) -> list[str]:
    return [node.kind for node in graph.nodes if node.kind not in ("reshape", "addmm")]


def check(graph: Graph) -> Graph:
    """Rewrite a graph, whose answers must stay the same."""
    short = rewritten(graph)
    for images in (IMAGES, 3 - 5 * IMAGES):
        exact = graph.run(images.double())
        torch.testing.assert_close(
            in_one_window(short, images.double()), exact, rtol=1e-12, atol=1e-12, equal_nan=True
        )
    return short


TAKEN_IN: dict[str, tuple[Callable[[Net, Tensor], Tensor], list[tuple[float, float] | None]]] = {
    "batch norm": (lambda n, x: n.norm(n.conv(x)), [None]),
    "ReLU": (lambda n, x: n.conv(x).relu(), [(0, math.inf)]),
    "ReLU in place": (lambda n, x: n.conv(x).relu_(), [(0, math.inf)]),
    "batch norm, ReLU": (lambda n, x: n.norm(n.conv(x)).relu(), [(0, math.inf)]),
    "batch norms": (lambda n, x: n.norm(n.norm(n.conv(x))), [None]),
    "ReLU6": (lambda n, x: F.relu6(n.conv(x)), [(0, 6)]),
    "hardtanh": (lambda n, x: F.hardtanh(n.conv(x)), [(-1, 1)]),
    "hardtanh, bounds": (lambda n, x: F.hardtanh(n.conv(x), -0.3, 0.2), [(-0.3, 0.2)]),
    "hardtanh, upper default": (lambda n, x: F.hardtanh(n.conv(x), -2, 1), [(-2, 1)]),
    "hardtanh, lower default": (lambda n, x: F.hardtanh(n.conv(x), -1, 2), [(-1, 2)]),
    "clamp": (lambda n, x: n.conv(x).clamp(-0.1, 0.3), [(-0.1, 0.3)]),
    "clamp from below": (lambda n, x: n.conv(x).clamp_min(0.1), [(0.1, math.inf)]),
    "clamp from above": (lambda n, x: n.conv(x).clamp(max=0.1), [(-math.inf, 0.1)]),
    "clamp_max": (lambda n, x: n.conv(x).clamp_max(0), [(-math.inf, 0)]),
    "two clamps": (lambda n, x: n.conv(x).clamp(-0.1, 0.3).clamp(0, 0.5), [(0, 0.3)]),
    "crossed bounds": (lambda n, x: n.conv(x).clamp(0.3, -0.1), [(-0.1, -0.1)]),
    "second above first": (lambda n, x: n.conv(x).clamp(-1, 0).clamp(min=0.2), [(0.2, 0.2)]),
    "second below first": (lambda n, x: n.conv(x).relu().clamp(max=-0.2), [(-0.2, -0.2)]),
    "two convolutions": (
        lambda n, x: n.second(n.norm(n.conv(x)).relu()).relu(),
        [(0, math.inf)] * 2,
    ),
    "residual": (lambda n, x: n.second(y := n.conv(x).relu()) + y, [(0, math.inf), None]),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("name", TAKEN_IN)
def test_a_convolution_takes_in_what_follows(name: str, bias: bool, affine: bool) -> None:
    behind, clamps = TAKEN_IN[name]
    short = check(graph_of(behind, bias, affine))
    assert [kind for kind in kinds(short) if kind != "add"] == ["convolution"] * len(clamps)
    assert [n.clamp for n in short.nodes if n.kind == "convolution"] == clamps


STAYS: dict[str, tuple[Callable[[Net, Tensor], Tensor], list[str]]] = {
    "used twice": (lambda n, x: (y := n.conv(x)).relu() + y, ["convolution", "relu", "add"]),
    "normalised and used": (
        lambda n, x: n.norm(y := n.conv(x)) + y,
        ["convolution", "native_batch_norm", "add"],
    ),
    "normalised after a clamp": (
        lambda n, x: n.norm(n.conv(x).relu()),
        ["convolution", "native_batch_norm"],
    ),
    "bounds in a tensor": (
        lambda n, x: n.conv(x).clamp(min=n.low),
        ["convolution", "clamp"],
    ),
    "bound of NaN": (lambda n, x: n.conv(x).clamp(min=math.nan), ["convolution", "clamp"]),
    "another activation": (lambda n, x: n.conv(x).tanh(), ["convolution", "tanh"]),
    "of the images": (lambda n, x: n.conv(x.relu()), ["relu", "convolution"]),
    "not of a convolution": (
        lambda n, x: F.max_pool2d(n.conv(x), 3, 1, 1).relu(),
        ["convolution", "max_pool2d_with_indices", "relu"],
    ),
    "a bound of the pixels": (
        lambda n, x: torch.clamp(x.mean(1, keepdim=True) * 2, max=n.conv(x)),
        ["mean", "mul", "convolution", "clamp"],
    ),
}


@pytest.mark.parametrize("name", STAYS)
def test_what_gives_other_answers_is_left_alone(name: str) -> None:
    behind, expected = STAYS[name]
    short = check(graph_of(behind))
    assert kinds(short) == expected


def test_a_network_may_end_with_a_convolution() -> None:
    torch.manual_seed(0)
    logits = nn.Sequential(nn.Conv2d(2, 4, 8), nn.ReLU(), nn.Conv2d(4, 3, 1), nn.ReLU())
    graph = record(nn.Sequential(logits, nn.Flatten()).double().eval(), IMAGES.double())
    short = check(graph)
    assert kinds(short) == ["convolution"] * 2
    # The output is the convolution, which the ReLU also uses; then the ReLU itself.
    convolution = next(n for n, node in enumerate(graph.nodes) if node.kind == "convolution")
    ending = replace(graph, output=Value(convolution))
    assert kinds(rewritten(ending))[:2] == ["convolution", "relu"]
    ending = replace(graph, nodes=graph.nodes[: convolution + 2], output=Value(convolution + 1))
    short = rewritten(ending)
    assert (kinds(short), short.output) == (["convolution"], Value(0))


def with_argument(graph: Graph, kind: str, name: str, value: object) -> Graph:
    """A graph with another argument of one of its operations."""
    nodes = [
        replace(
            node,
            args=tuple(
                value if parameter == name else arg
                for parameter, arg in zip(node.parameters, node.args, strict=False)
            ),
        )
        if node.kind == kind
        else node
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes))


def test_only_constant_statistics_of_an_ordinary_convolution_are_taken_in() -> None:
    graph = graph_of(lambda n, x: n.norm(n.conv(x)))
    taken_in, left = ["convolution"], ["convolution", "native_batch_norm"]
    assert kinds(rewritten(graph)) == taken_in
    for argument, value in (("training", True), ("running_mean", None), ("weight", Value(-1))):
        assert kinds(rewritten(with_argument(graph, "native_batch_norm", argument, value))) == left
    used = replace(graph.nodes[-1], args=(Value(1, 1), *graph.nodes[-1].args[1:]))
    assert kinds(rewritten(replace(graph, nodes=(*graph.nodes[:-1], used)))) == left  # its mean
    transposed = graph_of(lambda n, x: n.norm(n.transposed(x)))
    assert kinds(rewritten(transposed)) == left
    for bad in (math.nan, math.inf, 1e308):
        weight = torch.full((4,), bad, dtype=torch.float64)
        other = with_argument(graph, "native_batch_norm", "weight", weight)
        assert (
            kinds(check(with_argument(other, "native_batch_norm", "running_var", weight * 0)))
            == left
        )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_not_rounded_twice(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    net = Net(lambda n, x: n.norm(n.conv(x)).relu(), True, True).eval().to(dtype)
    graph = record(net, IMAGES.to(dtype))
    assert kinds(rewritten(graph)) == ["convolution", "native_batch_norm", "relu"]
    # In float64, in which it is compared, nothing is rounded either.
    assert kinds(rewritten(graph.in_float64())) == ["convolution", "native_batch_norm", "relu"]


def test_cudnn_names_epsilon_otherwise() -> None:
    graph = graph_of(lambda n, x: n.norm(n.conv(x)))
    norm = next(node for node in graph.nodes if node.kind == "native_batch_norm")
    cudnn = replace(norm, op=torch.ops.aten.cudnn_batch_norm.default)
    assert cudnn.parameters[-1] == "epsilon"
    nodes = tuple(cudnn if node is norm else node for node in graph.nodes)
    short = rewritten(replace(graph, nodes=nodes))
    for images in (IMAGES.double(), 3 - IMAGES.double()):
        torch.testing.assert_close(short.run(images), graph.run(images), rtol=1e-12, atol=1e-12)


def test_float32_is_within_rounding_and_nan_stays_nan() -> None:
    torch.manual_seed(0)
    behind = TAKEN_IN["two convolutions"][0]
    net = Net(behind, True, True).eval()
    graph = record(net, IMAGES)
    images = IMAGES.clone()
    images[1, 0, 3, 3] = math.nan
    got, expected = in_one_window(rewritten(graph), images), graph.run(images)
    assert got.isnan().any(1).tolist() == [False, True, False]
    largest = expected.nan_to_num().abs().max().item()
    error = graph.rounding(torch.float32) * largest
    torch.testing.assert_close(got, expected, rtol=0, atol=error, equal_nan=True)
