"""The scripts in examples/ run in seconds on a part of the data, and tell of this run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(folder: Path, script: str, *arguments: str) -> str:
    """What a script prints, run in an empty folder; nothing on standard error but notes."""
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    variables = {**os.environ, "TMPDIR": str(scratch)}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("note: ")] == []
    return done.stdout


def percents(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"([\d.]+) %", text)]


def test_every_tour_has_cells_and_a_line_to_run_it() -> None:
    for tour in ("student_tour.py", "researcher_resnet.py", "kernel_tour.py"):
        text = (EXAMPLES / tour).read_text()
        assert len(re.findall(r"^# %% .+", text, re.MULTILINE)) >= 6
        assert f"python examples/{tour}" in text


def test_student_tour(tmp_path: Path) -> None:
    said = run(tmp_path, "student_tour.py", "--n-train", "3000", "--n-test", "300")
    assert said.startswith("3,000 digits to learn from, 300 to be tested on")
    lines = said.splitlines()
    for name in ("MLP", "LeNet-5"):
        (of_one,) = (line for line in lines if line.startswith(f"{name}: "))
        right, moved = percents(of_one)
        assert right > 70 > moved
        (mended,) = (line for line in lines if line.startswith(f"{name}, trained on moved digits"))
        now, before = percents(mended)[:2]
        assert before == moved < now
    (alike,) = (line for line in lines if line.startswith("alike"))
    by_shift = [float(number) for number in alike.split()[1:]]
    assert max(by_shift) == by_shift[5] == 1
    assert max(by_shift[0], by_shift[-1]) < 0.5
    assert re.search(r"C1 moved by 4 pixels, differ by at most (0|\de-\d+)\.", said)
    assert list(tmp_path.iterdir()) == [tmp_path / "scratch"]


@pytest.mark.slow
def test_researcher_resnet(tmp_path: Path) -> None:
    sizes = ("--n-train", "200", "--n-test", "30", "--epochs", "1", "--shift", "1")
    said = run(tmp_path, "researcher_resnet.py", *sizes, "--out", "out")
    assert "out/pictures: 200 images to learn from, 30 to be tested on" in said
    assert len(list((tmp_path / "out" / "pictures").rglob("*.png"))) == 230
    assert "how: shared: all 9 windows of a 34 x 34 canvas at once" in said
    assert "b: blurred ResNet" in said
    assert re.search(
        r"Moved by one more pixel, the blurred network \w+ [^:]+: [\d.]+ % of its", said
    )
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {
        "pictures",
        "answers",
        "resnet.pt",
        "resnet.npz",
        "blurred.npz",
        "blurred.html",
        "accuracy.png",
    }
    # The same on a folder of images that is there already, as with images of one's own.
    given = ("--data", "out/pictures", "--out", "second", "--epochs", "1", "--shift", "1")
    assert "out/pictures: 200 images" in run(tmp_path, "researcher_resnet.py", *given)


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_kernel_tour(tmp_path: Path) -> None:
    said = run(tmp_path, "kernel_tour.py", "--n-images", "500")
    assert "The kernel differs from the reference in 0 of 9 cases." in said
    assert said.count(": seen.") == 2
    assert "torch.library.opcheck: SUCCESS" in said
    assert "The kernel, as it is, under AddressSanitizer: nothing to report." in said
    assert "one pixel too many, under AddressSanitizer: heap-buffer-overflow." in said
