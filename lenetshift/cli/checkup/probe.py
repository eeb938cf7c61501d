"""What ``lenetshift doctor`` tries, in a process of its own: ``python -m lenetshift.cli.checkup.probe``.

Each stage is a line of JSON when it begins, ``{"begin": NAME}``, and one when it ends, with what was found
or ``"error"``; so a stage that ends the process, by an illegal instruction for one, is known by name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


def core() -> dict[str, Any]:
    """The compiled core, which needs no torch."""
    from lenetshift.checks.core import core

    found = {"file": core.__file__, "has_cuda": core.has_cuda, "isas": dict(core.isas())}
    try:
        return {**found, "isa": core.isa()}
    except ValueError as error:  # LENETSHIFT_ISA names what this machine cannot run
        return {**found, "isa": None, "isa_error": str(error)}


def torch() -> dict[str, Any]:
    """PyTorch as it is imported here."""
    import torch

    return {
        "version": str(torch.__version__),
        "file": torch.__file__,
        "threads": torch.get_num_threads(),
        "cuda_build": torch.version.cuda,
    }


def ops() -> dict[str, Any]:
    """The ops, one of them compared with its plain twin."""
    import torch

    from lenetshift import LeNet5, ShiftGrid, predict_shifts

    images = torch.arange(2 * 28 * 28, dtype=torch.uint8).view(2, 28, 28)
    grid, model = ShiftGrid(range(-1, 2), range(2)), LeNet5()
    fused, plain = (
        predict_shifts(model, images, grid, method=method, return_logits=True)[1]
        for method in ("fused", "plain")
    )
    worst = float((fused - plain).abs().max())
    if not worst < 1e-4:  # float32; logits of about 1
        raise ValueError(f"predict_shifts_lenet5 and plain PyTorch differ by {worst:.1e}")
    return {"largest_difference": worst}


def cuda() -> dict[str, Any]:
    """The card, and one op there."""
    import torch

    import lenetshift.api  # noqa: F401  # registers the ops

    found: dict[str, Any] = {"available": torch.cuda.is_available()}
    try:
        torch.zeros(1, device="cuda")
        properties = torch.cuda.get_device_properties(0)
        found |= {
            "card": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "memory_bytes": properties.total_memory,
        }
        images = torch.zeros(1, 28, 28, dtype=torch.uint8, device="cuda")
        shifts = torch.zeros(1, 2, dtype=torch.int64, device="cuda")
        torch.ops.lenetshift.translate(images, shifts).cpu()
    except Exception as error:  # no driver, no card, torch or the core built without CUDA
        found["reason"] = _reason(error)
    return found


def figures() -> dict[str, Any]:
    """Matplotlib under the settings of this person."""
    from lenetshift.figures.matplotlib_settings import figure_settings, import_matplotlib

    with figure_settings():
        return {"version": import_matplotlib().__version__}


STAGES: dict[str, Callable[[], dict[str, Any]]] = {
    "core": core,
    "torch": torch,
    "ops": ops,
    "cuda": cuda,
    "figures": figures,
}


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def main(names: list[str]) -> None:
    """Go through the stages; those that build on one that failed fail too."""
    for name in names or STAGES:
        print(json.dumps({"begin": name}), flush=True)
        try:
            found = STAGES[name]()
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {_reason(error)}"}
        print(json.dumps({"end": name, **found}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
