"""Our time with every instruction set that this machine has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import c3_conv
import torch
import train_epoch
from common import Context, format_seconds
from timing import interleave

import lenetshift
from lenetshift.checks.core import core


def run(context: Context) -> list[dict[str, Any]]:
    """A row for each case and instruction set; the instruction set in use is restored."""
    context.say("instruction sets")
    chosen = core.isa()
    rows = []
    try:
        for case, work in works(context).items():
            runs = {
                isa: lambda isa=isa, work=work: (core.set_isa(isa), work())
                for isa, supported in core.isas()
                if supported
            }
            for isa, timing in interleave(runs, 3, context.clock).items():
                context.say(f"  {case}, {isa}: {format_seconds(timing.median)}")
                rows.append(
                    {
                        "case": case,
                        "isa": isa,
                        "ours_s": timing.median,
                        "ours_spread": timing.spread,
                    }
                )
    finally:
        core.set_isa(chosen)
    return rows


def works(context: Context) -> dict[str, Callable[[], object]]:
    """Our function in a few cases."""
    train, test = context.mnist
    found: dict[str, Callable[[], object]] = {}
    for name in ("lenet5", "mlp"):
        model = lenetshift.build_model(name, seed=0).eval()
        found[f"predict_shifts/{name}"] = lambda model=model: lenetshift.predict_shifts(
            model, test.images
        )
        found[f"train_epoch/{name}"] = train_epoch.our_epoch(model, train)
    x, weight, bias = torch.rand(1000, 6, 14, 14), torch.rand(60, 5, 5), torch.rand(16)
    found["c3_conv/forward/1000"] = lambda: torch.ops.lenetshift.c3_conv(
        x, weight, bias, c3_conv.MASKS
    )
    return found
