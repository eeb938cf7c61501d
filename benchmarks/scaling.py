"""Time against the number of shifts and of images, and the memory that an evaluation needs.

The images are repeated as often as needed. Each number of images has a process of its own, which
this file is too: ``python scaling.py MODEL THREADS ISA N_IMAGES`` prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from common import Context, format_seconds, in_own_process
from timing import best_of

import lenetshift
from lenetshift.checks.core import core
from lenetshift.figures.matplotlib_settings import figure_settings

N_IMAGES = (10_000, 60_000, 1_000_000)
GRIDS = (
    lenetshift.ShiftGrid(range(1), range(1)),  # 1 shift
    lenetshift.ShiftGrid(range(-2, 3), range(1)),  # 5
    lenetshift.ShiftGrid(),  # 55, the report's
    lenetshift.ShiftGrid(range(-10, 11), range(-10, 11)),  # 441
    lenetshift.ShiftGrid(range(-27, 28), range(-27, 28)),  # 3025, all that exist
)
N_IMAGES_FOR_SHIFTS = 2000
NAMES = {
    "lenet5": "LeNet-5",
    "symmetric_lenet5": "symmetric LeNet-5",
    "mlp": "MLP",
    "pooled_mlp": "pooled MLP",
}
"""The models, and what tables and figures call them."""

MODELS = tuple(NAMES)


def run(context: Context) -> dict[str, Any]:
    """``{"shifts": [...], "images": [...]}``, on the CPU."""
    context.say("scaling")
    shifts, images = [], []
    sizes = N_IMAGES[:-1] if context.quick else N_IMAGES
    for name in MODELS:
        shifts += against_shifts(context, name)
        images += against_images(name, context.threads, sizes)
        last = images[-1]
        context.say(
            f"  {name}: {last['n_images']:,} images in {last['seconds']:.2f} s, "
            f"{last['extra_mb']:.0f} MB in addition to images and predictions"
        )
    return {"shifts": shifts, "images": images}


def against_shifts(context: Context, name: str) -> list[dict[str, Any]]:
    """Seconds for a fixed number of images and each grid."""
    model = lenetshift.build_model(name, seed=0).eval()
    images = context.mnist[1].subset(200 if context.quick else N_IMAGES_FOR_SHIFTS).images
    found = []
    for grid in GRIDS:
        seconds = best_of(
            lambda grid=grid: lenetshift.predict_shifts(model, images, grid),
            1 if len(grid) > 441 else 3,
            context.clock,
        )
        found.append(
            {"model": name, "n_shifts": len(grid), "n_images": len(images), "seconds": seconds}
        )
    return found


def against_images(name: str, n_threads: int, sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Seconds and memory for the report's grid and each number of images."""
    return [in_own_process(__file__, name, n_threads, core.isa(), n) for n in sizes]


def measure(name: str, n_images: int) -> dict[str, Any]:
    """One evaluation: seconds, and by how many MB the peak of resident memory exceeds that before it.

    The images are loaded before. ``extra_mb`` does not count the predictions, which are the result.
    """
    _, test = lenetshift.load_mnist()
    repeats = -(-n_images // len(test))
    images = test.images.repeat(repeats, 1, 1)[:n_images].clone()
    model = lenetshift.build_model(name, seed=0).eval()
    # Each call in a thread of its own: a thread keeps the workspace of its last call.
    with ThreadPoolExecutor(1) as fresh:  # loads code and starts the kernels' threads
        fresh.submit(lenetshift.predict_shifts, model, images[:16]).result()
    before = reset_peak()
    with ThreadPoolExecutor(1) as fresh:
        start = time.perf_counter()
        predictions = fresh.submit(lenetshift.predict_shifts, model, images).result()
        seconds = time.perf_counter() - start
    grown = resident("VmHWM") - before
    predictions_mb = predictions.numel() / 1e6
    return {
        "model": name,
        "n_images": n_images,
        "seconds": seconds,
        "predictions_mb": predictions_mb,
        "extra_mb": max(0.0, grown - predictions_mb),
    }


def reset_peak() -> float:
    """Forget the process's peak of resident memory (Linux); MB that are resident now."""
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def resident(field: str) -> float:
    """MB: ``VmRSS``, now, or ``VmHWM``, the peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"{field}: not in /proc/self/status")


@figure_settings()
def draw(scaling: dict[str, Any], path: Path) -> None:
    """Two curves for each model, log-log, each with a line of proportional growth."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    # Okabe and Ito's colours, and markers for readers who do not see colours. The LeNets' times are nearly
    # equal: the symmetric one's line is wide and lies below.
    styles: dict[str, dict[str, Any]] = {
        "symmetric_lenet5": {"color": "#56B4E9", "marker": "s", "lw": 5, "markersize": 10},
        "lenet5": {"color": "#0072B2", "marker": "o"},
        "mlp": {"color": "#D55E00", "marker": "^"},
        "pooled_mlp": {"color": "#009E73", "marker": "D"},
    }
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, kind in zip(axes, ("shifts", "images"), strict=True):
        rows = scaling[kind]
        for name, style in styles.items():
            points = [(r[f"n_{kind}"], r["seconds"]) for r in rows if r["model"] == name]
            axis.loglog(*zip(*points, strict=True), label=NAMES[name], **style)
        x, y = zip(*((r[f"n_{kind}"], r["seconds"]) for r in rows), strict=True)
        proportional = [max(y) * n / max(x) for n in (min(x), max(x))]
        axis.loglog((min(x), max(x)), proportional, color="0.5", ls=":", label="proportional")
        axis.set_xlabel(f"number of {kind}")
        axis.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,.0f}"))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
        axis.set_ylabel("seconds")
        axis.grid(color="0.9", which="major")
    axes[0].set_title(f"{scaling['shifts'][0]['n_images']:,} images", size=11)
    axes[1].set_title("55 shifts", size=11)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False,
        fontsize=10, handlelength=2.5,
    )  # fmt: skip
    figure.savefig(path, dpi=150, metadata={"Description": described(scaling)})


def described(scaling: dict[str, Any]) -> str:
    """What the figure shows at each number of images, for those who cannot see it."""
    return "; ".join(
        f"{NAMES[row['model']]}, {row['n_images']:,} images under 55 shifts: "
        f"{format_seconds(row['seconds'])}"
        for row in scaling["images"]
    )


if __name__ == "__main__":
    model_name, threads, isa, count = sys.argv[1:]
    torch.set_num_threads(int(threads))
    core.set_isa(isa)
    json.dump(measure(model_name, int(count)), sys.stdout)
