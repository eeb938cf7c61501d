"""``lenetshift grid``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import pickled, run, write_checkpoint
from PIL import Image

import lenetshift
from lenetshift.models.table import ARCHITECTURES


def test_grid(small: Path, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path, "biased_lenet5", note="A subset.")
    figure, result = tmp_path / "seven.png", tmp_path / "seven.json"
    options = ("--checkpoint", checkpoint, "--data", small, "--index", 7, "--out", figure)
    status, text, errors = run("grid", *options, "--json", result)
    assert (status, errors) == (0, "")
    value = json.loads(result.read_text())
    image, label = lenetshift.load_mnist(small)[1][7]
    model = lenetshift.build_model("lenet5", seed=3)
    expected = lenetshift.predict_shifts(model, image[None])[0]
    assert value["predictions"] == expected.tolist()
    assert value["label"] == int(label)
    assert value["right"] == int((expected == label).sum())
    assert value["grid"] == {"dx": list(range(-5, 6)), "dy": list(range(-2, 3))}
    assert f"right at {value['right']} of 55 shifts" in text
    with Image.open(figure) as png:
        assert png.text["Title"] == (
            f"Test image 7 (label {int(label)}), answers of LeNet-5, position-biased"
        )
        assert "A subset." in png.text["Description"]


def test_other_shifts_and_the_default_name(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = write_checkpoint(tmp_path, "mlp")
    monkeypatch.chdir(tmp_path)
    options = ("--checkpoint", checkpoint, "--data", small, "--index", 0)
    status, text, _ = run("grid", *options, "--dx", -1, 2, "--dy", 0, 0, "--json")
    assert status == 0
    value = json.loads(text)
    assert value["grid"] == {"dx": [-1, 0, 1, 2], "dy": [0]}
    assert np.shape(value["predictions"]) == (1, 4)
    assert value["figure"] == "mlp-0.png"
    assert (tmp_path / "mlp-0.png").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--index", "0"], "arguments are required: --checkpoint"),
        (["--checkpoint", "@good"], "arguments are required: --index"),
        (["--checkpoint", "@good", "--index", "x"], "argument --index: invalid int value: 'x'"),
        (["--checkpoint", "@good", "--index", "40"], "argument --index: got 40, expected 0..39"),
        (["--checkpoint", "@good", "--index", "-1"], "argument --index: got -1, expected 0..39"),
        (["--checkpoint", "/no/such.pt", "--index", "0"], "cannot read /no/such.pt: No such file"),
        (["--checkpoint", "/dev/null", "--index", "0"], "cannot read /dev/null: not a file"),
        (["--checkpoint", "/", "--index", "0"], "cannot read /: not a file"),
        (["--checkpoint", "", "--index", "0"], "argument --checkpoint: got '', expected a path"),
        (["--checkpoint", "@empty", "--index", "0"], "empty.pt: damaged, or of another version"),
        (["--checkpoint", "@damaged", "--index", "0"], "damaged.pt: damaged, or of another vers"),
        (["--checkpoint", "@code", "--index", "0"], "torch.load(..., weights_only=True) refuses"),
        (["--checkpoint", "@other", "--index", "0"], "model: got 'lenet6', expected 'lenet5' or"),
        (["--checkpoint", "@relu6", "--index", "0"], "activation: got 'relu6', expected 'tanh'"),
        (["--checkpoint", "@short", "--index", "0"], "state_dict: got ['hidden.weight'], expected"),
        (["--checkpoint", "@shape", "--index", "0"], "state_dict['hidden.bias']: got float32 [3]"),
        (["--checkpoint", "@gridless", "--index", "0"], "--dx: got none, and the checkpoint names"),
        (["--checkpoint", "@endless", "--index", "0"], "argument --dx: got 0..1000000000000000000000"),
        (["--checkpoint", "@good", "--index", "0", "--dx", "3", "1"], "argument --dx: got 3 1, ex"),
        (["--checkpoint", "@good", "--index", "0", "--dy", "0", "30"], "argument --dx, --dy: got dy"),
        (["--checkpoint", "@good", "--index", "0", "--dy", "0"], "argument --dy: expected 2 argum"),
        (["--checkpoint", "@good", "--index", "0", "--out", "x.gif"], "argument --out: got 'x.gif'"),
        (["--checkpoint", "@good", "--index", "0", "--out", "/no/x.png"], "argument --out: cannot"),
        (["--checkpoint", "@good", "--index", "0", "--json", "pipe"], "argument --json: pipe: not a file"),
        (["--checkpoint", "@good", "--index", "0", "--json", "/"], "argument --json: /: not a file"),
        (["--checkpoint", "@good", "--index", "0", "--data", "/no/such"], "/no/such: no such folder"),
        (["--checkpoint", "@good", "--index", "0", "--frob"], "unrecognized arguments: --frob"),
    ],
)  # fmt: skip
def test_bad_input_of_grid_is_one_line(
    options: list[str], named: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    good = write_checkpoint(tmp_path, "mlp")
    executed = tmp_path / "executed"
    files = {"@good": good, "@code": pickled(tmp_path / "code.pt", executed)}
    for name, contents in (("empty", b""), ("damaged", good.read_bytes()[:-70] + b"x" * 70)):
        files[f"@{name}"] = tmp_path / f"{name}.pt"
        files[f"@{name}"].write_bytes(contents)
    settings, weights = lenetshift.Config().to_dict(), lenetshift.MLP().state_dict()
    del weights["hidden.bias"], weights["output.weight"], weights["output.bias"]
    shape = {**lenetshift.MLP().state_dict(), "hidden.bias": torch.zeros(3)}
    for name, model, changes in (
        ("other", "lenet6", {}),
        ("relu6", "mlp", {"settings": {**settings, "activation": "relu6"}}),
        ("short", "mlp", {"state_dict": weights}),
        ("shape", "mlp", {"state_dict": shape}),
        ("endless", "mlp", {"settings": {**settings, "grid": {"dx": [0, 10**30], "dy": [0, 1]}}}),
        ("gridless", "mlp", {"settings": {**settings, "grid": {"dx": [1]}}}),
    ):
        monkeypatch.setitem(ARCHITECTURES, "lenet6", "mlp")
        folder = tmp_path / name
        folder.mkdir()
        files[f"@{name}"] = write_checkpoint(folder, model, **changes)
    monkeypatch.delitem(ARCHITECTURES, "lenet6")
    os.mkfifo(tmp_path / "pipe")  # no device: a fault would replace it, for the whole machine
    monkeypatch.chdir(tmp_path)
    given = [str(files.get(option, option)) for option in options]
    status, text, errors = run("grid", "--data", small, *given)
    assert (status, text) == (2, "")
    assert errors.startswith("lenetshift grid: error: ")
    assert named in errors
    assert errors.count("\n") == 1
    assert not executed.exists()
    assert not list(tmp_path.glob("*.png"))
