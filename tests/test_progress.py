"""The bar on a terminal, the plain lines elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import pty

from lenetshift.progress import Progress


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
