"""Verify, then time lenetshift and its peers. ``python benchmarks/run.py --help``."""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import c3_conv
import cuda_limits
import indirect
import isas
import machine
import own
import predict_shifts
import report
import reproduce
import scaling
import study
import torch
import train_epoch
from common import Context, in_short
from networks import NETWORKS

from lenetshift.checks.core import core

Case = Callable[[Context], dict[str, Any]]

CASES: dict[str, Case] = {
    **{
        f"predict_shifts/{name}": functools.partial(predict_shifts.run, name=name)
        for name in ("lenet5", "symmetric_lenet5", "mlp", "pooled_mlp")
    },
    **{
        f"c3_conv/{direction}/{n}": functools.partial(
            c3_conv.run, direction=direction, batch_size=n
        )
        for n in (64, 1000)
        for direction in ("forward", "forward_backward")
    },
    **{
        f"train_epoch/{name}": functools.partial(train_epoch.run, name=name)
        for name in ("lenet5", "mlp", "pooled_mlp")
    },
    **{f"indirect/{name}": functools.partial(indirect.run, name=name) for name in indirect.LAYERS},
    **{f"own/{name}": functools.partial(own.run, name=name) for name in NETWORKS},
    "reproduce": reproduce.run,
    "study/table": study.run,
}
CUDA_CASES: dict[str, Case] = {
    f"c3_conv/{direction}/{n}/graph": functools.partial(
        c3_conv.run, direction=direction, batch_size=n, graph=True
    )
    for n in (64, 1000)
    for direction in ("forward", "forward_backward")
}
EXTRAS = {"isas": isas.run, "scaling": scaling.run}  # CPU only


ALL_CASES = CASES | CUDA_CASES


def names(device: str) -> list[str]:
    """What can be run on a device."""
    return [*ALL_CASES] if device == "cuda" else [*CASES, *EXTRAS]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python benchmarks/run.py", description=__doc__)
    made.add_argument("--json", type=Path, metavar="FILE", help="write the results here too")
    made.add_argument(
        "--readme", action="store_true", help="put the tables into benchmarks/README.md"
    )
    made.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="cases, or prefixes of their names, from: " + ", ".join([*ALL_CASES, *EXTRAS]),
    )
    made.add_argument(
        "--keep",
        action="store_true",
        help="keep the cases in --json's FILE that are not chosen; the tables say so",
    )
    made.add_argument(
        "--quick", action="store_true", help="a twentieth of the data, fewer repetitions"
    )
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    made.add_argument("--threads", type=int, metavar="N", help="default: PyTorch's choice")
    made.add_argument("--isa", choices=[name for name, supported in core.isas() if supported])
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen cases. Returns 0, 1 if a case fails, or 2 if nothing can be run."""
    made = parser()
    args = made.parse_args(arguments)
    every = names(args.device)
    for name in args.only or ():
        if not any(case.startswith(name) for case in every):
            made.error(f"argument --only: {name!r} is not a prefix of any of {', '.join(every)}")
    if args.threads is not None and args.threads < 1:
        made.error(f"argument --threads: got {args.threads}, expected 1 or more")
    if args.keep and not (args.json and args.json.exists()):
        made.error(f"argument --keep: --json does not name an existing file: {args.json}")
    if args.device == "cuda" and not torch.cuda.is_available():
        print("argument --device: cuda is not available: PyTorch finds no device", file=sys.stderr)
        return 2
    if args.device == "cuda" and not core.has_cuda:
        print("argument --device: lenetshift was built without CUDA kernels", file=sys.stderr)
        return 2
    chosen = [n for n in every if not args.only or any(n.startswith(o) for o in args.only)]
    earlier = json.loads(args.json.read_text()) if args.keep else None
    results = measure(args, chosen)
    if earlier is not None:
        results = with_kept(results, earlier)
    print()
    print(report.tables(results))
    write(results, args.json)
    if args.readme:
        report.update_readme(results)
        report.draw(results)
    return 1 if results["failed"] else 0


def measure(args: argparse.Namespace, chosen: Sequence[str]) -> dict[str, Any]:
    """The result file's contents."""
    start = time.perf_counter()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    if args.isa is not None:
        core.set_isa(args.isa)
        os.environ["LENETSHIFT_ISA"] = args.isa  # for the processes that cases start
    threads, limits = torch.get_num_threads(), None
    peak = machine.peak_gflops(threads)
    if args.device == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # peers compute in float32, as we do
        limits = cuda_limits.device_limits()
        peak = limits["matmul_gflops"]
    results: dict[str, Any] = {
        "schema": 1,
        "machine": machine.machine(),
        "load_before": machine.load(),
        "versions": machine.versions(),
        "device": args.device,
        "isa": core.isa(),
        "threads": threads,
        "quick": args.quick,
        "peak_gflops": peak,
        "device_limits": limits,
        "cases": [],
        "failed": {},
    }
    print(report.heading(results), flush=True)
    copy_gb_s = limits["copy_gb_s"] if limits else None
    context = Context(torch.device(args.device), threads, args.quick, peak, copy_gb_s, say)
    for name in chosen:
        try:
            if name in ALL_CASES:
                say(name)
                results["cases"].append(ALL_CASES[name](context))
                say(report.line(results["cases"][-1]))
            else:
                results[name] = EXTRAS[name](context)
        except Exception as error:  # results that differ, an op without a kernel for this device
            results["failed"][name] = in_short(error)
            say(f"  {name}: failed, {results['failed'][name]}")
        if args.device == "cpu":  # the machine may have been stopped while the peak was measured
            results["peak_gflops"] = max(results["peak_gflops"], machine.peak_gflops(threads))
            for case in results["cases"]:
                if case["gflops"] is not None:
                    case["fraction_of_peak"] = case["gflops"] / results["peak_gflops"]
        results["unavailable"] = context.unavailable
        results["wall_s"] = time.perf_counter() - start
        write(results, None if args.keep else args.json)
    return results


def with_kept(results: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    """Results, with the cases and extras of an earlier run that this run did not measure; ValueError if that
    run was on another machine or of another version."""
    for name in ("machine", "device", "threads", "isa"):
        if earlier[name] != results[name]:
            raise ValueError(
                f"--keep: {name}: the file has {earlier[name]}, this run {results[name]}"
            )
    then, now = (each["versions"]["lenetshift"] for each in (earlier, results))
    if then != now:
        raise ValueError(f"--keep: the file is of lenetshift {then}, this run of {now}")
    new = {case["case"]: case for case in results["cases"]}
    old = {case["case"]: case for case in earlier["cases"] if case["case"] not in new}
    extras = {name: earlier[name] for name in EXTRAS if name in earlier and name not in results}
    cases = {**old, **new}
    return {
        **results,
        **extras,
        "cases": [cases[name] for name in ALL_CASES if name in cases],
        "kept": [*old, *extras],
        "unavailable": {**earlier["unavailable"], **results["unavailable"]},
        "versions": {k: v or earlier["versions"].get(k) for k, v in results["versions"].items()},
    }


def write(results: dict[str, Any], file: Path | None) -> None:
    """Print the results so far: a run takes a long time."""
    if file:
        file.write_text(json.dumps(results, indent=1) + "\n")


def say(text: str) -> None:
    """A line of progress."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
