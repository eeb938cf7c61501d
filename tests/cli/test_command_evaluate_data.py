"""``lenetshift evaluate``: the options about images."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run
from image_files import pixels, write_cifar, write_images
from torch import nn

import lenetshift
from lenetshift.checks.choices import NORMALIZATIONS
from lenetshift.cli.own_dataset import DatasetName, dataset_name

NET = """
import torch
from torch import nn

from sets import Sets  # noqa

def of(channels, classes):
    torch.manual_seed(channels)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(16, classes)
    )

def colour():
    return of(3, 3)

def ten():
    return of(3, 10)

def grey():
    return of(1, 3)
"""

SETS = """
import sys
import numpy as np

class Sets:
    classes = ["cat", "dog", "eel"]

    def __init__(self, n=6, fails=None, say="made"):
        print(say)
        self.n, self.fails = n, fails

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if i == self.fails:
            raise RuntimeError("item\\nis gone")
        return np.full((20, 20, 3), 9 * i, np.uint8), i % 3

ready, number = Sets(), 3

def quits():
    sys.exit(3)

def array():
    return [1, 2]
"""

CLASSES = ("cat", "dog", "eel")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with networks, a data set in Python, and a folder of images."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "sets.py").write_text(SETS)
    write_images(tmp_path / "pics", pixels(6, 14, 16, 3), CLASSES)
    before = list(sys.path)
    yield tmp_path
    sys.path[:] = before
    for name in ("sets", "data_of_sets"):
        sys.modules.pop(name, None)


def evaluated(*options: object, model: str = "colour") -> dict[str, Any]:
    given = ("--model", f"net.py:{model}", "--no-intervals", "--dx", -1, 1, "--dy", -1, 1)
    status, text, errors = run("evaluate", *given, *options, "--json")
    assert status == 0, errors
    value: dict[str, Any] = json.loads(text)
    return value


def network(channels: int = 3, classes: int = 3) -> nn.Module:
    torch.manual_seed(channels)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16, classes),
    )


GRID = lenetshift.ShiftGrid(range(-1, 2), range(-1, 2))


def check(value: dict[str, Any], model: nn.Module, *data: Any, **how: Any) -> None:
    """The command's values are those of ``evaluate_shifts`` with the same images."""
    expected = lenetshift.evaluate_shifts(model, *data, grid=GRID, **how).to_dict()
    for name in set(expected) - {"seconds", "name", "class_names"}:
        assert value[name] == expected[name], name


def in_order(images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The folder's images in its order."""
    chosen = torch.from_numpy(images[[0, 3, 1, 4, 2, 5]]).permute(0, 3, 1, 2)
    return chosen, torch.tensor([0, 0, 1, 1, 2, 2])


def test_a_folder_of_images() -> None:
    value = evaluated("--data", "pics", "--normalize", "imagenet")
    how = {"transform": lenetshift.Normalize(*NORMALIZATIONS["imagenet"])}
    check(value, network(), *in_order(pixels(6, 14, 16, 3)), **how)
    assert value["data"] == "pics"
    assert value["format"] == "folder of images"
    assert value["class_names"] == list(CLASSES)
    assert value["image_shape"] == [3, 14, 16]
    assert (value["mean"], value["std"]) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def test_resized_and_grey() -> None:
    value = evaluated("--data", "pics", "--resize", 9, 10, "--grey", model="grey")
    assert (value["image_shape"], value["resize"]) == ([1, 9, 10], [9, 10])
    data = lenetshift.open_data("pics", resize=(9, 10), channels="grey")
    check(value, network(1), data)


def test_resized_by_the_shorter_side_and_cropped() -> None:
    write_images(Path("pics"), pixels(3, 20, 12, 3), ("eel",))
    value = evaluated("--data", "pics", "--resize", 10, "--crop", 6, 6)
    assert (value["image_shape"], value["crop"]) == ([3, 8, 8], [6, 6])
    data = lenetshift.open_data("pics", resize=10, crop=(6, 6), grid=GRID)
    check(value, network(), data, crop=(6, 6))


def test_given_classes() -> None:
    Path("names.txt").write_text("eel\ncat\ndog\n")
    value = evaluated("--data", "pics", "--classes", "names.txt")
    images, labels = in_order(pixels(6, 14, 16, 3))
    check(value, network(), images, (labels + 1) % 3)
    assert value["class_names"] == ["eel", "cat", "dog"]


@pytest.mark.parametrize("of", ["python", "binary"])
def test_cifar(of: str) -> None:
    images = write_cifar(Path("cifar"))
    if of == "binary":
        rows = images.transpose(0, 3, 1, 2).reshape(6, -1)
        labels = np.arange(6, dtype=np.uint8)[:, None]
        Path("cifar/test_batch.bin").write_bytes(np.hstack([labels, rows]).tobytes())
        Path("cifar/test_batch").unlink()
    value = evaluated("--data", "cifar", "--normalize", "cifar10", model="ten")
    how = {"transform": lenetshift.Normalize(*NORMALIZATIONS["cifar10"])}
    tensors = torch.from_numpy(images).permute(0, 3, 1, 2)
    check(value, network(3, 10), tensors, torch.arange(6), **how)
    assert value["format"] == f"CIFAR-10, {of} version"


def test_npz_and_some_images() -> None:
    images, labels = pixels(12, 9, 9), np.arange(12) % 3
    np.savez("a.npz", x_test=images, y_test=labels)
    value = evaluated("--data", "a.npz", "--images", 4, model="grey")
    check(value, network(1), images[::3], labels[::3])


@pytest.mark.parametrize(
    "where", ["sets.py:Sets?n=5", "package:sets.Sets?n=5", "./sets.py:Sets?n=5"]
)
def test_a_data_set_of_one_s_own(where: str) -> None:
    value = evaluated("--data", where)
    images = torch.stack([torch.full((3, 20, 20), 9 * i, dtype=torch.uint8) for i in range(5)])
    check(value, network(), images, torch.arange(5) % 3)
    assert (value["class_names"], value["format"]) == (list(CLASSES), "Sets")


def test_what_a_data_set_prints_is_not_part_of_the_output() -> None:
    own = (
        "--model",
        "net.py:colour",
        "--no-intervals",
        "--data",
        "sets.py:Sets?say=quiet%20please",
    )
    status, text, errors = run("evaluate", *own)
    assert status == 0, errors
    assert "quiet please" in errors.splitlines()
    assert "quiet" not in text
    assert "data: sets.py:Sets (Sets), 3 classes, RGB 20 x 20" in text.splitlines()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("package:a.b.C", ("", "a.b.C", {})),
        ("package:a.b?root=~/d+e&train=false&n=3&f=(1, 2.5)&x=None", None),
        ("dir/a.py:B.c?s='3'", ("dir/a.py", "B.c", {"s": "3"})),
        ("a.py:B?x=a=b&y=%26%3F", ("a.py", "B", {"x": "a=b", "y": "&?"})),
        ("a.py", ()), ("data/a:b", ()), ("a.py:", ()), ("a.py:B-c", ()),
    ],
)  # fmt: skip
def test_names_of_data_sets(text: str, expected: Any) -> None:
    if expected is None:
        arguments = {"root": "~/d+e", "train": False, "n": 3, "f": (1, 2.5), "x": None}
        expected = ("", "a.b", arguments)
    assert dataset_name(text) == (DatasetName(*expected) if expected else None)


def test_a_file_of_that_name_is_a_file(folder: Path) -> None:
    (folder / "package:a").mkdir()
    assert dataset_name("package:a") is None
    status, _, errors = run("evaluate", "--model", "net.py:colour", "--data", "package:a")
    assert status == 2
    assert "package:a: got an empty folder, expected IDX files" in errors


PICTURES = (
    *("--model", "net.py:colour", "--data", "pics", "--no-intervals"),
    *("--dx", -1, 1, "--dy", 0, 0),
)


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (
            ["--normalize", "imagenet"],
            [
                "data: pics (folder of images), 3 classes, RGB 14 x 16",
                "normalization: mean 0.485 0.456 0.406, std 0.229 0.224 0.225 (imagenet)",
            ],
        ),
        (
            ["--resize", "12", "13", "--mean", "0.5", "--std", "0.25", "--fill", "1", "2", "3"],
            [
                "data: pics (folder of images), 3 classes, RGB 12 x 13, resized",
                "normalization: mean 0.5, std 0.25",
            ],
        ),
    ],
)
def test_the_printout_names_the_input(options: list[str], lines: list[str]) -> None:
    status, text, errors = run("evaluate", *PICTURES, *options)
    assert status == 0, errors
    assert text.splitlines()[3:5] == lines
    assert "uncovered" not in text


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ([], "fill 0"),
        (["--fill", "circular"], "fill circular"),
        (["--fill", "0.5"], "fill 0.5"),
        (["--fill", "1", "2", "300e-1"], "fill 1 2 30"),
        (["--crop", "14", "16"], "fill 0"),
        (["--crop", "6", "8", "--fill", "3"], "crop 6 x 8"),
    ],
)
def test_the_heading_names_the_fill_or_the_crop(options: list[str], end: str) -> None:
    status, text, errors = run("evaluate", *PICTURES, *options)
    assert status == 0, errors
    assert text.splitlines()[1].endswith(f" shifts (dx -1..1, dy 0..0), {end}")


def test_zero_is_black_before_the_normalization() -> None:
    """A network that gives its smallest pixel sees black as it is normalized, not 0."""
    Path("least.py").write_text(
        "from torch import nn\n"
        "class Least(nn.Module):\n"
        "    def forward(self, x):\n"
        "        least = x.amin((2, 3))[:, :1]\n"
        "        return (least.lt(-0.5) & least.gt(-0.7)).float() * nn.functional.pad(least, (1, 0)).abs()\n"
    )
    np.savez("a.npz", images=np.full((1, 6, 6), 255, np.uint8), labels=[1])
    options = ("--data", "a.npz", "--mean", 0.3, "--std", 0.5, "--dx", 0, 1, "--dy", 0, 0)
    status, text, errors = run("evaluate", "--model", "least.py:Least", *options, "--json")
    assert status == 0, errors
    assert json.loads(text)["accuracy_map"] == [[0, 1]]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--data", "empty"], "empty: got an empty folder, expected IDX files, a .npz file, CIFAR's"),
        (["--data", "net.py"], "net.py: got a file of another format, expected IDX files, a .npz"),
        (["--data", "gone"], "gone: no such file or folder"),
        (["--data", "gone.py:Sets"], "--data: gone.py: cannot be read: No such file"),
        (["--data", "broken.py:A"], "--data: broken.py: line 1: invalid syntax"),
        (["--data", "sets.py:Set"], "--data: sets.py: has no Set, did you mean Sets?"),
        (["--data", "sets.py:number"], "--data: sets.py: number: got int, expected a class or"),
        (["--data", "sets.py:Sets?m=3"], "sets.py: Sets: cannot be made: TypeError: "),
        (["--data", "sets.py:quits"], "sets.py: quits: cannot be made: SystemExit: 3"),
        (["--data", "sets.py:array"], "--data: list: item 0: got int, expected (image, label)"),
        (["--data", "sets.py:Sets?n=0"], "--data: Sets: got no images, expected at least one"),
        (["--data", "sets.py:Sets?fails=0"], "--data: Sets: item 0: RuntimeError: item is gone"),
        (["--data", "sets.py:Sets?fails=3"], "--data: Sets: item 3: RuntimeError: item is gone"),
        (["--data", "package:no_such_package.A"], "no_such_package.A: there is no package no_such_package"),
        (["--data", "package:sets"], "--data: sets: expected a package and a name in it, such as"),
        (["--data", "package:json.nothing"], "--data: json has no nothing"),
        (["--data", "sizes"], "--resize: got none with images of 14 x 16 (sizes/cat/000.png) and 9 x 9"),
        (["--data", "damaged"], "damaged/dog/000.png: cannot be read as an image: OSError: "),
        (["--data", "no_labels.npz"], "no_labels.npz: got the keys x, expected one of test_labels"),
        (["--data", "cut"], "cut/test_batch: damaged pickle: "),
        (["--classes", "two.txt"], "--classes: got 2 names without 'eel', expected one for each class"),
        (["--classes", "gone.txt"], "--classes: gone.txt: cannot be read: No such file or directory"),
        (["--classes", "latin.txt"], "--classes: latin.txt: got bytes that are not UTF-8, expected"),
        (["--resize", "0"], "--resize: got 0, expected one or two ints of 1 or more, in pixels"),
        (["--resize", "3", "4", "5"], "--resize: got (3, 4, 5), expected one or two ints"),
        (["--resize", "9", "--crop", "9", "9"], "--dx, --dy: got dy -2..2, expected it within 0..0 for"),
        (["--grey", "--rgb"], "argument --rgb: not allowed with argument --grey"),
        (["--normalize", "svhn"], "--normalize: invalid choice: 'svhn'"),
        (["--normalize", "mnist", "--std", "1"], "--normalize: not with --mean and --std"),
        (["--images", "7"], "--images: got 7, expected 1..6"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(options: list[str], named: str, folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "broken.py").write_text("def f(:\n")
    write_images(folder / "sizes", pixels(1, 14, 16, 3), ("cat",))
    write_images(folder / "sizes", pixels(1, 9, 9, 3), ("dog",))
    write_images(folder / "damaged", pixels(1, 30, 30, 3), ("cat",))
    write_images(folder / "damaged", pixels(1, 30, 30, 3), ("dog",))
    file = folder / "damaged" / "dog" / "000.png"
    file.write_bytes(file.read_bytes()[:900])
    np.savez("no_labels.npz", x=pixels(2, 8, 8))
    write_cifar(folder / "cut")
    batch = folder / "cut" / "test_batch"
    batch.write_bytes(batch.read_bytes()[:5000])
    (folder / "two.txt").write_text("cat\ndog\n")
    (folder / "latin.txt").write_bytes("Käfer\n".encode("latin-1"))
    before = {path for path in folder.rglob("*") if "__pycache__" not in path.parts}
    data = [] if "--data" in options else ["--data", "pics"]
    status, text, errors = run("evaluate", "--model", "net.py:colour", *data, *options)
    errors = errors.replace("made\n", "")
    assert (status, text) == (2, "")
    assert errors.startswith("lenetshift evaluate: error: ")
    assert named in errors
    assert errors.count("\n") == 1
    assert "UsageError" not in errors
    assert {path for path in folder.rglob("*") if "__pycache__" not in path.parts} == before


def test_help_says_what_runs_code() -> None:
    _, text, _ = run("evaluate", "--help")
    said = " ".join(text.split())
    assert "What --data names as package:NAME or FILE.py:NAME is code too, and is executed" in said
    assert "a PyTorch data set, whose code is run" in said


def test_torchvision_s_data_sets() -> None:
    pytest.importorskip("torchvision")
    where = "package:torchvision.datasets.FakeData?size=4&image_size=(3, 20, 20)&num_classes=3"
    value = evaluated("--data", where)
    assert (value["n_images"], value["image_shape"]) == (4, [3, 20, 20])
