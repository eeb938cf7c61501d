"""``study/table``: the experiment ``table`` for four seeds, a fifth of those of a study, as a user runs it.

The peer is the same in plain PyTorch: the usual training loop, then every pattern through the network a
batch at a time; as many processes as ours, with one thread each. The accuracies of both may differ by a point
at most: other rounding in training gives other weights.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import joblib
import torch
import torch.nn.functional as F
from common import Context, NotEqualError, result
from timing import Timing
from torch import Tensor
from train_epoch import BATCH_SIZE, LEARNING_RATE, plain_twin

import lenetshift
from lenetshift.data.seeds import epoch_permutation
from lenetshift.models.table import ARCHITECTURES
from lenetshift.study.experiments import position_bias, table

N_SEEDS = 4
EVALUATION_BATCH = 512  # patterns
TOLERANCE = 1.0  # points

Accuracies = dict[str, tuple[float, float]]
"""``MODEL.seedN`` -> per cent right, unmoved and moved."""


def run(context: Context) -> dict[str, Any]:
    """Time both once, since they take minutes."""
    ours_s, ours = our_study(context)
    peer_s, theirs = plain_study(context)
    for name, pair in ours.items():
        worst = max(abs(a - b) for a, b in zip(pair, theirs[name], strict=True))
        if worst > TOLERANCE and not context.quick:
            raise NotEqualError(
                f"study/table: {name}: ours {pair}, in plain PyTorch {theirs[name]}"
            )
    return result(
        context, "study/table", Timing((ours_s,)), {"plain PyTorch": Timing((peer_s,))},
        n_runs=len(ours),
    )  # fmt: skip


def our_study(context: Context) -> tuple[float, Accuracies]:
    """Wall seconds of the command, and what it found."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "lenetshift.study", "--experiments", "table", "--out", out]
        command += ["--seeds", str(N_SEEDS), "--jobs", str(context.threads)]
        command += ["--quick"] if context.quick else []
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - start
        dossier = json.loads((Path(out) / "dossier.json").read_text())
    found = {}
    for item in dossier["runs"]:
        after = item["after_epoch"][str(table.EPOCHS)]
        found[item["name"].removeprefix("table/")] = (after["unmoved"], after["moved"])
    return seconds, found


def plain_study(context: Context) -> tuple[float, Accuracies]:
    """The same experiment without this package's kernels."""
    models = (*table.MODELS, position_bias.MODEL)
    start = time.perf_counter()
    done = joblib.Parallel(n_jobs=context.threads, batch_size=1)(
        joblib.delayed(plain_run)(name, seed, context.quick)
        for name in models
        for seed in range(N_SEEDS)
    )
    return time.perf_counter() - start, dict(done)


def plain_run(name: str, seed: int, quick: bool) -> tuple[str, tuple[float, float]]:
    """Train and evaluate one network, in one thread."""
    torch.set_num_threads(1)
    train, test = lenetshift.load_mnist()
    if quick:
        train, test = train.subset(600), test.subset(60)
    if name == position_bias.MODEL:
        train = lenetshift.position_biased(train, position_bias.RULE)
    model = plain_twin(lenetshift.build_model(ARCHITECTURES[name], seed=seed))
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, fused=True)
    images = train.images.unsqueeze(1).float() / 255
    for epoch in range(table.EPOCHS):
        for batch in epoch_permutation(len(train), seed, epoch).split(BATCH_SIZE):
            loss = F.cross_entropy(model(images[batch]), train.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    right = right_answers(model, test)
    centre = len(lenetshift.ShiftGrid()) // 2
    unmoved = 100 * right[centre].double().mean().item()
    return f"{name}.seed{seed}", (unmoved, 100 * right.double().mean().item())


@torch.inference_mode()
def right_answers(model: torch.nn.Module, test: lenetshift.Dataset) -> Tensor:
    """Shift by shift: bool ``[n_shifts, N]``."""
    grid = lenetshift.ShiftGrid()
    height, width = test.images.shape[1:]
    dy, dx = max(grid.dy), max(grid.dx)
    canvas = F.pad(test.images.unsqueeze(1).float() / 255, (dx, dx, dy, dy))
    right = []
    for down in grid.dy:
        for to_the_right in grid.dx:
            y, x = dy - down, dx - to_the_right
            moved = canvas[:, :, y : y + height, x : x + width]
            answers = [model(batch).argmax(1) for batch in moved.split(EVALUATION_BATCH)]
            right.append(torch.cat(answers) == test.labels)
    return torch.stack(right)
