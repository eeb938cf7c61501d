"""``train_epoch/<model>``: one epoch of SGD, batch size 64, over the training set.

Ours is the public ``lenetshift.train``; on a GPU also its op, an epoch of it as one CUDA graph. A peer gets
float32 images made in advance and the same order; it indexes them batch by batch. A whole epoch compares
every step's loss; the interleaved repetitions run an epoch over the first 12,000 images, scaled up, ours too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from common import MULTIPLY_ADDS, Context, NotEqualError, note_unavailable, result
from peers import capture
from timing import interleave
from torch import Tensor, nn

import lenetshift
from lenetshift.c3_table import C3_TABLE, to_dense
from lenetshift.data.seeds import epoch_permutation
from lenetshift.models.fused import packed_parameters

BATCH_SIZE = 64
LEARNING_RATE = 0.1
SEED = 0
PART = 5  # the repetitions run a fifth of the images
# Rounding grows along a trajectory: the first steps must agree closely, the epoch as a whole well.
FIRST_STEPS, FIRST_TOLERANCE, EPOCH_TOLERANCE = 50, 1e-4, 0.02

CAPTURED = "ours as a CUDA graph"
Epoch = Callable[[], Tensor]
"""Trains from the same start each time and returns the loss of every step."""


def run(context: Context, name: str) -> dict[str, Any]:
    """Verify and time one model."""
    start = lenetshift.build_model(name, seed=SEED).to(context.device)
    data = context.mnist[0]
    part = data.subset(len(data) // PART)
    losses = our_epoch(start, data)()
    runs, curves = {}, {}
    for peer, make in peers(context).items():
        try:
            theirs = make(plain_twin(start), data)()
            runs[peer] = make(plain_twin(start), part)
        except Exception as error:  # no compiler, an unsupported operator, ...
            note_unavailable(context, peer, error)
            continue
        curves[peer] = verify(f"train_epoch/{name}, {peer}", losses, theirs.to(losses.device))
        context.say(f"  {peer}: loss curves differ by at most {curves[peer]:.1e}")
    if context.device.type == "cuda":
        again = our_graph(name, start, data)()
        verify(f"train_epoch/{name}, ours as a CUDA graph", losses, again.to(losses.device))
        runs[CAPTURED] = our_graph(name, start, part)
    timings = interleave(
        {"ours": our_epoch(start, part)} | runs,
        repetitions=3 if context.quick else 15 if context.device.type == "cpu" else 7,
        clock=context.clock,
    )
    timings = {name: timing.scaled(len(data) / len(part)) for name, timing in timings.items()}
    first_layer, others = MULTIPLY_ADDS[name]
    ours, captured = timings.pop("ours"), timings.pop(CAPTURED, None)
    return result(
        context,
        f"train_epoch/{name}",
        ours,
        timings,
        multiply_adds=len(data) * (2 * first_layer + 3 * others),
        counted="forward and backward, no gradient of the pixels",
        least_bytes=data.images.nbytes,
        worst_difference=max(curves.values(), default=None),
        mean_loss=losses.mean().item(),
        n_images=len(data),
        timed_images=len(part),
        captured_s=captured.median if captured else None,
    )


def our_epoch(start: nn.Module, data: lenetshift.Dataset) -> Epoch:
    """lenetshift.train with the fused op."""

    def epoch() -> Tensor:
        settings = {"learning_rate": LEARNING_RATE, "batch_size": BATCH_SIZE, "seed": SEED}
        return lenetshift.train(copy.deepcopy(start), data, epochs=1, **settings)[0]

    return epoch


def our_graph(name: str, start: nn.Module, data: lenetshift.Dataset) -> Epoch:
    """The fused op, the whole epoch captured as one CUDA graph."""
    model = copy.deepcopy(start)
    first, parameters = packed_parameters(start), packed_parameters(model)
    order = epoch_permutation(len(data), SEED, 0).to(data.images.device)
    op = getattr(torch.ops.lenetshift, f"train_epoch_{name}")
    settings = (LEARNING_RATE, BATCH_SIZE, model.activation)
    replay = capture(lambda: op(data.images, data.labels, order, parameters, *settings))

    def epoch() -> Tensor:
        torch._foreach_copy_(parameters, first)
        return replay()

    return epoch


def torch_epoch(
    start: nn.Module,
    data: lenetshift.Dataset,
    *,
    compile: bool = False,
    graph: bool = False,
    **sgd: bool,
) -> Epoch:
    """The usual PyTorch loop; with ``graph`` a step is captured as a CUDA graph, and a smaller last batch
    runs without it."""
    images = data.images.unsqueeze(1).float() / 255
    order = epoch_permutation(len(data), SEED, 0).to(images.device)
    model = copy.deepcopy(start)
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, **sgd)
    if compile:
        torch._dynamo.reset()
    forward = torch.compile(model, dynamic=False) if compile else model

    def step(batch: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(images[batch]), data.labels[batch])
        loss.backward()
        optimizer.step()
        return loss.detach()

    if graph:
        captured = order[:BATCH_SIZE].clone()  # the graph reads which images from here
        replay = capture(lambda: step(captured))

    def epoch() -> Tensor:
        model.load_state_dict(start.state_dict())
        losses = []
        for batch in order.split(BATCH_SIZE):
            if graph and len(batch) == BATCH_SIZE:
                captured.copy_(batch)
                losses.append(replay().clone())
            else:
                losses.append(step(batch))
        return torch.stack(losses)

    return epoch


def peers(context: Context) -> dict[str, Callable[[nn.Module, lenetshift.Dataset], Epoch]]:
    """Name -> the loop that it runs."""
    found = {
        "PyTorch eager, foreach SGD": lambda *a: torch_epoch(*a, foreach=True),
        "PyTorch eager, fused SGD": lambda *a: torch_epoch(*a, fused=True),
        "torch.compile, fused SGD": lambda *a: torch_epoch(*a, fused=True, compile=True),
    }
    if context.device.type == "cuda":
        found |= {
            "CUDA graph, foreach SGD": lambda *a: torch_epoch(*a, foreach=True, graph=True),
            "CUDA graph, fused SGD": lambda *a: torch_epoch(*a, fused=True, graph=True),
        }
    return found


class MaskedConv2d(nn.Conv2d):
    """A dense convolution in which only the connections of the table have an effect and learn."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__(6, 16, 5)
        dense = to_dense(weight, C3_TABLE, 6)
        connected = to_dense(torch.ones_like(weight), C3_TABLE, 6)
        self.register_buffer("connected", connected, persistent=False)
        self.load_state_dict({"weight": dense, "bias": bias})
        self.to(weight.device)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.connected, self.bias)


def plain_twin(model: nn.Module) -> nn.Module:
    """The same model with the same weights, made of plain PyTorch layers."""
    twin = copy.deepcopy(model)
    if isinstance(model, lenetshift.LeNet5):
        with torch.no_grad():
            twin.c3 = MaskedConv2d(model.c3.weight, model.c3.bias)
    return twin


def verify(what: str, ours: Tensor, theirs: Tensor) -> float:
    """The largest difference between the losses of a step; NotEqualError if the curves diverge."""
    differences = (ours - theirs).abs()
    first, worst = differences[:FIRST_STEPS].max().item(), differences.max().item()
    if not (first <= FIRST_TOLERANCE and worst <= EPOCH_TOLERANCE):
        raise NotEqualError(
            f"{what}: losses differ by {first:.1e} in the first {FIRST_STEPS} steps and "
            f"{worst:.1e} in all, expected at most {FIRST_TOLERANCE:.0e} and {EPOCH_TOLERANCE:.0e}"
        )
    return worst
