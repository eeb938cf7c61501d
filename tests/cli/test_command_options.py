"""Options that all commands treat alike."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator

import pytest
from command_line import python, run, write_checkpoint

from lenetshift.cli import command
from lenetshift.cli.parser import OneLineParser


@pytest.mark.usefixtures("no_probe")
@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            "repro",
            "unknown command 'repro'; did you mean reproduce? (`lenetshift help` lists them)",
        ),
        ("nonsense", "unknown command 'nonsense' (`lenetshift help` lists them)"),
        ("nonsense --quick", "unknown command 'nonsense' (`lenetshift help` lists them)"),
        ("help evalute", "unknown command 'evalute'; did you mean evaluate? (`lenetshift help`"),
        ("--frob", "unrecognized arguments: --frob\n"),
        ("--verson", "unrecognized arguments: --verson; did you mean --version?"),
        ("--verson repro", "unrecognized arguments: --verson; did you mean --version?"),
        ("reproduce --quic", "unrecognized arguments: --quic; did you mean --quick?"),
        ("reproduce --sed=3 x", "unrecognized arguments: --sed=3; did you mean --seed?"),
        ("evaluate --modle net.py:Net", "unrecognized arguments: --modle; did you mean --model?"),
        (
            "evaluate --mean -1 --weigths a",
            "unrecognized arguments: --weigths; did you mean --weights",
        ),
        ("evaluate --mean -e5", "argument --mean: expected at least one argument"),
        ("verify", "the following arguments are required: DIR"),
        ("verify /no/such", "argument DIR: /no/such: no such folder, expected the folder of a fin"),
        ("verify /dev/null", "argument DIR: /dev/null: not a folder, expected the folder of a fin"),
        ("page nope", "argument DIR: nope: no such folder, expected the folder of a finished `rep"),
        ("page nope --out nope/a", "argument DIR: nope: no such folder, expected the folder of a"),
        ("bench --models lenet6", "argument --models: unknown model 'lenet6'"),
        ("study --experiments table,tabel", "argument --experiments: unknown experiment 'tabel'"),
        ("bench --models biased_lenet5", "argument --models: unknown model 'biased_lenet5'"),
        ("bench --threads 0", "argument --threads: got '0', expected a whole"),
        ("bench --device tpu", "argument --device: invalid choice: 'tpu'"),
        ("bench --json /no/such/x", "argument --json: cannot write to /no/such: No such"),
        ("doctor --json /no/such/x", "argument --json: cannot write to /no/such: No such"),
        ("doctor --json /", "argument --json: /: not a file"),
        ("doctor now", "unrecognized arguments: now"),
        ("completion", "the following arguments are required: shell"),
        ("completion ksh", "argument shell: invalid choice: 'ksh'"),
    ],
)
def test_bad_input_is_one_line(line, error) -> None:
    status, text, errors = run(*line.split())
    assert (status, text) == (2, "")
    name = line.partition(" ")[0]
    prog = f"lenetshift {name}" if name in command.COMMANDS else "lenetshift"
    assert errors.startswith(f"{prog}: error: {error}")
    assert errors.count("\n") == 1


NEGATIVE = ("-5", "-.5", "-5.", "-0.5", "-5e-1", "-5E+1", "-1_0.5", "-.5e0", "-\u0665")


NEGATIVE_ODD = ("-inf", "-Infinity", "-nan", "-1e400")


REQUIRED = {
    "evaluate": ["--checkpoint", "x.pt"],
    "compare": ["a.npz", "b.npz"],
    "grid": ["--checkpoint", "x.pt", "--index", "0"],
}


def read(action: argparse.Action, text: str) -> object:
    """The value, or None if the option does not accept the text."""
    with contextlib.suppress(ValueError, argparse.ArgumentTypeError):
        return action.type(text) if callable(action.type) else text
    return None


def numeric_options() -> Iterator[tuple[str, argparse.Action]]:
    """The options of all commands whose type makes a number of "0.5" or "1"."""
    for name in command.COMMANDS:
        one = OneLineParser()
        command._module(name).add_arguments(one)
        for action in one._actions:
            values = (read(action, "0.5"), read(action, "1"))
            if action.option_strings and {type(value) for value in values} & {int, float}:
                yield name, action


def test_a_negative_number_in_any_notation_is_a_value(capsys) -> None:
    made = command.parser()
    found = set()
    for name, action in numeric_options():
        option = action.option_strings[0]
        found.add(f"{name} {option}")
        n = action.nargs if isinstance(action.nargs, int) else 1
        for text in (*NEGATIVE, *NEGATIVE_ODD):
            arguments = [name, *REQUIRED.get(name, []), option, *[text] * n]
            expected = read(action, text)
            if expected is None:  # the error names it
                with pytest.raises(SystemExit):
                    made.parse_args(arguments)
                errors = capsys.readouterr().err
                assert repr(text) in errors
                assert f"error: argument {option}: " in errors
            else:
                value = getattr(made.parse_args(arguments), action.dest)
                assert repr(value if action.nargs is None else value[0]) == repr(expected)
    assert found >= {f"evaluate --{each}" for each in ("mean", "std", "fill", "level", "crop")}
    assert found >= {"grid --index", "study --jobs", "bench --threads", "reproduce --dx"}
    assert "reproduce --learning-rate" in found


def test_what_looks_like_an_option_stays_one() -> None:
    status, _, errors = run("evaluate", "--checkpoint", "x.pt", "--mean", "-e5", "0")
    assert status == 2
    assert errors == "lenetshift evaluate: error: argument --mean: expected at least one argument\n"


def test_an_impossible_isa_is_one_line(tmp_path) -> None:
    checkpoint = write_checkpoint(tmp_path, "mlp")
    for arguments in (
        ("bench",),
        ("grid", "--checkpoint", checkpoint, "--index", 0),
        ("evaluate", "--checkpoint", checkpoint),
    ):
        done = python("-m", "lenetshift", *arguments, env={"LENETSHIFT_ISA": "mmx"})
        assert (done.returncode, done.stdout) == (2, "")
        assert "LENETSHIFT_ISA" in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        "reproduce --models mlp --out made",
        "study --quick --out made",
        "grid --checkpoint checkpoints/mlp.pt --index 0 --out made.png",
        "evaluate --checkpoint checkpoints/mlp.pt --plot made.png",
    ],
)
def test_an_unusable_matplotlib_is_reported_before_the_work(line, tmp_path) -> None:
    write_checkpoint(tmp_path, "mlp")
    settings = tmp_path / "settings"
    settings.write_bytes("font.family: Ärial\n".encode("latin-1"))
    before = set(tmp_path.rglob("*"))
    environment = {"MATPLOTLIBRC": str(settings)}
    done = python("-m", "lenetshift", *line.split(), cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    of_matplotlib, ours = done.stderr.splitlines()
    assert str(settings) in of_matplotlib
    assert "error: Matplotlib, which draws the figures, cannot be used: 'utf-8'" in ours
    assert set(tmp_path.rglob("*")) == before
