"""The bar on a terminal, the plain lines elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import sys
from collections.abc import Callable
from typing import Any

import pytest

import lenetshift
from lenetshift.predict.progress import Progress


def report(progress: Progress) -> None:
    with progress:
        progress.stage("mlp: training")
        progress.advance(1)
        progress.line("mlp: trained")
        progress.stage("mlp: evaluating")
        progress.advance(3)


def test_bar_on_a_terminal() -> None:
    here, there = pty.openpty()
    with os.fdopen(there, "w") as terminal:
        report(Progress(4, terminal))
    parts = []
    with contextlib.suppress(OSError):  # how a terminal that nobody holds open any more ends
        while part := os.read(here, 4096):
            parts.append(part)
    os.close(here)
    drawn = b"".join(parts).decode()
    assert "mlp: training:   0%|" in drawn
    assert "mlp: evaluating:  25%|" in drawn
    assert "\rmlp: trained\r\n" in drawn
    # The bar is gone in the end: the last thing drawn is an empty line.
    assert drawn.endswith("\r")
    assert not drawn.split("\r")[-2].strip()


def test_lines_elsewhere() -> None:
    stream = io.StringIO()
    report(Progress(4, stream))
    assert stream.getvalue() == "mlp: trained\n"


class Bare:
    """What some programs put in the place of standard error: it can be written to, and nothing else."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)


class Gone(io.StringIO):
    """A terminal whose other end is closed after some writes."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left = writes

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise OSError(5, os.strerror(5))
        return super().write(text)


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [lambda: None, closed, Bare, lambda: Gone(0)])
def test_a_standard_error_that_cannot_be_used_costs_no_evaluation(
    stream: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    test = lenetshift.load_mnist()[1].subset(3)
    model = lenetshift.build_model("pooled_mlp", seed=0)
    expected = lenetshift.evaluate_shifts(model, test, progress=False)
    monkeypatch.setattr(sys, "stderr", stream())
    evaluation = lenetshift.evaluate_shifts(model, test)
    assert evaluation.predictions.equal(expected.predictions)
    report(Progress(4))
    assert capsys.readouterr().out == ""  # nothing goes where results go instead


@pytest.mark.parametrize("writes", range(12))
def test_a_terminal_may_go_away_at_any_time(writes: int) -> None:
    report(Progress(4, Gone(writes)))


def test_a_line_is_one_line() -> None:
    stream = io.StringIO()
    Progress(1, stream).line("worker \x1b[2J\nb")
    assert stream.getvalue() == "worker \\x1b[2J\\nb\n"
