"""The parts of the machine that a command uses: device, threads, instruction set, Matplotlib."""

from __future__ import annotations

import torch

from ..checks.errors import UsageError
from ..figures.matplotlib_settings import figure_settings
from ..ops import isa
from ..storage.environment import available_cpus
from .checkup.probe import first_line, run_on_cuda
from .streams import say


def pick_device(wanted: str) -> torch.device:
    """The device to use, after one small op there; prints which device ``auto`` is, and why not CUDA."""
    if wanted == "cpu":
        return torch.device("cpu")
    try:
        run_on_cuda()
        if wanted == "auto":
            say(f"--device auto: cuda, {torch.cuda.get_device_name()}")
        return torch.device("cuda")
    except Exception as error:  # no driver, no device, torch or lenetshift built without CUDA
        reason = first_line(error)
        if wanted == "auto":
            say(f"--device auto: cpu; cuda is not available: {reason}")
            return torch.device("cpu")
        raise UsageError(f"argument --device: cuda is not available: {reason}") from error


def set_threads(wanted: int | None) -> None:
    """Use the threads asked for, or PyTorch's choice, but no more than there are CPUs: more threads would
    wait for each other, for minutes instead of a second."""
    n_threads = torch.get_num_threads() if wanted is None else wanted
    n_cpus = available_cpus()
    if n_threads > n_cpus:
        asked = "PyTorch's choice of threads" if wanted is None else "argument --threads"
        say(
            f"{asked}: got {n_threads}, expected at most {n_cpus}, the CPUs that this process may "
            f"use: {n_cpus} used"
        )
        n_threads = n_cpus
    if n_threads != torch.get_num_threads():
        torch.set_num_threads(n_threads)


def check_isa() -> str:
    """The instruction set of the CPU kernels; UsageError if LENETSHIFT_ISA names one that this machine
    lacks."""
    try:
        return isa()
    except ValueError as error:
        raise UsageError(str(error)) from error


def check_matplotlib() -> None:
    """Raise UsageError if Matplotlib cannot be used: before the work, not after it."""
    try:
        with figure_settings():
            pass
    except Exception as error:  # a matplotlibrc that cannot be read, a damaged installation
        reason = f"Matplotlib, which draws the figures, cannot be used: {first_line(error)}"
        raise UsageError(reason) from error
