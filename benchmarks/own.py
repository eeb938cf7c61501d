"""``own/<network>``: well-known networks under the report's 55 shifts.

Ours is the public call, from uint8 images to predictions, including the choice of the method and its check.
Peers are the plain way (``method="plain"``) and a hand-written loop, each at the batch size that is fastest
for it on a sample. All answers for some of the images are compared first. This file is the process in which
memory is measured, too: ``python own.py NETWORK THREADS N_IMAGES`` prints JSON.
"""

from __future__ import annotations

import functools
import itertools
import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from common import Context, NotEqualError, in_own_process, result
from networks import NETWORKS
from predict_shifts import GRID, at_best_batch_size, moved, verify
from scaling import reset_peak, resident
from timing import interleave
from torch import Tensor, nn

import lenetshift
from lenetshift.predict.evaluator import ShiftEvaluator

BATCH_SIZES = (16, 32, 64, 128, 256, 512, 1024)  # patterns
VERIFIED = 200  # images
OUR_PART = 500
"""Images that the shared way is timed on, each call a new evaluation with its choice and check."""
PEER_PART = 40
"""Images for its peers: fewer, since they are slower, so that all samples are about equally long."""
PIECE = 100
"""Images of a sample if ours is the plain way. One evaluation of all test images is then done in pieces, with
the peers' pieces in between: both do the same work, and a slow phase of the machine would otherwise change
the ratio. Finding the batch size happens in the first pieces; it is 1 % of an evaluation."""
SEARCHED = 40
"""Images that the peers' batch sizes are tried on."""
LEAST_RATIO = {
    "pytorch_example": 7.0,
    "keras_convnet": 5.5,
    "lenet5_max_pooling": 4.5,
    "lenet5_subsampling": 4.5,
    "lenet5_blur_pool": 4.5,
    "lenet5_global_average": 4.0,
    "padded_convnet": 0.97,
}
"""The target for each: how many times faster than the best peer."""

Run = Callable[[Tensor], Tensor]


def run(context: Context, name: str) -> dict[str, Any]:
    """Verify and time one network."""
    torch.manual_seed(0)
    model = NETWORKS[name]().to(context.device).eval()
    _, test = context.mnist
    expected = "plain" if name == "padded_convnet" else "shared"
    verified = test.subset(min(VERIFIED, len(test))).images
    searched = test.subset(min(SEARCHED, len(test))).images
    evaluator = ShiftEvaluator(model, GRID)
    answers = evaluator.answer(verified, return_logits=True)
    context.say(f"  {answers.reason}")
    if answers.method != expected:
        raise NotEqualError(f"own/{name}: the way is {answers.method}, expected {expected}")
    peers, settings = {}, {}
    for peer, make in (("plain way", plain_way), ("loop by hand", by_hand)):
        best, peers[peer] = at_best_batch_size(context, make, model, BATCH_SIZES, searched, 3)
        settings[peer] = f"batch size {best}"
    worst = verify(
        f"own/{name}", answers.predictions, answers.logits, logits_by_hand(model, verified)
    )
    candidates, n_ours, n_peers = (whole_calls if expected == "shared" else pieces_of_one)(
        model, peers, test.images
    )
    repetitions = (3 if context.quick else 7) if expected == "shared" else len(test) // PIECE
    timings = interleave(candidates, repetitions, context.clock)
    n_images = 10_000
    ours = timings.pop("ours").scaled(n_images / n_ours)
    return result(
        context,
        f"own/{name}",
        ours,
        {peer: timing.scaled(n_images / n_peers) for peer, timing in timings.items()},
        settings=settings,
        worst_difference=worst,
        reason=answers.reason,
        least_ratio=LEAST_RATIO[name],
        n_images=n_images,
        n_shifts=len(GRID),
        timed_images=n_ours,
        peers_timed_images=n_peers,
    ) | {"rss_mb": extra_mb(name, context) if context.device.type == "cpu" else None}


Candidates = dict[str, Callable[[], object]]


def whole_calls(
    model: nn.Module, peers: dict[str, Run], images: Tensor
) -> tuple[Candidates, int, int]:
    """What is timed, and the number of images for us and for the peers: each call is a new evaluation."""
    ours, theirs = images[:OUR_PART], images[:PEER_PART]
    candidates: Candidates = {"ours": lambda: lenetshift.predict_shifts(model, ours, GRID)}
    candidates |= {peer: functools.partial(run, theirs) for peer, run in peers.items()}
    return candidates, len(ours), len(theirs)


def pieces_of_one(
    model: nn.Module, peers: dict[str, Run], images: Tensor
) -> tuple[Candidates, int, int]:
    """The same for one evaluation: each call does the next piece, and the first one after the last."""

    def next_piece(run: Callable[[Tensor], object]) -> Callable[[], object]:
        pieces = itertools.cycle(images.split(PIECE))
        return lambda: run(next(pieces))

    runs = {"ours": ShiftEvaluator(model, GRID).answer, **peers}
    return {name: next_piece(run) for name, run in runs.items()}, PIECE, PIECE


def plain_way(model: nn.Module, batch_size: int) -> Run:
    """Our plain method, pattern by pattern."""
    evaluator = ShiftEvaluator(model, GRID, method="plain", batch_size=batch_size)
    return lambda images: evaluator.answer(images).predictions


def by_hand(model: nn.Module, batch_size: int) -> Run:
    """A loop over batches of patterns, which are translated in advance as bytes."""

    @torch.inference_mode()
    def run(images: Tensor) -> Tensor:
        batches = moved(images).split(batch_size)
        return torch.cat([model(batch / 255).argmax(1) for batch in batches])

    return run


@torch.inference_mode()
def logits_by_hand(model: nn.Module, images: Tensor) -> Tensor:
    """The logits of all patterns, ``[N * n_shifts, K]``."""
    return torch.cat([model(batch / 255) for batch in moved(images).split(256)])


def extra_mb(name: str, context: Context) -> float:
    """The increase of peak resident memory in an evaluation of all test images."""
    count = 500 if context.quick else 10_000
    extra: float = in_own_process(__file__, name, context.threads, count)
    return extra


def measure(name: str, n_images: int) -> float:
    """MB in addition to images and predictions; code and PyTorch's threads are loaded before."""
    _, test = lenetshift.load_mnist()
    model = NETWORKS[name]().eval()
    lenetshift.predict_shifts(NETWORKS["padded_convnet"]().eval(), test.images[:2], GRID)
    before = reset_peak()
    predictions = lenetshift.predict_shifts(model, test.images[:n_images], GRID)
    return max(0.0, resident("VmHWM") - before - predictions.nbytes / 1e6)


if __name__ == "__main__":
    network, threads, count = sys.argv[1:]
    torch.set_num_threads(int(threads))
    json.dump(measure(network, int(count)), sys.stdout)
