"""``own/<network>``: well-known networks under the report's 55 shifts.

Ours is an evaluator that has chosen its method, from uint8 images to predictions. The choice and its check
are timed by themselves, since their time does not grow with the number of images. Peers are the plain method
and a hand-written loop, each at the batch size that is fastest for it on a sample, and our rewritten method,
which shares no features and shows what sharing adds. All answers for some of the images are compared first.
This file is the process in which memory is measured, too: ``python own.py NETWORK THREADS N_IMAGES`` prints
JSON.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from common import Context, in_own_process, result
from networks import NETWORKS, Own
from predict_shifts import GRID, at_best_batch_size, moved, verify
from scaling import reset_peak, resident
from timing import interleave
from torch import Tensor, nn

import lenetshift
from lenetshift.predict.evaluator import ShiftEvaluator

BATCH_SIZES = {28: (16, 32, 64, 128, 256, 512, 1024), 32: (16, 32, 64, 128, 256), 224: (4, 8, 16)}
"""Patterns, for each size of images."""
CUDA_BATCH_SIZES = {28: (2048, 8192), 32: (512, 2048), 224: (64, 256)}
CUDA_IMAGES = {28: 500, 32: 100, 224: 5}
"""How many are timed on a GPU, by everyone: fewer would not fill it."""
VERIFIED = {28: 200, 32: 4, 224: 1}
"""Images whose answers are compared."""
PEERS_SLOWER = 12
"""Peers are timed on so many times fewer images: they are slower, and samples should take about as long."""

Run = Callable[[Tensor], Tensor]


def run(context: Context, name: str) -> dict[str, Any]:
    """Verify and time one network."""
    own = NETWORKS[name]
    on_cpu = context.device.type == "cpu"
    model = made(name).to(context.device)
    n_ours, n_peers, sizes = amounts(own, on_cpu)
    images = images_of(context.mnist[1].images[:n_ours], own.size)
    few = images[:n_peers]
    verified = images[: VERIFIED[own.size]]
    evaluator = ShiftEvaluator(model, GRID)
    answers = evaluator.answer(verified, return_logits=True)
    first_call = context.clock(lambda: ShiftEvaluator(model, GRID).answer(verified[:1]), 1)
    context.say(f"  {answers.reason}")
    peers, settings = {}, {}
    for peer, make in PEERS.items():
        repetitions = 3 if on_cpu else 1
        best, peers[peer] = at_best_batch_size(context, make, model, sizes, few, repetitions)
        settings[peer] = f"batch size {best}"
    worst = verify(
        f"own/{name}", answers.predictions, answers.logits, logits_by_hand(model, verified)
    )
    candidates: dict[str, Callable[[], object]] = {"ours": lambda: evaluator.answer(images)}
    candidates |= {peer: functools.partial(run, few) for peer, run in peers.items()}
    timings = interleave(candidates, 3 if context.quick or not on_cpu else 7, context.clock)
    n_images = 10_000
    ours = timings.pop("ours").scaled(n_images / len(images))
    peers_timed = {peer: timing.scaled(n_images / len(few)) for peer, timing in timings.items()}
    rewritten = peers_timed.pop(REWRITTEN)
    return result(
        context,
        f"own/{name}",
        ours,
        peers_timed,
        settings=settings,
        worst_difference=worst,
        reason=answers.reason,
        least_ratio=own.least if on_cpu else None,
        n_images=n_images,
        n_shifts=len(GRID),
        timed_images=len(images),
        peers_timed_images=len(few),
        first_call_s=first_call,
        rewritten_s=rewritten.median,
        by_sharing=rewritten.median / ours.median,
        least_by_sharing=own.least_by_sharing if on_cpu else None,
    ) | {"rss_mb": extra_mb(name, context) if on_cpu else None}


def amounts(own: Own, on_cpu: bool) -> tuple[int, int, tuple[int, ...]]:
    """How many images are timed, ours and the peers', and the batch sizes of which peers take the best."""
    if on_cpu:
        return own.images, max(1, own.images // PEERS_SLOWER), BATCH_SIZES[own.size]
    n_images = CUDA_IMAGES[own.size]
    return n_images, n_images, CUDA_BATCH_SIZES[own.size]


def made(name: str) -> nn.Module:
    """A network in eval mode, whose batch normalizations have seen something."""
    torch.manual_seed(0)
    model = NETWORKS[name].make()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval()


def images_of(digits: Tensor, size: int) -> Tensor:
    """MNIST as a network takes it: as it is, or larger and in colour, ``[N, 3, size, size]``."""
    if size == 28:
        return digits
    larger = F.interpolate(digits[:, None].float(), size=size, mode="bilinear")
    tint = torch.tensor([1.0, 0.8, 0.6], device=digits.device).view(3, 1, 1)
    return (larger * tint).round().byte()


def method_at(model: nn.Module, batch_size: int, method: str) -> Run:
    """One of our methods, pattern by pattern."""
    evaluator = ShiftEvaluator(model, GRID, method=method, batch_size=batch_size)
    return lambda images: evaluator.answer(images).predictions


def by_hand(model: nn.Module, batch_size: int) -> Run:
    """A loop over batches of patterns, which are translated in advance as bytes."""

    @torch.inference_mode()
    def run(images: Tensor) -> Tensor:
        batches = moved(images).split(batch_size)
        return torch.cat([model(batch / 255).argmax(1) for batch in batches])

    return run


REWRITTEN = "rewritten"
PEERS: dict[str, Callable[[nn.Module, int], Run]] = {
    "plain method": functools.partial(method_at, method="plain"),
    "loop by hand": by_hand,
    REWRITTEN: functools.partial(method_at, method="rewritten"),
}


@torch.inference_mode()
def logits_by_hand(model: nn.Module, images: Tensor) -> Tensor:
    """The logits of all patterns, ``[N * n_shifts, K]``."""
    return torch.cat([model(batch / 255) for batch in moved(images).split(256)])


def extra_mb(name: str, context: Context) -> float:
    """The increase of peak resident memory in an evaluation of ten times the images that are timed."""
    count = NETWORKS[name].images * (1 if context.quick else 10)
    extra: float = in_own_process(__file__, name, context.threads, count)
    return extra


def measure(name: str, n_images: int) -> float:
    """MB in addition to images and predictions; code and PyTorch's threads are loaded before."""
    images = images_of(lenetshift.load_mnist()[1].images[:n_images], NETWORKS[name].size)
    model = made(name)
    digits = lenetshift.load_mnist()[1].images[:2]
    lenetshift.predict_shifts(made("padded_convnet"), digits, GRID)
    before = reset_peak()
    predictions = lenetshift.predict_shifts(model, images, GRID)
    return max(0.0, resident("VmHWM") - before - predictions.nbytes / 1e6)


if __name__ == "__main__":
    network, threads, count = sys.argv[1:]
    torch.set_num_threads(int(threads))
    json.dump(measure(network, int(count)), sys.stdout)
