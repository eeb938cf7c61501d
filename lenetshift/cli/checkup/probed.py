"""What the other process has found: core, instruction set, threads, torch, ops, CUDA, figures."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .finding import (
    BUILD,
    GET_TORCH,
    NOTE,
    OK,
    WRONG,
    Finding,
    size,
)
from .installed import NEEDED
from .resources import cpu_quota


def untried(name: str) -> Finding:
    """Of a stage that was not come to."""
    return Finding(name, NOTE, "not tried: what was tried before it has ended the process")


def core(probed: Mapping[str, Any]) -> Finding:
    """Whether the compiled core fits the package."""
    core = probed["core"]
    if "error" in core:
        reason = core["error"].removeprefix("ImportError: ")
        return Finding("core", WRONG, reason.removesuffix(f": {BUILD}"), BUILD, core)
    kernels = "with CUDA kernels" if core["has_cuda"] else "without CUDA kernels"
    return Finding("core", OK, f"{core['file']}, {kernels}, fits the package", facts=core)


def isa(probed: Mapping[str, Any]) -> Finding:
    """Which instruction set is used, and why."""
    core, forced = probed["core"], os.environ.get("LENETSHIFT_ISA")
    name = "instructions"
    if "error" in core:
        return Finding(name, NOTE, "not known without the core", facts=core)
    has = [isa for isa, supported in core["isas"].items() if supported]
    lacks = [isa for isa, supported in core["isas"].items() if not supported]
    facts = {"isa": core["isa"], "processor_has": has, "LENETSHIFT_ISA": forced}
    if core["isa"] is None:
        do = f"unset LENETSHIFT_ISA, or let it name one of {', '.join(has)}"
        return Finding(name, WRONG, core["isa_error"], do, facts)
    if forced:
        text = f"{core['isa']}, as LENETSHIFT_ISA says; this processor has {', '.join(has)}"
        if core["isa"] != has[-1]:
            do = f"unset LENETSHIFT_ISA to use {has[-1]}"
            return Finding(name, NOTE, text, do, facts)
        return Finding(name, OK, text, facts=facts)
    text = f"{core['isa']}: the fastest that this processor has"
    return Finding(
        name, OK, text + (f"; it lacks {', '.join(lacks)}" if lacks else ""), facts=facts
    )


def threads(probed: Mapping[str, Any]) -> Finding:
    """How many threads are used, and why."""
    n_cpus = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else n_cpus
    quota, wanted = cpu_quota(), probed.get("torch", {}).get("threads")
    variables = {
        name: os.environ[name]
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
        if name in os.environ
    }
    facts = {
        "cpus": n_cpus,
        "allowed_cpus": allowed,
        "quota_cpus": quota,
        "torch_threads": wanted,
        "environment": variables,
    }
    used = allowed if wanted is None else min(wanted, allowed)
    text = f"{used}" if wanted is not None else f"at most {used}"
    why = [f"{n_cpus} CPUs"]
    if allowed < n_cpus:
        why.append(f"this process may use {allowed}")
    if quota is not None:
        why.append(f"the container's time is that of {quota:g}")
    if wanted is not None:
        why.append(f"PyTorch takes {wanted}")
    why += [f"{name}={value}" for name, value in variables.items()]
    text += f": {', '.join(why)}"
    if quota is not None and used > max(1, quota):
        n = max(1, int(quota))
        do = f"use --threads {n}, or set OMP_NUM_THREADS={n}: threads beyond the quota stand still in turns"
        return Finding("threads", NOTE, text, do, facts)
    return Finding("threads", OK, text, facts=facts)


def torch(probed: Mapping[str, Any]) -> Finding:
    """Which PyTorch is there."""
    torch = probed["torch"]
    if "error" in torch:
        return Finding("torch", WRONG, f"cannot be imported: {torch['error']}", GET_TORCH, torch)
    cuda = f"built for CUDA {torch['cuda_build']}" if torch["cuda_build"] else "built without CUDA"
    return Finding("torch", OK, f"{torch['version']}, {cuda}, {torch['file']}", facts=torch)


def ops(probed: Mapping[str, Any]) -> Finding:
    """Whether the ops answer as plain PyTorch does."""
    ops = probed["ops"]
    if "error" not in ops:
        text = f"torch.ops.lenetshift answers as plain PyTorch, to {ops['largest_difference']:.0e}"
        return Finding("ops", OK, text, facts=ops)
    if "error" in probed["torch"] or "error" in probed["core"]:
        return Finding("ops", NOTE, "not tried without torch and the core", facts=ops)
    do = f"{BUILD}; if that does not help, "
    do += "LENETSHIFT_ISA=portable takes the plainest kernels"
    return Finding("ops", WRONG, ops["error"], do, ops)


def cards_of_driver() -> tuple[str | None, list[str]]:
    """The NVIDIA driver's version and its cards, as the kernel module names them."""
    place = Path("/proc/driver/nvidia")
    try:
        first = (place / "version").read_text().splitlines()[0]
    except (OSError, IndexError):
        return None, []
    version = re.search(r"\d+(\.\d+)+", first)
    cards = []
    for path in sorted(place.glob("gpus/*/information")):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        cards += [line.split(":", 1)[1].strip() for line in lines if line.startswith("Model")]
    return (version[0] if version else first), cards


def cuda(probed: Mapping[str, Any]) -> Finding:
    """Whether a card is used, and why or why not."""
    driver, cards = cards_of_driver()
    torch, core = probed["torch"], probed["core"]
    cuda = probed["cuda"]
    facts = {"driver": driver, "cards": cards, **cuda}
    there = f"driver {driver}, {', '.join(cards) or 'no card named'}"
    uses_cpu = "the CPU is used"
    if "error" in torch or "error" in core:
        return Finding("CUDA", NOTE, "not tried without torch and the core", facts=facts)
    if "error" in cuda:
        return Finding("CUDA", WRONG, f"{there}: {cuda['error']}", GET_TORCH, facts)
    if cuda["available"] and "reason" not in cuda:
        text = f"{cuda['card']}, capability {cuda['capability']}, {size(cuda['memory_bytes'])}, "
        text += "runs the kernels: --device cuda or auto takes it, else the CPU is used"
        return Finding("CUDA", OK, text, facts=facts)
    if not cuda["available"] and driver is None:
        text = f"no NVIDIA driver: {uses_cpu}, also with --device auto"
        return Finding("CUDA", OK, text, facts=facts)
    if torch["cuda_build"] is None:
        text = f"{there}, but PyTorch is built without CUDA: {uses_cpu}"
        return Finding(
            "CUDA", NOTE, text, GET_TORCH.replace("PyTorch", "PyTorch's CUDA build"), facts
        )
    if cuda["available"] and not core["has_cuda"]:
        text = f"{cuda.get('card', there)}, but the core is built without CUDA kernels: {uses_cpu}"
        do = "with nvcc on PATH: pip install . -C cmake.define.LENETSHIFT_CUDA=ON"
        return Finding("CUDA", NOTE, text, do, facts)
    do = "see whether nvidia-smi shows the card, and whether its driver is new enough for PyTorch's CUDA "
    do += f"{torch['cuda_build']}"
    reason = cuda.get("reason", "PyTorch finds no card")
    return Finding("CUDA", WRONG, f"{there}, but: {reason}", do, facts)


def figures(probed: Mapping[str, Any]) -> Finding:
    """Whether Matplotlib can be used."""
    figures = probed["figures"]
    if "error" in figures:
        do = "see to the matplotlibrc that MATPLOTLIBRC names or that lies in ~/.config/matplotlib, or "
        do += "pip install --force-reinstall matplotlib"
        if "No module named 'matplotlib'" in figures["error"]:
            do = f"pip install 'matplotlib>={NEEDED['matplotlib']}'"
        return Finding(
            "figures", WRONG, f"Matplotlib cannot be used: {figures['error']}", do, figures
        )
    return Finding("figures", OK, f"Matplotlib {figures['version']} draws them", facts=figures)
