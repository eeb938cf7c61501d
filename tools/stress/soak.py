"""Load tests: many images, shifts, threads and calls, and a changing number of cores. Prints a table.

    python tools/stress/soak.py            some minutes
    python tools/stress/soak.py --quick    smaller, to see that it works

Memory is the peak of resident memory without images and answers.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from scaling import reset_peak, resident

import lenetshift

GRID = lenetshift.ShiftGrid()


def main() -> int:
    """Measure and print. Returns 1 if something grows or differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parts = 20 if parser.parse_args().quick else 1
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    _, test = lenetshift.load_mnist()
    model = lenetshift.build_model("lenet5", seed=0)
    lenetshift.predict_shifts(model, test.images)  # warm
    print("| load | measured | |\n|---|---|---|")
    loads = (images, shifts, threads, calls, one_core, coming_and_going, quota)
    good = [load(model, test.images, parts) for load in loads]
    return int(not all(good))


def row(what: str, measured: str, good: bool) -> bool:
    """Print a line of the table."""
    print(f"| {what} | {measured} | {'' if good else '**wrong**'} |", flush=True)
    return good


def timed(run: Callable[[], object], times: int = 3) -> float:
    """The shortest of several times, in seconds."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def images(model: torch.nn.Module, some: torch.Tensor, parts: int) -> bool:
    """A million images."""
    many = some.repeat(100 // parts, 1, 1)
    few_s = timed(lambda: lenetshift.predict_shifts(model, some))
    before = reset_peak()
    start = time.perf_counter()
    answers = lenetshift.predict_shifts(model, many)
    seconds = time.perf_counter() - start
    extra = max(0.0, resident("VmHWM") - before - answers.nbytes / 1e6)
    right = bool((answers.view(-1, len(some), *GRID.shape) == answers[: len(some)]).all())
    return row(
        f"{len(many):,} images, 55 shifts",
        f"{seconds:.1f} s, {seconds / len(many) / (few_s / len(some)):.2f} x the time an image that "
        f"{len(some):,} take, {extra:.0f} MB",
        right and extra < 64,
    )


def shifts(model: torch.nn.Module, some: torch.Tensor, parts: int) -> bool:
    """Three thousand shifts."""
    grid, few = lenetshift.ShiftGrid(range(-27, 28), range(-27, 28)), some[: 1000 // parts]
    start = time.perf_counter()
    answers = lenetshift.predict_shifts(model, few, grid)
    seconds = time.perf_counter() - start
    centre = answers[:, 25:30, 22:33]
    right = torch.equal(centre, lenetshift.predict_shifts(model, few))
    return row(
        f"{len(few):,} images, {len(grid):,} shifts",
        f"{seconds:.2f} s, {seconds / answers.numel() * 1e6:.2f} µs a pattern", right,
    )  # fmt: skip


@contextlib.contextmanager
def with_threads(n: int) -> Iterator[None]:
    """Use that many threads in the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads(model: torch.nn.Module, some: torch.Tensor, parts: int) -> bool:
    """64 threads on the available cores."""
    few = some[: 2000 // parts]
    least = timed(lambda: lenetshift.predict_shifts(model, few))
    with with_threads(64):
        many = timed(lambda: lenetshift.predict_shifts(model, few))
    cores = len(os.sched_getaffinity(0))
    return row(
        f"64 threads on {cores} cores",
        f"{many / least:.2f} x the time of {cores}",
        many < 2 * least,
    )


def calls(model: torch.nn.Module, some: torch.Tensor, parts: int) -> bool:
    """Ten thousand small calls of every op."""
    masks = lenetshift.c3_table.table_masks(lenetshift.C3_TABLE)
    x, w, b = torch.rand(4, 6, 14, 14), torch.rand(60, 5, 5, requires_grad=True), torch.rand(16)
    shifts, few = GRID.shifts(), some[:8]
    table, kernels = torch.tensor([[-1, 0], [3, 9]]), torch.rand(5, 6, 2, 2)

    def call() -> None:
        torch.ops.lenetshift.c3_conv(x, w, b, masks).sum().backward()
        torch.ops.lenetshift.translate(few, shifts)
        torch.ops.lenetshift.indirect_conv2d(x, kernels, b[:5], table, table)
        torch.ops.lenetshift.indirect_pool2d(x, table, table, True)
        lenetshift.predict_shifts(model, few)

    def counts() -> tuple[float, int, int]:
        return (
            resident("VmRSS"),
            len(os.listdir("/proc/self/task")),
            len(os.listdir("/proc/self/fd")),
        )

    for _ in range(500 // parts):
        call()
    memory, n_threads, n_files = counts()
    for _ in range(10_000 // parts):
        call()
    grown = [now - then for now, then in zip(counts(), (memory, n_threads, n_files), strict=True)]
    return row(
        f"{10_000 // parts:,} times c3_conv with gradient, translate, indirect_*, predict_shifts",
        f"{grown[0]:+.1f} MB, {grown[1]:+d} threads, {grown[2]:+d} open files",
        grown[0] < 8 and grown[1] == grown[2] == 0,
    )


def one_core(model: torch.nn.Module, some: torch.Tensor, parts: int) -> bool:
    """Two threads that share a core, compared with one."""
    few, cores = some[: 2000 // parts], os.sched_getaffinity(0)
    use_cores({min(cores)})
    try:
        with with_threads(1):
            alone = timed(lambda: lenetshift.predict_shifts(model, few))
        with with_threads(2):
            both = timed(lambda: lenetshift.predict_shifts(model, few))
            train = timed(lambda: train_a_little(2 if parts > 1 else 10), 1)
        with with_threads(1):
            train /= timed(lambda: train_a_little(2 if parts > 1 else 10), 1)
    finally:
        use_cores(cores)
    return row(
        "two threads on one core",
        f"evaluation {both / alone:.2f} x, training {train:.2f} x the time of one thread",
        both < 2 * alone and train < 3,
    )


def use_cores(cores: set[int]) -> None:
    """Let the threads of this process run on these cores only."""
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):  # the thread has ended
            os.sched_setaffinity(int(task), cores)


@contextlib.contextmanager
def meanwhile(change: Callable[[threading.Event], None]) -> Iterator[None]:
    """Call a function in another thread during the context; the event is set when it must return."""
    stop = threading.Event()
    other = threading.Thread(target=change, args=(stop,))
    other.start()
    try:
        yield
    finally:
        stop.set()
        other.join()


def train_a_little(n_hundreds: int) -> None:
    """Training steps of LeNet-5, whose threads wait for each other twice in each step."""
    train_set, _ = lenetshift.load_mnist()
    lenetshift.train(
        lenetshift.build_model("lenet5", seed=0), train_set.subset(100 * n_hundreds),
        epochs=1, learning_rate=0.1, batch_size=10, seed=0,
    )  # fmt: skip


def coming_and_going(model: torch.nn.Module, some: torch.Tensor, parts: int) -> bool:
    """A core that is removed and returned every few hundredths of a second."""
    few, cores = some[: 4000 // parts], sorted(os.sched_getaffinity(0))
    expected = lenetshift.predict_shifts(model, few)
    steady = timed(lambda: lenetshift.predict_shifts(model, few))

    def change(stop: threading.Event) -> None:
        k = 0
        while not stop.wait(0.03):
            k += 1
            use_cores(set(cores) if k % 2 else {cores[k // 2 % len(cores)]})
        use_cores(set(cores))

    right = True
    with meanwhile(change):
        start = time.perf_counter()
        for _ in range(5):
            right &= torch.equal(lenetshift.predict_shifts(model, few), expected)
        seconds = (time.perf_counter() - start) / 5
    return row(
        "one core less half of the time",
        f"{seconds / steady:.2f} x the time with all ({len(cores)}), the same answers", right,
    )  # fmt: skip


def quota(model: torch.nn.Module, some: torch.Tensor, parts: int) -> bool:
    """A control group whose CPU quota changes every few tenths of a second, as in a container."""
    what = "a quota between half a core and all cores (cgroup), changing"
    few, period_us = some[: 4000 // parts], 100_000
    expected = lenetshift.predict_shifts(model, few)
    steady = timed(lambda: lenetshift.predict_shifts(model, few))
    cores = len(os.sched_getaffinity(0))
    granted = []
    try:
        with control_group() as grant:

            def change(stop: threading.Event) -> None:
                while not stop.is_set():
                    for share in (cores, 0.5, 1.5):
                        grant(int(share * period_us), period_us)
                        granted.append(share)
                        stop.wait(0.2)

            with meanwhile(change):
                start = time.perf_counter()
                runs = 0
                while time.perf_counter() - start < 60 / parts:
                    if not torch.equal(lenetshift.predict_shifts(model, few), expected):
                        return row(what, "other answers", False)
                    runs += 1
                seconds = (time.perf_counter() - start) / runs
    except OSError as error:
        return row(what, f"not tried: {error}", True)
    fair = cores / (sum(granted) / len(granted))
    return row(
        what,
        f"{seconds / steady:.2f} x the time without, {fair:.2f} x would be proportional; the same answers",
        seconds / steady < 2 * fair,
    )


@contextlib.contextmanager
def control_group() -> Iterator[Callable[[int, int], None]]:
    """Move this process into a control group of its own, and yield a function that sets its quota of
    microseconds in each period. OSError if control groups cannot be made."""
    root = Path("/sys/fs/cgroup")
    old = (root / "cpu" / "cpu.cfs_quota_us").exists()  # version 1
    parent = root / "cpu" if old else root
    group = parent / f"lenetshift_soak_{os.getpid()}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(os.getpid()))

        def grant(quota_us: int, period_us: int) -> None:
            if old:
                (group / "cpu.cfs_period_us").write_text(str(period_us))
                (group / "cpu.cfs_quota_us").write_text(str(quota_us))
            else:
                (group / "cpu.max").write_text(f"{quota_us} {period_us}")

        yield grant
    finally:
        with contextlib.suppress(OSError):
            (parent / "cgroup.procs").write_text(str(os.getpid()))
            group.rmdir()


if __name__ == "__main__":
    sys.exit(main())
