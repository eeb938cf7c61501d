"""Paths that hold any bytes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from command_line import run, write_checkpoint
from PIL import Image

import lenetshift

pytestmark = pytest.mark.usefixtures("no_probe")

NAME = "a\udcff\udc80 line\nescape\x1b[31m\x07 separators\u2028\x85\u202eb"
SHOWN = "a\\xff\\x80 line\\nescape\\x1b[31m\\x07 separators\\u2028\\x85\\u202eb"


def one_line_each(text: str) -> bool:
    """Whether a terminal shows each line of a text as it is."""
    return all(line.isprintable() for line in text.split("\n"))


def test_a_path_of_any_bytes(small, tmp_path, monkeypatch) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    monkeypatch.chdir(folder)
    data = shutil.copytree(small, folder / f"data {NAME}")
    made = write_checkpoint(folder, "mlp").rename(folder / f"{NAME}.pt")
    weights = folder / f"weights {NAME}.pt"
    torch.save(lenetshift.MLP().state_dict(), weights)
    model = folder / f"model {NAME}.py"
    model.write_text("from lenetshift import MLP\n")
    file, picture = folder / f"{NAME}.json", folder / f"{NAME}.png"
    finished = ("reproduce", "--data", data, "--out", folder / f"run {NAME}", "--epochs", 0)
    options = ("--data", data, "--no-intervals", "--plot", picture)
    kept = folder / f"{NAME}.npz"
    for arguments in (
        ("evaluate", "--model", f"{model}:MLP", "--weights", weights, *options),
        ("evaluate", "--checkpoint", made, *options, "--save", kept),
        ("compare", kept, kept, "--plot", picture),
        ("grid", "--checkpoint", made, "--data", data, "--index", 7, "--out", picture),
        ("doctor", "--no-torch"),
    ):
        status, text, errors = run(*arguments, "--json", file)
        assert status == (1 if arguments[0] == "doctor" else 0), errors
        assert one_line_each(text + errors)
        assert f"written: {tmp_path}{os.sep}{SHOWN}{os.sep}{SHOWN}.json" in text
        value = json.loads(file.read_bytes().decode())  # UTF-8, strictly
        json.dumps(value, ensure_ascii=False).encode()  # and so is each text in it
        status, text, errors = run(*arguments, "--json")
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    status, text, errors = run(*finished, "--models", "pooled_mlp")
    assert status == 0, errors
    assert f"the files are in {tmp_path}{os.sep}{SHOWN}{os.sep}run {SHOWN}{os.sep}" in text
    assert one_line_each(text + errors)
    page = ("page", folder / f"run {NAME}", "--data", data, "--out", folder / f"{NAME}.html")
    status, text, errors = run(*page)
    assert (status, errors) == (0, "")
    assert text == f"written: {tmp_path}{os.sep}{SHOWN}{os.sep}{SHOWN}.html\n"


def test_an_error_about_any_path_is_one_line(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    good = write_checkpoint(tmp_path, "mlp")
    (tmp_path / f"bad {NAME}.pt").write_bytes(b"")
    (tmp_path / f"bad {NAME}.py").write_text("x = 1\ndef f(:\n")
    for arguments in (
        ("evaluate", "--model", f"{NAME}.py:Net"),
        ("evaluate", "--model", f"bad {NAME}.py:Net"),
        ("evaluate", "--checkpoint", f"{NAME}.pt"),
        ("evaluate", "--checkpoint", f"bad {NAME}.pt"),
        ("evaluate", "--checkpoint", good, "--data", NAME),
        ("evaluate", "--checkpoint", good, "--json", f"{NAME}/a.json"),
        ("evaluate", "--checkpoint", good, "--plot", f"{NAME}/a.png"),
        ("evaluate", "--checkpoint", good, "--plot", f"{NAME}.gif"),
        ("evaluate", "--checkpoint", good, "--fill", NAME),
        ("evaluate", "--checkpoint", good, "--answers", f"bad {NAME}.pt"),
        ("evaluate", "--checkpoint", good, "--scheduler", NAME),
        ("evaluate", "--checkpoint", good, NAME),
        ("evaluate", "--checkpoint", good, f"--{NAME}"),
        ("evaluate", "--checkpoint", good, "--save", f"{NAME}/a.npz"),
        ("evaluate", "--checkpoint", good, "--fail-under", NAME),
        ("evaluate", "--checkpoint", good, "--fail-under", f"{NAME}=5%"),
        ("compare", NAME, good),
        ("compare", f"bad {NAME}.pt", good),
        ("grid", "--index", 0, "--checkpoint", NAME),
        ("page", NAME),
        ("page", NAME, "--study", NAME),
        ("verify", NAME),
        ("reproduce", "--out", f"bad {NAME}.pt"),
        ("reproduce", "--data", NAME),
        ("reproduce", "--models", NAME),
        ("study", "--out", f"bad {NAME}.pt"),
        ("study", "--scheduler", NAME),
        ("bench", "--json", f"{NAME}/a.json"),
        ("doctor", "--json", f"{NAME}/a.json"),
        (NAME,),
    ):
        status, text, errors = run(*arguments)
        assert (status, text) == (2, ""), arguments
        assert errors.count("\n") == 1, arguments
        assert one_line_each(errors), arguments
        assert SHOWN in errors or repr(NAME)[1:-1] in errors, arguments


def idx_folder(folder: Path) -> Path:
    """A folder with the names of MNIST's files, none of which is one."""
    folder.mkdir()
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (folder / f"{part}-{kind}-ubyte").write_bytes(b"junk")
    return folder


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        *((f"{command} --data {where}", "--data")
          for command in ("evaluate --checkpoint good.pt", "grid --checkpoint good.pt --index 0",
                          "reproduce --out out", "study --out out", "verify dossier")
          for where in ("nowhere", "text", "empty", "junk", "/dev/null")),
        ("evaluate --checkpoint good.pt --data nowhere:Digits", "--data"),
        ("evaluate --checkpoint good.pt --classes text", "--classes"),
        *((f"evaluate --checkpoint good.pt --answers {where}", "--answers")
          for where in ("text", "text/within", "results", "dossier")),
        *((f"{command} --checkpoint {where}", "--checkpoint")
          for command in ("evaluate", "grid --index 0") for where in ("nowhere", "text", "empty")),
        *((f"evaluate --model net.py:MLP --weights {where}", "--weights")
          for where in ("nowhere", "text", "empty")),
        *((f"evaluate --model {where}", "--model")
          for where in ("nowhere.py:Net", "empty:Net", "nowhere.pt", "onnx:text")),
        *((f"compare {where} good.npz", "A") for where in ("nowhere", "text", "empty")),
        *((f"compare good.npz {where}", "B") for where in ("nowhere", "text", "empty")),
        *((f"page {where}", "DIR") for where in ("nowhere", "text", "empty", "results")),
        *((f"verify {where}", "DIR") for where in ("nowhere", "text", "empty")),
        *((f"reproduce --quick --out out --study {where}", "--study")
          for where in ("nowhere", "text", "empty", "dossier")),
        *((f"{command} --quick --out {where}", "--out")
          for command, other in (("reproduce", "dossier"), ("study", "results"))
          for where in ("text", other)),
        *((f"evaluate --checkpoint good.pt {option} nowhere/a.{ending}", option)
          for option, ending in (("--json", "json"), ("--save", "npz"), ("--plot", "png"),
                                 ("--page", "html"))),
    ],
)  # fmt: skip
def test_an_error_about_a_path_names_the_argument(
    arguments, argument, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_checkpoint(tmp_path, "mlp").rename("good.pt")
    (tmp_path / "net.py").write_text("from lenetshift import MLP\n")
    (tmp_path / "text").write_text("zero")
    test = lenetshift.load_mnist()[1][:2]
    lenetshift.evaluate_shifts(lenetshift.MLP(), test).save("good.npz")
    for name, file in (("results", "results.json"), ("dossier", "dossier.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
    (tmp_path / "empty").mkdir()
    idx_folder(tmp_path / "junk")
    status, text, errors = run(*arguments.split())
    assert (status, text, errors.count("\n")) == (2, "", 1), errors
    given = arguments.split()[0]
    assert errors.startswith(f"lenetshift {given}: error: argument {argument}: "), errors


def test_an_error_in_images_that_come_in_batches_names_the_option(tmp_path, monkeypatch) -> None:
    """A folder of images is read as the evaluation goes."""
    monkeypatch.chdir(tmp_path)
    write_checkpoint(tmp_path, "mlp").rename("good.pt")
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("L", (28, 28)).save(tmp_path / "data" / name / "1.png")
    picture = tmp_path / "data" / "b" / "1.png"
    picture.write_bytes(picture.read_bytes()[:-30])
    status, _, errors = run("evaluate", "--checkpoint", "good.pt", "--data", "data")
    assert (status, errors.count("\n")) == (2, 1)
    assert errors.startswith("lenetshift evaluate: error: argument --data: data/b/1.png: "), errors
