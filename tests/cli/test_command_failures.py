"""A failure after the work of a command does not lose its results."""

from __future__ import annotations

import json
import os

import pytest
from command_line import run, write_checkpoint

from lenetshift.figures import moved_image


@pytest.mark.usefixtures("no_probe", "short_bench")
def test_a_full_disk(small, tmp_path, monkeypatch) -> None:
    checkpoint = write_checkpoint(tmp_path, "mlp")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    grid = ("grid", "--checkpoint", checkpoint, "--data", small, "--index", 7)
    for arguments, files, said in (
        (("bench", "--models", "mlp"), ["a.json"], "microseconds per pattern"),
        (("doctor", "--no-torch"), ["a.json"], "marked with !"),
        ((*grid, "--out", tmp_path / "a.png"), ["a.json", "a.png"], "of 55 shifts"),
    ):
        status, text, errors = run(*arguments, "--json", tmp_path / "a.json")
        assert status == 2
        assert said in text
        assert "written" not in text
        problems = [f"cannot write {tmp_path / file}: No space left on device" for file in files]
        line = f"lenetshift {arguments[0]}: error: {'; '.join(problems)}"
        assert errors.splitlines()[-1] == line
    status, text, errors = run(*grid, "--out", tmp_path / "a.png", "--json")
    assert (status, json.loads(text)["label"]) == (2, 9)
    assert errors.count("\n") == 1


def test_a_figure_that_cannot_be_drawn(small, tmp_path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no\nglyph")

    monkeypatch.setattr(moved_image, "shift_figure", fail)
    options = ("--checkpoint", write_checkpoint(tmp_path, "mlp"), "--data", small, "--index", 7)
    options += ("--out", tmp_path / "a.png", "--json", tmp_path / "a.json")
    status, text, errors = run("grid", *options)
    assert status == 2
    assert "of 55 shifts" in text
    assert json.loads((tmp_path / "a.json").read_text())["label"] == 9
    assert errors.endswith(f"cannot write {tmp_path / 'a.png'}: RuntimeError: no glyph\n")
