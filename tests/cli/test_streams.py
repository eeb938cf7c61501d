"""Standard streams that are closed, full or without a reader do not cost a run its files."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT

from lenetshift.cli.networks.own_code import printing_aside
from lenetshift.cli.streams import GuardedStream, guarded_streams, say
from lenetshift.reproduce import __main__ as reproduce

LOST = "python -m lenetshift.reproduce: standard output is lost: "


def shell(
    redirections: str, *arguments: object, module: str = "lenetshift.reproduce"
) -> subprocess.CompletedProcess[str]:
    """Run a command with redirected streams."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    script = ["bash", "-c", f'"$@" {redirections}', "bash", *command]
    return subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("redirections", "status", "lost"),
    [
        (">&-", 4, LOST + "closed"),
        ("> /dev/full", 4, LOST + "No space left on device"),
        ("2>&-", 8, ""),
        ("2> /dev/full", 8, ""),
        ("<&- >&- 2>&-", 12, ""),
        ("> >(:)", 141, ""),
        ("2> >(:)", 8, ""),
    ],
)
def test_a_run_finishes_and_its_status_shows_the_loss(
    small, tmp_path, redirections, status, lost
) -> None:
    options = ["--data", small, "--out", tmp_path, "--models", "biased_lenet5", "--epochs", "1"]
    done = shell(redirections, *options)
    assert done.returncode == status, done.stderr
    assert (tmp_path / "results.json").exists()
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    errors = done.stderr.splitlines()
    if status in (4, 12, 141):
        assert not done.stdout
    else:
        assert "Table 1" in done.stdout
    if status in (8, 12):
        assert not errors
    else:
        assert "biased_lenet5: 1 epoch trained" in done.stderr
        assert [line for line in errors if "lost" in line] == ([lost] if lost else [])
    # No output was written into a file.
    assert b"trained in" not in (tmp_path / "checkpoints" / "biased_lenet5.pt").read_bytes()
    assert reproduce.main([*map(str, options), "--resume"]) == 0


@pytest.mark.parametrize(
    ("options", "redirections", "status"),
    [
        (["--epochs", "two"], "2>&-", 2),
        (["--data", "/no/such/folder"], "2> /dev/full", 2),
        (["--help"], "> /dev/full", 4),
    ],
)
def test_an_unreported_error_keeps_its_status(tmp_path, options, redirections, status) -> None:
    done = shell(redirections, "--out", tmp_path, *options)
    assert done.returncode == status
    assert not done.stdout
    assert done.stderr == {2: "", 4: done.stderr}[status]
    assert done.stderr.count("\n") == (status == 4)


@pytest.mark.parametrize("arguments", ["--help", "doctor --no-torch", "completion bash", ""])
def test_a_reader_that_has_read_enough(arguments) -> None:
    """As of other programs, nothing is said, and the shell sees that the pipe broke."""
    script = f"{sys.executable} -u -m lenetshift {arguments} | (exec 0<&-); echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout in ("141\n", "1\n" if "doctor" in arguments else "141\n")


@pytest.mark.parametrize("redirection", ["> /dev/full", ">&-"])
def test_json_that_is_lost(redirection) -> None:
    done = shell(redirection, "doctor", "--no-torch", "--json", module="lenetshift")
    assert done.returncode == 4
    assert done.stderr.startswith("python -m lenetshift: standard output is lost: ")


class Full(io.StringIO):
    """Takes ten characters, then no more."""

    def write(self, text: str) -> int:
        if self.tell() + len(text) > 10:
            raise OSError(28, os.strerror(28))
        return super().write(text)


def test_a_guarded_stream_notes_its_loss() -> None:
    full = Full()
    stream = GuardedStream(full)
    print("short", file=stream)
    assert (stream.lost, full.getvalue()) == ("", "short\n")
    print("too long to be taken", file=stream, flush=True)
    assert (stream.lost, stream.unread) == ("No space left on device", False)

    closed = io.StringIO()
    closed.close()
    stream = GuardedStream(closed)
    print("text", file=stream, flush=True)
    assert stream.lost == "I/O operation on closed file"

    stream = GuardedStream(None)
    stream.flush()
    assert (stream.lost, stream.isatty()) == ("", False)
    print("text", file=stream)
    assert stream.lost == "closed"


class Bare:
    """What some programs put in the place of a stream: it can be written to, and nothing else."""

    def __init__(self, error: Exception | None = None) -> None:
        self.text, self.error = "", error

    def write(self, text: str) -> int:
        if self.error:
            raise self.error
        self.text += text
        return len(text)


def test_a_stream_that_can_only_be_written_to() -> None:
    bare: Any = Bare()
    stream = GuardedStream(bare)
    print("text", file=stream, flush=True)
    assert (stream.lost, bare.text) == ("", "text\n")
    bare.error = OSError(28, os.strerror(28))
    print("text", file=stream, flush=True)
    assert stream.lost == "No space left on device"


def closed_file(tmp_path: Path) -> Any:
    with open(tmp_path / "closed", "w") as file:
        return file


def test_streams_that_are_closed_within_python(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", closed_file(tmp_path))
    monkeypatch.setattr(sys, "stderr", closed_file(tmp_path))
    with guarded_streams() as (output, errors):
        print("said")
        say("said")
    assert output.lost == errors.lost == "I/O operation on closed file."


def test_what_a_stream_cannot_show_is_escaped_and_the_stream_stays_as_it_was() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    guarded = GuardedStream(stream)
    print("é \udcff", file=guarded, flush=True)
    assert (raw.getvalue(), guarded.lost) == (b"\\xe9 \\udcff\n", "")
    assert stream.errors == "strict"


def test_other_people_s_code_cannot_take_the_streams_away(capsys) -> None:
    with printing_aside():
        print("aside")
        sys.stdout = sys.stderr = None  # type: ignore[assignment]
    print("a result")
    say("a line")
    assert capsys.readouterr() == ("a result\n", "aside\na line\n")


def test_the_streams_are_put_back(monkeypatch) -> None:
    mine: Any = io.StringIO()
    monkeypatch.setattr(sys, "stdout", mine)
    monkeypatch.setattr(sys, "stderr", None)
    with guarded_streams() as (output, errors):
        print("said")
        print("lost", file=sys.stderr)
    assert (sys.stdout, sys.stderr) == (mine, None)
    assert (mine.getvalue(), output.lost, errors.lost) == ("said\n", "", "closed")
