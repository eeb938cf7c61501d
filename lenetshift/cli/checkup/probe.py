"""What ``doctor`` tries in another process, ``python -m lenetshift.cli.checkup.probe``: compiled core, torch,
ops, CUDA, figures. Nothing that is broken there can end the process of ``doctor``.

The other process writes the findings of each stage as a line of JSON when the stage ends. So the first stage
without a line is the one that ended the process, by an illegal instruction for one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from ...checks.errors import CoreError
from .finding import NOTE, WRONG, Finding, size

ROOT = Path(__file__).parents[3]
"""The folder that holds the package."""

PROBE_S = 180.0

BUILD = CoreError.do
GET_TORCH = "install PyTorch for this machine, see pytorch.org/get-started/locally"
DRIVER = Path("/proc/driver/nvidia")


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
    do = state = ""
    try:
        card = torch.cuda.get_device_properties(0)
        there = card.name
        capability = facts["capability"] = f"{card.major}.{card.minor}"
        facts |= {"card": card.name, "memory_bytes": card.total_memory}
        run_on_cuda()
        text = (
            f"{there}, capability {capability}, {size(card.total_memory)}, runs the kernels: used with "
            "--device cuda or auto, otherwise the CPU is used"
        )
    except Exception as error:  # no driver, no card, torch or the core built without CUDA
        reason = facts["reason"] = first_line(error)
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


def run_on_cuda() -> None:
    """Run a small op, which is registered, on the current CUDA device; raise whatever prevents it."""
    import torch

    images = torch.zeros(1, 28, 28, dtype=torch.uint8, device="cuda")
    shifts = torch.zeros(1, 2, dtype=torch.int64, device="cuda")
    torch.ops.lenetshift.translate(images, shifts).cpu()  # waits: a kernel's error comes late


def cards_of_driver() -> tuple[str | None, list[str]]:
    """The NVIDIA driver's version and its cards, as its kernel module names them."""
    try:
        first = (DRIVER / "version").read_text().partition("\n")[0]
    except OSError:
        return None, []
    version = re.search(r"\d+(\.\d+)+", first)
    cards = []
    for path in sorted(DRIVER.glob("gpus/*/information")):
        with contextlib.suppress(OSError):  # of a card that does not answer
            cards += re.findall(r"^Model:\s*(.*\S)", path.read_text(), re.MULTILINE)
    return (version[0] if version else first), cards


def figures() -> list[Finding]:
    """Whether Matplotlib can be used under this person's settings."""
    from lenetshift.figures.matplotlib_settings import figure_settings, import_matplotlib

    with figure_settings():
        version = import_matplotlib().__version__
    return [Finding("figures", f"Matplotlib {version} draws them", facts={"version": version})]


class Stage(NamedTuple):
    """One thing to try.

    Attributes:
        look: tries it.
        do: what to do if that raises.
        failure: the text of the finding then, before the error.
        needs: stages without which it is not tried.
    """

    look: Callable[[], list[Finding]]
    do: str
    failure: str = ""
    needs: frozenset[str] = frozenset()


BOTH = frozenset({"core", "torch"})
STAGES = {
    "core": Stage(core, BUILD),
    "torch": Stage(torch, GET_TORCH, "cannot be imported: "),
    "ops": Stage(
        ops, f"{BUILD}; if that does not help, set LENETSHIFT_ISA=portable, the simplest kernels",
        needs=BOTH,
    ),
    "CUDA": Stage(cuda, GET_TORCH, needs=BOTH),
    "figures": Stage(
        figures,
        "check the matplotlibrc that MATPLOTLIBRC names or that lies in ~/.config/matplotlib, or "
        "pip install --upgrade --force-reinstall matplotlib",
        "Matplotlib cannot be used: ",
    ),
}  # fmt: skip
"""Name of the first finding -> how it is found, in the order of trying."""


def failed(name: str, error: str) -> Finding:
    """The finding of a stage that fails."""
    stage = STAGES[name]
    return Finding(name, stage.failure + error, stage.do, {"error": error})


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its class if it has none."""
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def probe(names: list[str]) -> list[Finding]:
    """What the other process finds at the stages of these names, whatever happens to it."""
    places = [str(ROOT), *(place for place in sys.path if place and place != str(ROOT))]
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, *names],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_S,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        )
        output, end = done.stdout, f"the process that tried it {_end(done.returncode)}"
    except subprocess.TimeoutExpired as slow:
        output, end = slow.stdout or b"", f"it did not end within {PROBE_S:.0f} s"
    lines = output.splitlines()
    findings = [Finding(**each) for line in lines for each in json.loads(line)]
    untried = names[len(lines) :]
    if untried:
        findings.append(failed(untried.pop(0), end))
    text = "not tried: an earlier stage ended the process"
    return findings + [Finding(name, text, state=NOTE) for name in untried]


def _end(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    names = {each.value: each.name for each in signal.Signals}
    return f"was ended by signal {names.get(-code, -code)}"


def main(names: list[str]) -> None:
    """Go through the stages of these names."""
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what imported code prints is not a result
    wrong: set[str] = set()
    for name in names:
        if wrong & STAGES[name].needs:
            found = [Finding(name, "not tried without torch and the core", state=NOTE)]
        else:
            try:
                found = STAGES[name].look()
            except Exception as error:
                found = [failed(name, f"{type(error).__name__}: {first_line(error)}")]
        wrong |= {each.name for each in found if each.state == WRONG}
        print(json.dumps(list(map(asdict, found))), file=results, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
