"""``predict_shifts/<model>``: the test images under the report's 55 shifts.

Ours is the public call, from uint8 images to predictions. A peer gets translated float32 batches,
made outside its time, at the batch size that is fastest for it on a sample. On a CPU the
interleaved repetitions run a stated part of the images, scaled up; a full pass, once, compares
every answer and is timed too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import scaling
import torch
from common import (
    HEADS,
    MULTIPLY_ADDS,
    Context,
    NotEqualError,
    format_seconds,
    note_unavailable,
    result,
)
from peers import CPU_PEERS, CUDA_PEERS, Make, Run, capture
from timing import best_of, interleave
from torch import Tensor, nn

import lenetshift
from lenetshift.reference import dense_twin

CAPTURED = "ours as a CUDA graph"
GRID = lenetshift.ShiftGrid()
TOLERANCE = 5e-5  # largest difference of a logit; predictions may differ where two are closer
# What the repetitions on a CPU run: a sample takes a tenth of a second at most.
OUR_PART, PEER_PART = 2000, 50  # images
CPU_BATCH_SIZES = (50, 275, 1375, 2750)  # divisors of the 2750 patterns of a part
CUDA_BATCH_SIZES = (11_000, 55_000)  # smaller ones were slower, for every peer


def run(context: Context, name: str) -> dict[str, Any]:
    """Verify and time one model."""
    model = context.trained(name)
    test = context.mnist[1]
    images = test.images
    twin = dense_twin(model)
    torch._dynamo.reset()  # what torch.compile made for the previous model
    predictions, logits = lenetshift.predict_shifts(model, images, GRID, return_logits=True)
    # On a GPU all patterns fit and a pass is short: the part is the whole.
    on_cpu = context.device.type == "cpu"
    n_parts = len(images) // PEER_PART if on_cpu else 1
    sizes = CPU_BATCH_SIZES if on_cpu else CUDA_BATCH_SIZES
    sample = torch.rand(2 * max(sizes), 1, 28, 28, device=context.device)
    peers, settings, full_pass, worst = {}, {}, {}, 0.0
    for peer, make in (CPU_PEERS if on_cpu else CUDA_PEERS).items():
        try:
            batch_size, answer = at_best_batch_size(context, make, twin, sizes, sample, 2)
            seconds = 0.0
            for k, patterns in enumerate(parts(images, n_parts)):
                if k == 0:
                    answer(patterns)  # warms up
                theirs, elapsed = timed(context, answer, patterns)
                seconds += elapsed
                ours = predictions[k::n_parts], logits[k::n_parts]
                worst = max(worst, verify(f"predict_shifts/{name}, {peer}", *ours, theirs))
        except Exception as error:  # not installed, no compiler, an unsupported operator, ...
            note_unavailable(context, peer, error)
            continue
        context.say(
            f"  {peer}: batch size {batch_size}; all {len(images) * len(GRID):,} patterns in "
            f"{format_seconds(seconds)}, answers equal"
        )
        peers[peer], settings[peer] = answer, f"batch size {batch_size}"
        full_pass[peer] = seconds

    our_images = test.subset(min(OUR_PART, len(test))).images if on_cpu else images
    part = next(parts(images, n_parts))
    candidates = {"ours": lambda: lenetshift.predict_shifts(model, our_images, GRID)}
    candidates |= {peer: functools.partial(answer, part) for peer, answer in peers.items()}
    if not on_cpu:
        candidates[CAPTURED] = our_graph(model, images, predictions)
    timings = interleave(candidates, repetitions=repetitions(context), clock=context.clock)
    ours = timings.pop("ours").scaled(len(images) / len(our_images))
    captured = timings.pop(CAPTURED, None)
    scale = len(images) * len(GRID) / len(part)
    return result(
        context,
        f"predict_shifts/{name}",
        ours,
        {peer: timing.scaled(scale) for peer, timing in timings.items()},
        multiply_adds=len(images) * multiply_adds_per_image(name)[0],
        counted=multiply_adds_per_image(name)[1],
        least_bytes=images.nbytes + predictions.nbytes,
        settings=settings,
        full_pass=full_pass,
        worst_difference=worst,
        n_images=len(images),
        n_shifts=len(GRID),
        timed_images=len(our_images),
        peers_timed_images=len(images) // n_parts,
        captured_s=captured.median if captured else None,
    ) | {"rss_mb": extra_mb(context, name, model, images)}


def repetitions(context: Context) -> int:
    """How often each candidate is timed; times on a GPU spread little."""
    if context.quick:
        return 5
    return 21 if context.device.type == "cpu" else 9


def our_graph(model: nn.Module, images: Tensor, predictions: Tensor) -> Callable[[], Tensor]:
    """Our call as a CUDA graph; NotEqualError if it gives other predictions."""
    replay = capture(lambda: lenetshift.predict_shifts(model, images, GRID))
    if not torch.equal(replay(), predictions):
        raise NotEqualError("ours as a CUDA graph: other predictions than those of a call")
    return replay


def at_best_batch_size(
    context: Context,
    make: Make,
    model: nn.Module,
    sizes: Sequence[int],
    sample: Tensor,
    repetitions: int,
) -> tuple[int, Run]:
    """The batch size that is fastest for a sample, and the peer at that size."""
    runs = {n: make(model, n) for n in sizes}
    seconds = {
        n: best_of(functools.partial(run, sample), repetitions, context.clock)
        for n, run in runs.items()
    }
    best = min(seconds, key=seconds.__getitem__)
    return best, runs[best]


def parts(images: Tensor, n_parts: int) -> Iterator[Tensor]:
    """The patterns, one part after the other: every ``n_parts``-th image under all shifts, float32
    ``[n, 1, 28, 28]`` in 0..1."""
    for k in range(n_parts):
        yield moved(images[k::n_parts].contiguous()).float().div_(255)


def moved(images: Tensor) -> Tensor:
    """The patterns of images ``[N, H, W]`` or ``[N, C, H, W]``, uint8 ``[N * n_shifts, C, H, W]``."""
    shifts = GRID.shifts().to(images.device)
    patterns: Tensor = torch.ops.lenetshift.translate(images, shifts).flatten(0, 1)
    return patterns if patterns.dim() == 4 else patterns.unsqueeze(1)


def timed(context: Context, answer: Run, patterns: Tensor) -> tuple[Tensor, float]:
    """The logits, and the seconds that they took."""
    logits = []
    seconds = context.clock(lambda: logits.append(answer(patterns)), 1)
    return logits[0], seconds


def verify(what: str, predictions: Tensor, ours: Tensor, theirs: Tensor) -> float:
    """Largest difference of a logit; NotEqualError if it or a prediction is out of tolerance."""
    ours, theirs = ours.flatten(0, 2), theirs.to(ours.device)
    worst = (ours - theirs).abs().max().item()
    if not worst <= TOLERANCE:
        raise NotEqualError(f"{what}: logits differ by up to {worst:.1e}, expected {TOLERANCE:.0e}")
    top = theirs.topk(2, dim=1).values
    differs = predictions.flatten() != theirs.argmax(1)
    if (differs & (top[:, 0] - top[:, 1] > 2 * TOLERANCE)).any():
        raise NotEqualError(
            f"{what}: predictions differ where the two largest logits are not close"
        )
    return worst


def extra_mb(context: Context, name: str, model: nn.Module, images: Tensor) -> float:
    """The memory that the evaluation takes in addition to images and predictions."""
    if context.device.type == "cpu":
        return scaling.against_images(name, context.threads, (len(images),))[0]["extra_mb"]
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    predictions = lenetshift.predict_shifts(model, images, GRID)
    return (torch.cuda.max_memory_allocated() - before - predictions.nbytes) / 1e6


def multiply_adds_per_image(name: str) -> tuple[int, str]:
    """The number of multiply-adds that the fraction of the peak refers to, and what they are."""
    if name in ("lenet5", "symmetric_lenet5"):
        c3 = 1500 if name == "lenet5" else 2400
        shared = 38 * 32 * 150 + 23 * 29 * c3 + len(GRID) * HEADS
        return shared, "shared form, direct arithmetic"
    return len(GRID) * sum(MULTIPLY_ADDS[name]), "pattern by pattern, zero pixels included"
