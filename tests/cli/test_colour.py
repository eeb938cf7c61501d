"""Colour, only where a terminal takes it."""

from __future__ import annotations

import contextlib
import io
import re
import warnings

import pytest
from command_line import run

from lenetshift.checks.errors import UsageError
from lenetshift.cli import command, completion
from lenetshift.cli.checkup import probe
from lenetshift.cli.checkup.finding import NOTE, Finding
from lenetshift.cli.colour import RED, painted

RED_ERROR, YELLOW_WARNING = "\x1b[1;31merror:\x1b[0m", "\x1b[1;33mwarning:\x1b[0m"


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Exit status of a command, and what it shows on a terminal."""
    shown = Terminal()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        status = command.main(arguments)
    return status, shown.getvalue()


@pytest.fixture(autouse=True)
def colourful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of terminal that shows colours."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_errors_and_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    status, text = on_a_terminal("reproduce", "--quic")
    assert status == 2
    assert text.startswith(f"lenetshift reproduce: {RED_ERROR} unrecognized arguments: --quic; did")

    def fail(_: object) -> int:
        warnings.warn("odd\nlines", stacklevel=1)
        raise UsageError("it\x1b[2J fails")

    monkeypatch.setattr(completion, "run", fail)
    status, text = on_a_terminal("completion", "bash")
    assert status == 2
    assert text.splitlines() == [
        f"{YELLOW_WARNING} odd lines",
        f"lenetshift completion: {RED_ERROR} it\\x1b[2J fails",
    ]


def test_what_doctor_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Finding("a", "x\x1b[2J", "mend it"), Finding("b", "y", "", state=NOTE)]
    monkeypatch.setattr(probe, "probe", lambda _: found)
    status, text = on_a_terminal("doctor")
    assert status == 1
    assert "\x1b[1;31m!\x1b[0m a             x\\x1b[2J\n" in text
    assert "\x1b[1;33m-\x1b[0m b             y\n" in text
    assert re.search(r"wrong, marked with !\.\nDocumentation: README.md and docs/", text)


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_shall_have_none(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert "\x1b" not in on_a_terminal("--frob")[1]


def test_no_terminal_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "probe", lambda _: [Finding("a", "x", "mend it")])
    for arguments in (["doctor"], ["--frob"], ["--help"]):
        _, text, errors = run(*arguments)
        assert "\x1b" not in text + errors
    assert painted("x", RED, None) == painted("x", RED, io.StringIO()) == "x"
