"""What ``doctor`` tries in another process, ``python -m lenetshift.cli.checkup.probe``: compiled core, torch,
ops, CUDA, figures.

Each stage writes a line of JSON when it begins, ``[NAME, null]``, and one when it ends, ``[NAME, FINDINGS]``.
So a stage that ends the process, by an illegal instruction for one, is known by name.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...checks.errors import CoreError
from .finding import NOTE, WRONG, Finding, size

BUILD = CoreError.do
GET_TORCH = "install PyTorch for this machine, see pytorch.org/get-started/locally"


@dataclass(frozen=True)
class Stage:
    """One thing to try.

    Attributes:
        name: of its finding, or the first of them.
        look: tries it.
        failure: the text of the finding if that raises, before the error.
        do: what to do then.
        needs: stages without which it is not tried.
    """

    name: str
    look: Callable[[], list[Finding]]
    failure: str
    do: str
    needs: frozenset[str] = frozenset()

    def failed(self, error: str) -> Finding:
        """The finding if it fails."""
        return Finding(self.name, self.failure + error, self.do, {"error": error})


def core() -> list[Finding]:
    """Whether the compiled core, which needs no torch, fits the package; which instruction set it uses, and
    why."""
    try:
        from lenetshift.checks.core import core
    except CoreError as error:
        return [Finding("core", error.reason, error.do)]
    kernels = "with CUDA kernels" if core.has_cuda else "without CUDA kernels"
    facts = {"file": core.__file__, "has_cuda": core.has_cuda, "isas": dict(core.isas())}
    fits = Finding("core", f"{core.__file__}, {kernels}, fits the package", facts=facts)
    has = [name for name, supported in core.isas() if supported]
    lacks = [name for name, supported in core.isas() if not supported]
    forced = os.environ.get("LENETSHIFT_ISA")
    of_isa = {"isa": None, "processor_has": has, "LENETSHIFT_ISA": forced}
    try:
        used = of_isa["isa"] = core.isa()
    except ValueError as error:  # LENETSHIFT_ISA names what this machine cannot run
        do = f"unset LENETSHIFT_ISA, or set it to one of {', '.join(has)}"
        return [fits, Finding("instructions", str(error), do, of_isa)]
    text = f"{used}: the fastest that this processor has"
    text += f"; it lacks {', '.join(lacks)}" if lacks else ""
    if forced:
        text = f"{used}, chosen by LENETSHIFT_ISA; this processor has {', '.join(has)}"
    do = f"unset LENETSHIFT_ISA to use {has[-1]}" if used != has[-1] else ""
    return [fits, Finding("instructions", text, do, of_isa, NOTE if do else "")]


def torch() -> list[Finding]:
    """Which PyTorch is there."""
    import torch

    version, build = str(torch.__version__), torch.version.cuda
    n_threads = torch.get_num_threads()
    facts = {"version": version, "file": torch.__file__, "threads": n_threads, "cuda_build": build}
    cuda = f"built for CUDA {build}" if build else "built without CUDA"
    return [Finding("torch", f"{version}, {cuda}, {torch.__file__}", facts=facts)]


def ops() -> list[Finding]:
    """Whether one of the ops gives the answers of plain PyTorch."""
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
    text = f"torch.ops.lenetshift gives the answers of plain PyTorch, to {worst:.0e}"
    return [Finding("ops", text, facts={"largest_difference": worst})]


def cuda() -> list[Finding]:
    """Whether a card is used, and why or why not."""
    import torch

    import lenetshift.api  # noqa: F401  # registers the ops
    from lenetshift.checks.core import core

    driver, cards = cards_of_driver()
    available, build = torch.cuda.is_available(), torch.version.cuda
    facts: dict[str, Any] = {"driver": driver, "cards": cards, "available": available}
    there = f"driver {driver}, {', '.join(cards) or 'which names no card'}"
    text = do = state = ""
    try:
        card = torch.cuda.get_device_properties(0)
        there = card.name
        capability = facts["capability"] = f"{card.major}.{card.minor}"
        facts |= {"card": card.name, "memory_bytes": card.total_memory}
        images = torch.zeros(1, 28, 28, dtype=torch.uint8, device="cuda")
        shifts = torch.zeros(1, 2, dtype=torch.int64, device="cuda")
        torch.ops.lenetshift.translate(images, shifts).cpu()
        text = (
            f"{there}, capability {capability}, {size(card.total_memory)}, runs the kernels: used "
        )
        text += "with --device cuda or auto, otherwise the CPU is used"
    except Exception as error:  # no driver, no card, torch or the core built without CUDA
        reason = facts["reason"] = _first_line(error)
        if not available and driver is None:
            text = "no NVIDIA driver: the CPU is used, also with --device auto"
        elif build is None:
            text = f"{there}, but PyTorch is built without CUDA: the CPU is used"
            do, state = GET_TORCH.replace("PyTorch", "PyTorch's CUDA build"), NOTE
        elif available and not core.has_cuda:
            text = f"{there}, but the core is built without CUDA kernels: the CPU is used"
            do, state = "with nvcc on PATH: pip install . -C cmake.define.LENETSHIFT_CUDA=ON", NOTE
        else:
            text = f"{there}, but: {reason}"
            do = (
                "check whether nvidia-smi shows the card, and whether its driver is new enough for "
            )
            do += f"PyTorch's CUDA {build}"
    return [Finding("CUDA", text, do, facts, state)]


def cards_of_driver() -> tuple[str | None, list[str]]:
    """The NVIDIA driver's version and its cards, as its kernel module names them."""
    place = Path("/proc/driver/nvidia")
    try:
        first = (place / "version").read_text().partition("\n")[0]
        about = "\n".join(p.read_text() for p in sorted(place.glob("gpus/*/information")))
    except OSError:
        return None, []
    version = re.search(r"\d+(\.\d+)+", first)
    return (version[0] if version else first), re.findall(r"^Model:\s*(.*\S)", about, re.MULTILINE)


def figures() -> list[Finding]:
    """Whether Matplotlib can be used under this person's settings."""
    from lenetshift.figures.matplotlib_settings import figure_settings, import_matplotlib

    with figure_settings():
        version = import_matplotlib().__version__
    return [Finding("figures", f"Matplotlib {version} draws them", facts={"version": version})]


STAGES = (
    Stage("core", core, "", BUILD),
    Stage("torch", torch, "cannot be imported: ", GET_TORCH),
    Stage(
        "ops", ops, "",
        f"{BUILD}; if that does not help, set LENETSHIFT_ISA=portable, the simplest kernels",
        frozenset({"core", "torch"}),
    ),
    Stage("CUDA", cuda, "", GET_TORCH, frozenset({"core", "torch"})),
    Stage(
        "figures", figures, "Matplotlib cannot be used: ",
        "check the matplotlibrc that MATPLOTLIBRC names or that lies in ~/.config/matplotlib, or "
        "pip install --upgrade --force-reinstall matplotlib",
    ),
)  # fmt: skip


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def main(names: list[str]) -> None:
    """Go through the stages of these names."""
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what imported code prints is no result
    failed: set[str] = set()
    for stage in (stage for stage in STAGES if stage.name in names):
        print(json.dumps([stage.name, None]), file=results, flush=True)
        if failed & stage.needs:
            found = [Finding(stage.name, "not tried without torch and the core", state=NOTE)]
        else:
            try:
                found = stage.look()
            except Exception as error:
                found = [stage.failed(f"{type(error).__name__}: {_first_line(error)}")]
        failed |= {each.name for each in found if each.state == WRONG}
        print(json.dumps([stage.name, list(map(asdict, found))]), file=results, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
