"""The package in worker processes: forked children of a process that has used torch's threads, where
these hang; workers that a server forks or that start anew; workers of a DataLoader."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import python

pytestmark = pytest.mark.slow

# Each step is printed first, so that the last one printed is the one that hangs.
SCRIPT = """
import os, signal, sys, torch
torch.set_num_threads(2)
torch.rand(1_000_000).sort()  # a child does not have these threads
import lenetshift
from lenetshift.data.dataset import dataset_sha256

def step(what):
    print(what, flush=True)

def work(name, batch_size):
    step("load_mnist")
    data, test = lenetshift.load_mnist()
    step("dataset_sha256")
    dataset_sha256(data)
    step("jitter")
    lenetshift.jitter(data, lenetshift.ShiftGrid(), 0, 0)
    data[list(range(0, len(data), 2))]
    step("position_biased")
    data = lenetshift.position_biased(data, {3: (3, 0), 2: (-3, 0)})
    step("build_model")
    model = lenetshift.build_model(name, seed=0)
    step("train")
    lenetshift.train(model, data, epochs=1, learning_rate=0.1, batch_size=int(batch_size), seed=0)
    step("predict_shifts")
    predictions = lenetshift.predict_shifts(model, test.images)
    step("summarize")
    right = lenetshift.summarize(predictions, test.labels, lenetshift.ShiftGrid())
    return right["moved"]["correct"]

if os.fork() == 0:
    signal.alarm(120)
    step(f"correct {work(*sys.argv[1:])}")
    os._exit(0)
_, status = os.wait()
print("status", status)
print("here", work(*sys.argv[1:]))
"""


# 60,000 steps; 401,408 weights in a layer.
@pytest.mark.parametrize(("name", "batch_size"), [("pooled_mlp", 1), ("mlp", 64)])
def test_the_main_job_runs_in_a_forked_child(name: str, batch_size: int) -> None:
    done = python("-c", SCRIPT, name, batch_size)
    lines = done.stdout.splitlines()
    assert "status 0" in lines, f"the last step was {lines[-2:]}: {done.stderr[-500:]}"
    (in_child,) = [line for line in lines if line.startswith("correct")]
    assert lines[-1].split()[-1] == in_child.split()[-1]


WORKERS = """
import multiprocessing, sys, torch, lenetshift
from torch.utils.data import DataLoader, Dataset

IMAGES = torch.randint(0, 256, (180, 28, 28), generator=torch.Generator().manual_seed(0)).byte()

def answers(first):
    images = IMAGES[first : first + 30]
    return lenetshift.predict_shifts(lenetshift.build_model("lenet5", seed=0), images).numpy()

class Moved(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, i):
        shifts = lenetshift.ShiftGrid().shifts()
        moved = torch.ops.lenetshift.translate(IMAGES[i : i + 1], shifts)[0]
        return moved, torch.from_numpy(answers(i)[0])

if __name__ == "__main__":
    how = multiprocessing.get_context(sys.argv[1])
    torch.set_num_threads(2)
    torch.rand(1_000_000).sort()
    firsts = [0, 30, 60, 90, 120, 150]
    expected = [answers(first) for first in firsts]
    with how.Pool(3) as pool:
        got = pool.map_async(answers, firsts).get(100)
    print("pool", all((a == b).all() for a, b in zip(got, expected, strict=True)))
    moved = Moved()
    batches = DataLoader(moved, batch_size=8, num_workers=2, multiprocessing_context=how, timeout=60)
    got = [torch.cat(parts) for parts in zip(*batches, strict=True)]
    expected = [torch.stack(parts) for parts in zip(*(moved[i] for i in range(40)), strict=True)]
    print("loader", all(map(torch.equal, got, expected)))
"""


@pytest.mark.parametrize("how", ["fork", "forkserver", "spawn"])
def test_workers_give_the_same_answers(how: str, tmp_path: Path) -> None:
    """Workers of a pool and of a DataLoader."""
    script = tmp_path / "workers.py"  # workers that start anew import it
    script.write_text(WORKERS)
    done = python(script, how)
    assert done.stdout.splitlines() == ["pool True", "loader True"], done.stderr[-2000:]
