"""``lenetshift grid``."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch
from command_line import pickled, run, write_checkpoint
from PIL import Image

import lenetshift
from lenetshift.storage.sealed import pack_tensors


def test_grid(small, tmp_path) -> None:
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
        title = f"Test image 7 (label {int(label)}), answers of LeNet-5, position-biased"
        assert png.text["Title"] == title
        assert "A subset." in png.text["Description"]


def test_other_shifts_and_the_default_name(small, tmp_path, monkeypatch) -> None:
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
        (["--checkpoint", "good.pt"], "arguments are required: --index"),
        (["--checkpoint", "good.pt", "--index", "x"], "argument --index: invalid int value: 'x'"),
        (["--checkpoint", "good.pt", "--index", "40"], "argument --index: got 40, expected 0..39"),
        (["--checkpoint", "good.pt", "--index", "-1"], "argument --index: got -1, expected 0..39"),
        (["--checkpoint", "/no/such.pt", "--index", "0"], "cannot read /no/such.pt: No such file"),
        (["--checkpoint", "/dev/null", "--index", "0"], "cannot read /dev/null: not a file"),
        (["--checkpoint", "/", "--index", "0"], "cannot read /: not a file"),
        (["--checkpoint", "", "--index", "0"], "argument --checkpoint: got '', expected a path"),
        (["--checkpoint", "empty.pt", "--index", "0"], "empty.pt: damaged, of another version,"),
        (["--checkpoint", "damaged.pt", "--index", "0"], "damaged.pt: damaged, of another version,"),
        (["--checkpoint", "code.pt", "--index", "0"], "torch.load(..., weights_only=True) refuses"),
        (["--checkpoint", "other.pt", "--index", "0"], "model: got 'lenet6', expected 'lenet5' or"),
        (["--checkpoint", "relu6.pt", "--index", "0"], "activation: got 'relu6', expected 'tanh'"),
        (["--checkpoint", "short.pt", "--index", "0"], "state_dict: got ['hidden.weight'], expected"),
        (["--checkpoint", "shape.pt", "--index", "0"], "state_dict['hidden.bias']: got float32 [3]"),
        (["--checkpoint", "gridless.pt", "--index", "0"], "--dx: got none, and the checkpoint names"),
        (["--checkpoint", "endless.pt", "--index", "0"], "argument --dx: got 0..1000000000000000000000"),
        (["--checkpoint", "good.pt", "--index", "0", "--dx", "3", "1"], "argument --dx: got 3 1, ex"),
        (["--checkpoint", "good.pt", "--index", "0", "--dy", "0", "30"], "argument --dx, --dy: got dy"),
        (["--checkpoint", "good.pt", "--index", "0", "--dy", "0"], "argument --dy: expected 2 argum"),
        (["--checkpoint", "good.pt", "--index", "0", "--out", "x.gif"], "argument --out: got 'x.gif'"),
        (["--checkpoint", "good.pt", "--index", "0", "--out", "/no/x.png"], "argument --out: cannot"),
        (["--checkpoint", "good.pt", "--index", "0", "--json", "pipe"], "argument --json: pipe: not a file"),
        (["--checkpoint", "good.pt", "--index", "0", "--json", "/"], "argument --json: /: not a file"),
        (["--checkpoint", "good.pt", "--index", "0", "--data", "/no/such"], "/no/such: no such folder"),
        (["--checkpoint", "good.pt", "--index", "0", "--frob"], "unrecognized arguments: --frob"),
    ],
)  # fmt: skip
def test_bad_input_of_grid_is_one_line(options, named, small, tmp_path, monkeypatch) -> None:
    good = write_checkpoint(tmp_path, "mlp")
    content = torch.load(good, weights_only=True)
    settings, weights = content["settings"], content["state_dict"]
    for name, change in {
        "good": {},
        "other": {"model": "lenet6"},
        "relu6": {"settings": {**settings, "activation": "relu6"}},
        "short": {"state_dict": {"hidden.weight": weights["hidden.weight"]}},
        "shape": {"state_dict": {**weights, "hidden.bias": torch.zeros(3)}},
        "endless": {"settings": {**settings, "grid": {"dx": [0, 10**30], "dy": [0, 1]}}},
        "gridless": {"settings": {**settings, "grid": {"dx": [1]}}},
    }.items():
        (tmp_path / f"{name}.pt").write_bytes(pack_tensors({**content, **change}))
    (tmp_path / "empty.pt").touch()
    (tmp_path / "damaged.pt").write_bytes(good.read_bytes()[:-70] + b"x" * 70)
    executed = tmp_path / "executed"
    pickled(tmp_path / "code.pt", executed)
    os.mkfifo(tmp_path / "pipe")  # not a device, which a fault would replace for the whole machine
    monkeypatch.chdir(tmp_path)
    status, text, errors = run("grid", "--data", small, *options)
    assert (status, text) == (2, "")
    assert errors.startswith("lenetshift grid: error: ")
    assert named in errors
    assert errors.count("\n") == 1
    assert not executed.exists()
    assert not list(tmp_path.glob("*.png"))
