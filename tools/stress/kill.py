"""Kill runs at random moments and resume them: the results must be the same.

    python tools/stress/kill.py                 100 times SIGKILL in `reproduce`, 100 times in `study`
    python tools/stress/kill.py --times 5       fewer

A run is started, killed after a random time, and started again with --resume, until it has been killed that
often; then it may finish. What it leaves must equal what an undisturbed run leaves (times of day and
durations aside), and files of others in its folder must be as they were.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from build import ROOT, FailedError, in_scratch

REPRODUCE = ["-m", "lenetshift.reproduce", "--quick", "--epochs", "3", "--no-page"]
STUDY = ["-m", "lenetshift.study", "--quick", "--experiments", "table", "symmetry", "--jobs", "2"]


def main() -> int:
    """Run both commands. Returns 1 if something was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=100, help="SIGKILLs for each command")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    moments = random.Random(args.seed)

    def disturb_both(scratch: Path) -> None:
        for name, command in (("reproduce", REPRODUCE), ("study", STUDY)):
            said = disturb(command, scratch / name, args.times, moments)
            print(f"{name}: {said}", flush=True)

    return in_scratch(disturb_both)


def disturb(command: list[str], folder: Path, times: int, moments: random.Random) -> str:
    """Kill a command that many times; returns one line about the result."""
    folder.mkdir()
    start = time.monotonic()
    run(command, folder / "whole")
    whole_s = time.monotonic() - start
    killed, folders = 0, [folder / "run0"]
    others = put_others(folders[-1])
    while killed < times:
        process = start_process(command, folders[-1])
        time.sleep(moments.random() * whole_s)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        elif process.returncode:
            raise FailedError(f"after {killed} kills: status {process.returncode}")
        else:  # it finished first: start another
            folders.append(folder / f"run{len(folders)}")
            put_others(folders[-1])
        process.wait()
    for target in folders:
        run(command, target)
        compare(folder / "whole", target)
        for name, contents in others.items():
            if (target / name).read_bytes() != contents:
                raise FailedError(f"{target / name}: an unrelated file was changed")
        if left := [path for path in target.rglob("*") if "partial" in path.name]:
            raise FailedError(f"left behind: {left}")
    return (
        f"killed {killed} times within {whole_s:.1f} s of a run's start, {len(folders)} runs; each ended "
        "with the same results"
    )


def put_others(folder: Path) -> dict[str, bytes]:
    """Make a folder with unrelated files; returns their contents by name."""
    others = {
        "notes.txt": b"mine",
        "figures/mine.png": b"not a picture",
        "runs/mine.npz": b"mine too",
    }
    for name, contents in others.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)
    return others


def start_process(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a run in a session of its own."""
    return subprocess.Popen(
        [sys.executable, *command, "--resume", "--out", str(folder)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def run(command: list[str], folder: Path) -> None:
    """Run a command until it ends."""
    process = start_process(command, folder)
    if process.wait():
        raise FailedError(f"{folder}: an undisturbed run ended with status {process.returncode}")


def compare(whole: Path, run: Path) -> None:
    """Raise FailedError unless two folders hold the same results."""
    for path in sorted(whole.rglob("*")):
        other = run / path.relative_to(whole)
        if path.is_dir():
            continue
        if not other.exists():
            raise FailedError(f"{other}: missing")
        if path.suffix == ".npz":
            ours, theirs = np.load(path), np.load(other)
            if ours.files != theirs.files or any((ours[k] != theirs[k]).any() for k in ours.files):
                raise FailedError(f"{other}: differs")
        elif path.parent.name == "checkpoints":
            ours, theirs = (torch.load(p, weights_only=True) for p in (path, other))
            for key in ("settings", "state_dict", "losses", "predictions", "note"):
                if not same(ours[key], theirs[key]):
                    raise FailedError(f"{other}: {key} differs")
        elif (
            path.suffix in (".csv", ".png", ".svg", ".pt", ".md")
            and path.read_bytes() != other.read_bytes()
        ):
            raise FailedError(f"{other}: differs")


def same(ours: object, theirs: object) -> bool:
    """Whether two values are equal, tensors bit by bit."""
    if isinstance(ours, torch.Tensor):
        return isinstance(theirs, torch.Tensor) and torch.equal(ours, theirs)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs


if __name__ == "__main__":
    sys.exit(main())
