"""Run commands on disks that are too small, from no space to enough: nothing may be lost.

    python tools/stress/full_disk.py              40 sizes for `reproduce`, 20 for `study`
    python tools/stress/full_disk.py --sizes 4    fewer

The disk is a tmpfs of that size (Linux; as root, or where users may have namespaces of their own). `study`
asks for room before it begins, so its disk is filled up to that size once it has begun. A run that does not
fit must end with one line and status 2, and leave no half-written file. Then there is room, and the run goes
on with --resume: what it leaves must equal what a run with enough space leaves.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from kill import ROOT, FailedError, compare, in_scratch


@dataclass(frozen=True)
class Case:
    """A command, the number of sizes, and whether the disk is filled after the command has started."""

    command: tuple[str, ...]
    sizes: int
    filled_later: bool


CASES = {
    "reproduce": Case(
        ("-m", "lenetshift.reproduce", "--quick", "--models", "lenet5", "pooled_mlp"), 40, False
    ),
    "study": Case(
        ("-m", "lenetshift.study", "--quick", "--experiments", "table", "--jobs", "1"), 20, True
    ),
}
ENOUGH = 1 << 30


def main() -> int:
    """Run both commands. Returns 1 if something was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, help="for each command")
    args = parser.parse_args()
    if "LENETSHIFT_OWN_MOUNTS" not in os.environ:  # its mounts end with this process
        own = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
        variables = {**os.environ, "LENETSHIFT_OWN_MOUNTS": "1"}
        return subprocess.run([*own, sys.executable, *sys.argv], env=variables).returncode

    def fill_both(scratch: Path) -> None:
        for name, case in CASES.items():
            said = fill(case, scratch / name, args.sizes or case.sizes)
            print(f"{name}: {said}", flush=True)

    return in_scratch(fill_both)


def fill(case: Case, folder: Path, n_sizes: int) -> str:
    """Run a command on disks of several sizes; returns one line about the result."""
    whole, disk = folder / "whole", folder / "disk"
    disk.mkdir(parents=True)
    done = run(case.command, whole)
    if done.returncode:
        raise FailedError(f"with enough space: {done.stderr}")
    page = os.sysconf("SC_PAGESIZE")
    pages = sum(-(-path.stat().st_size // page) + 1 for path in whole.rglob("*")) + 2
    too_small = 0
    for k in range(n_sizes):
        size = max(1, pages * k // (n_sizes - 1)) * page
        mount(disk, "-t", "tmpfs", "-o", f"size={ENOUGH if case.filled_later else size}", "tmpfs")
        try:
            too_small += attempt(case, disk, size)
            mount(disk, "-o", f"remount,size={2 * ENOUGH}")
            done = run((*case.command, "--resume"), disk / "run")
            if done.returncode:
                raise FailedError(f"{size} bytes, then enough: {done.returncode}: {done.stderr}")
            compare(whole, disk / "run")
        finally:
            subprocess.run(["umount", disk], check=True)
    return (
        f"{n_sizes} sizes from {page:,} to {pages * page:,} bytes, {too_small} too small: one line each, "
        "and with room the same results"
    )


def attempt(case: Case, disk: Path, size: int) -> bool:
    """Run on a disk of that size; returns whether it was too small."""
    folder = disk / "run"
    filler = threading.Thread(target=leave, args=(disk, folder, size))
    if case.filled_later:
        filler.start()
    done = run(case.command, folder)
    if case.filled_later:
        filler.join()
    if done.returncode == 0:
        return False
    said = done.stderr.splitlines()
    if done.returncode != 2 or "Traceback" in done.stderr or "No space left" not in said[-1]:
        raise FailedError(f"{size} bytes: status {done.returncode}: {done.stderr}")
    if left := [path for path in folder.rglob("*") if "partial" in path.name]:
        raise FailedError(f"{size} bytes: left behind: {left}")
    return True


def leave(disk: Path, folder: Path, size: int) -> None:
    """After a run has written a file, leave that many bytes of free space."""
    while not any(path.is_file() for path in folder.rglob("*")):
        time.sleep(0.005)
    with open(disk / "filler", "wb") as file:
        for spare in (0, 1 << 14, 1 << 17, 1 << 20):  # the run may write meanwhile
            status = os.statvfs(disk)
            free = status.f_bavail * status.f_frsize
            with contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, free - max(size - (ENOUGH - free), spare))
                return


def run(command: tuple[str, ...], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder until it ends."""
    return subprocess.run(
        [sys.executable, *command, "--out", str(folder)], cwd=ROOT, capture_output=True, text=True
    )


def mount(disk: Path, *options: str) -> None:
    """Mount or remount the disk."""
    subprocess.run(["mount", *options, disk], check=True)


if __name__ == "__main__":
    sys.exit(main())
