"""``lenetshift compare``, and the files and the limits of ``evaluate``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run, write_checkpoint
from PIL import Image

import lenetshift
from lenetshift import Evaluation, ShiftGrid, evaluate_shifts
from lenetshift.cli.limits import FAILED
from lenetshift.metrics.registry import METRICS

GRID = ("--dx", -2, 2, "--dy", 0, 1)


@pytest.fixture
def folder(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with two evaluations of 40 images as archives and as JSON."""
    monkeypatch.chdir(tmp_path)
    for name in ("mlp", "lenet5"):
        checkpoint = write_checkpoint(tmp_path, name)
        options = ("--checkpoint", checkpoint, "--data", small, *GRID, "--no-intervals")
        files = ("--save", f"{name}.npz", "--json", f"{name}.json")
        status, text, errors = run("evaluate", *options, *files)
        assert (status, errors) == (0, "")
        assert text.splitlines()[-3:-1] == [f"written: {name}.json", f"written: {name}.npz"]
    return tmp_path


def expected(small: Path) -> lenetshift.Comparison:
    test = lenetshift.load_mnist(small)[1]
    grid = ShiftGrid(range(-2, 3), range(2))
    a, b = (
        evaluate_shifts(lenetshift.build_model(name, seed=3), test, grid=grid, name=name)
        for name in ("mlp", "lenet5")
    )
    return lenetshift.compare(a, b)


def compared(*options: object) -> dict[str, Any]:
    status, text, errors = run("compare", *options, "--json")
    assert (status, errors) == (0, "")
    value: dict[str, Any] = json.loads(text)
    return value


@pytest.mark.parametrize("kinds", [("npz", "npz"), ("json", "json"), ("npz", "json")])
@pytest.mark.usefixtures("folder")
def test_both_kinds_of_files(kinds: tuple[str, str], small: Path) -> None:
    files = (f"mlp.{kinds[0]}", f"lenet5.{kinds[1]}")
    value = compared(*files, "--level", 0.8)
    of = expected(small)
    for name, item in of.to_dict().items():
        assert value[name] == item, name
    assert value["files"] == list(files)
    assert value["level"] == 0.8
    assert list(value["intervals"]) == list(value["metrics"])
    for name, interval in value["intervals"].items():
        assert interval == list(of.interval(name, 0.8)), name


@pytest.mark.usefixtures("folder")
def test_in_text_with_a_map(small: Path) -> None:
    status, text, errors = run("compare", "mlp.npz", "lenet5.npz", "--plot", "map.png")
    assert (status, errors) == (0, "")
    lines = text.splitlines()
    assert lines[:2] == ["a: mlp (mlp.npz)", "b: lenet5 (lenet5.npz)"]
    assert lines[2:-1] == str(expected(small)).splitlines()[2:]
    assert lines[-1] == "written: map.png"
    with Image.open("map.png") as png:
        assert png.text["Title"] == "Difference of accuracy at every shift"  # type: ignore[attr-defined]
    status, text, _ = run("compare", "mlp.npz", "lenet5.npz", "--no-intervals", "--json", "a.json")
    assert status == 0
    assert "[" not in text
    assert not any(json.loads(Path("a.json").read_text())["intervals"].values())


@pytest.mark.usefixtures("folder")
def test_names_are_in_a_line_each() -> None:
    changed("a\nb", name=None)
    changed("c", name="two\nlines\x1b[31m")
    status, text, _ = run("compare", "a\nb.npz", "c.npz", "--no-intervals")
    assert status == 0
    assert text.splitlines()[:2] == ["a: a\\nb.npz", "b: two\\nlines\\x1b[31m (c.npz)"]


@pytest.mark.usefixtures("folder")
def test_ctrl_c_during_the_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lenetshift.Comparison, "interval", interrupted)
    status, text, errors = run("compare", "mlp.npz", "lenet5.npz")
    assert (status, errors) == (130, "interrupted: without intervals\n")
    assert "moved accuracy" in text


def changed(file: str, **changes: Any) -> None:
    """Another file like that of lenet5."""
    dataclasses.replace(Evaluation.load("lenet5.npz"), **changes).save(f"{file}.npz")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["mlp.npz"], "the following arguments are required: B"),
        (["mlp.npz", "gone.npz"], "argument B: gone.npz: cannot be read: No such file or directory"),
        (["mlp.npz", "cut.npz"], "argument B: cut.npz: damaged, of another version, or another"),
        (["old.json", "lenet5.json"], "argument A: old.json: got JSON without the answers, expected"),
        (["text.json", "lenet5.json"], "argument A: text.json: got neither an archive of arrays nor"),
        (["mlp.npz", "fewer.npz"], "fewer.npz cannot be compared with mlp.npz: b: got 39 images, exp"),
        (["mlp.npz", "grid.npz"], "grid.npz cannot be compared with mlp.npz: grid: got dx -1..3, dy 0"),
        (["mlp.npz", "fill.npz"], "fill.npz cannot be compared with mlp.npz: fill: got 3, expected 0"),
        (["mlp.npz", "crop.npz"], "crop.npz cannot be compared with mlp.npz: crop: got (9, 9), expec"),
        (["mlp.npz", "labels.npz"], "labels.npz cannot be compared with mlp.npz: labels: got 40 oth"),
        (["mlp.npz", "images.npz"], "images.npz cannot be compared with mlp.npz: images: got other"),
        (["mlp.npz", "mlp.npz", "--level", "1"], "argument --level: got 1, expected a number betw"),
        (["mlp.npz", "mlp.npz", "--level", "x"], "argument --level: got 'x', expected a finite num"),
        (["mlp.npz", "mlp.npz", "--plot", "a.jpg"], "argument --plot: got 'a.jpg', expected a name"),
        (["mlp.npz", "mlp.npz", "--json", "gone/a"], "argument --json: cannot write to gone: No s"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(options: list[str], named: str, folder: Path) -> None:
    (folder / "cut.npz").write_bytes((folder / "mlp.npz").read_bytes()[:-3])
    (folder / "old.json").write_text('{"metrics": {"moved_accuracy": 0.5}}')
    (folder / "text.json").write_text("moved accuracy")
    first = Evaluation.load("lenet5.npz")
    changed("fewer", predictions=first.predictions[1:], labels=first.labels[1:], lost_ink=None)
    changed("grid", grid=ShiftGrid(range(-1, 4), range(2)))
    changed("fill", fill=3)
    changed("crop", crop=(9, 9))
    changed("labels", labels=first.labels + 1)
    changed("images", images_sha256="0" * 64)
    before = set(folder.rglob("*"))
    status, text, errors = run("compare", *options)
    assert (status, text) == (2, "")
    assert errors.startswith(f"lenetshift compare: error: {named}")
    assert errors.count("\n") == 1
    assert set(folder.rglob("*")) == before


# The files of evaluate


@pytest.mark.usefixtures("folder")
def test_the_saved_evaluation_is_whole(small: Path) -> None:
    of = expected(small).a
    loaded = Evaluation.load("mlp.npz")
    assert loaded.to_dict() | {"seconds": 0} == of.to_dict() | {"seconds": 0}
    assert (loaded.predictions == of.predictions).all()
    value = json.loads(Path("mlp.json").read_text())
    assert value["metrics"] == of.to_dict()["metrics"]
    status, text, _ = run(
        "evaluate", "--checkpoint", "checkpoints/mlp.pt", "--data", small, "--json"
    )
    assert status == 0
    assert "evaluation" not in json.loads(text)  # only files have it


@pytest.mark.usefixtures("folder")
def test_logits_are_saved_if_they_are_kept(small: Path) -> None:
    options = ("--data", small, *GRID, "--no-intervals", "--scores", "--save")
    for name in ("mlp", "lenet5"):
        checkpoint = ("--checkpoint", f"checkpoints/{name}.pt")
        assert run("evaluate", *checkpoint, *options, f"scores_{name}.npz")[0] == 0
    assert "score_change" in compared("scores_mlp.npz", "scores_lenet5.npz")["metrics"]
    assert "score_change" not in compared("scores_mlp.npz", "lenet5.npz")["metrics"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--save", "a.zip"], "--save: got 'a.zip', expected a name ending with .npz"),
        (["--save", "gone/a.npz"], "--save: cannot write to gone: No such file"),
        (["--save", "a.npz", "--json", "./a.npz"], "--save: a.npz: got the file of --json"),
        (["--fail-under", "moved_accuracy"], "--fail-under: got 'moved_accuracy', expected a metric"),
        (["--fail-under", "moved_accuracy=95"], "--fail-under: got 'moved_accuracy=95', expected"),
        (["--fail-under", "moved_accuracy=1"], "--fail-under: got 'moved_accuracy=1', expected a m"),
        (["--fail-over", "flip_rate=101%"], "--fail-over: got 'flip_rate=101%', expected a metric"),
        (["--fail-over", "flip_rate=-1%"], "--fail-over: got 'flip_rate=-1%', expected a metric"),
        (["--fail-over", "flip_rate=nan%"], "--fail-over: got 'flip_rate=nan%', expected a metric"),
        (["--fail-over", "flip_rate=%"], "--fail-over: got 'flip_rate=%', expected a metric and per"),
        (["--fail-over", "=1%"], "--fail-over: got '=1%', expected a metric and per cent in 0%..100%"),
        (["--fail-over", "flips=1%"], "--fail-over: got 'flips', expected one of unmoved_accuracy, "),
        (["--fail-under", "x=1%"], "--fail-under: got 'x', expected one of unmoved_accuracy, moved"),
    ],
)  # fmt: skip
def test_bad_options_of_evaluate_are_one_line(
    options: list[str], named: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = write_checkpoint(tmp_path, "mlp")
    status, text, errors = run("evaluate", "--checkpoint", checkpoint, "--data", small, *options)
    assert (status, text) == (2, "")
    assert errors.startswith(f"lenetshift evaluate: error: argument {named}")
    assert errors.count("\n") == 1


@pytest.fixture
def half(monkeypatch: pytest.MonkeyPatch) -> None:
    """``evaluate`` finds that one of two images is always right; it has no logits."""
    grid = ShiftGrid(range(-1, 2), range(1))
    made = Evaluation(np.array([[[3, 3, 3]], [[5, 8, 5]]]), np.array([3, 8]), grid)
    monkeypatch.setattr(lenetshift.api, "evaluate_shifts", lambda *_, **__: made)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (["--fail-under", "worst_case_accuracy=50%"], []),
        (["--fail-under", "worst_case_accuracy=0.5"], []),
        (["--fail-over", "flip_rate=50%"], []),
        (["--fail-over", "flip_rate=0.5", "--fail-under", "moved_accuracy=66.6%"], []),
        (["--fail-under", "moved_accuracy=0%", "--fail-over", "moved_accuracy=100%"], []),
        (
            ["--fail-under", "worst_case_accuracy=50.1%"],
            ["worst_case_accuracy: got 50 %, expected 50.1 % or more"],
        ),
        (
            ["--fail-under", "moved_accuracy=0.6667"],
            ["moved_accuracy: got 66.667 %, expected 66.67 % or more"],
        ),
        (["--fail-over", "flip_rate=2e1%"], ["flip_rate: got 50 %, expected 20 % or less"]),
        (
            ["--fail-over", "flip_rate=1%", "--fail-under", "moved_accuracy=90%",
             "--fail-over", "flip_rate=60%", "--fail-under", "worst_case_accuracy=0.99"],
            ["moved_accuracy: got 66.7 %, expected 90 % or more",
             "worst_case_accuracy: got 50 %, expected 99 % or more",
             "flip_rate: got 50 %, expected 1 % or less"],
        ),
        (
            ["--fail-over", "score_change=1%"],
            ["score_change: got no value, since it needs labels, two shifts or more, logits "
             "(--scores keeps them); expected 1 % or less"],
        ),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("half")
def test_limits(
    limits: list[str], said: list[str], small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = write_checkpoint(tmp_path, "mlp")
    files = ("--json", "a.json", "--save", "a.npz", "--plot", "a.png")
    status, text, errors = run(
        "evaluate", "--checkpoint", checkpoint, "--data", small, *files, *limits
    )
    assert status == (FAILED if said else 0)
    assert errors.splitlines() == [f"lenetshift evaluate: {line}" for line in said]
    assert "moved accuracy" in text  # and everything is written
    assert [line for line in text.splitlines() if "written" in line] == [
        "written: a.json", "written: a.npz", "written: a.png"
    ]  # fmt: skip
    assert text.splitlines()[-1].endswith("s in all")


def test_a_metric_that_counts_no_image_is_beyond_its_limit(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Evaluation(np.zeros((2, 1, 3), int), np.array([1, 2]), ShiftGrid(range(-1, 2), range(1)))
    monkeypatch.setattr(lenetshift.api, "evaluate_shifts", lambda *_, **__: made)
    options = ("--checkpoint", write_checkpoint(tmp_path, "mlp"), "--data", small, "--json")
    limit = ("--fail-under", "consistency_when_right=0%")
    status, text, errors = run("evaluate", *options, *limit)
    assert status == FAILED
    assert json.loads(text)["metrics"]["consistency_when_right"] is None
    assert errors == (
        "lenetshift evaluate: consistency_when_right: got no value, since no image counts; "
        "expected 0 % or more\n"
    )


@pytest.mark.usefixtures("half")
def test_a_file_that_cannot_be_written_comes_before_a_limit(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Evaluation, "save", fail)
    options = ("--checkpoint", write_checkpoint(tmp_path, "mlp"), "--data", small)
    limits = ("--save", tmp_path / "a.npz", "--fail-under", "moved_accuracy=99%")
    status, text, errors = run("evaluate", *options, *limits)
    assert status == 2
    assert "moved accuracy" in text
    assert errors == (
        f"lenetshift evaluate: error: cannot write {tmp_path / 'a.npz'}: No space left on device\n"
    )


def test_every_metric_may_have_a_limit(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--checkpoint", write_checkpoint(tmp_path, "mlp"), "--data", small, "--scores")
    limits = [f"--fail-{side}={name}=50%" for name in METRICS for side in ("under", "over")]
    status, _, errors = run("evaluate", *options, "--no-intervals", *limits)
    assert status == FAILED
    assert len(errors.splitlines()) == len(METRICS)
