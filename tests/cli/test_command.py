"""The command ``lenetshift``: its subcommands, how it starts, and what it says to what cannot be."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import ROOT, no_probe, pickled, python, run, write_checkpoint
from PIL import Image

import lenetshift
import lenetshift.reference
import lenetshift.storage.environment
from lenetshift.checks.errors import UsageError
from lenetshift.cli import bench, command
from lenetshift.cli.checkup import probing
from lenetshift.cli.options import OneLineParser
from lenetshift.figures import moved_image
from lenetshift.models.table import ARCHITECTURES
from lenetshift.study.plans import Plan

WITHOUT_TORCH = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "numpy", "matplotlib", "scipy"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
sys.argv[0] = "lenetshift"  # as in the console script
from lenetshift.cli.command import console
sys.exit(console())
"""


# How it starts.


@pytest.mark.parametrize("name", command.COMMANDS)
def test_help_and_errors_in_options_need_no_torch(name: str) -> None:
    done = python("-c", WITHOUT_TORCH, name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Example:\n\n    lenetshift {name}" in done.stdout
    assert "Exit status: 0 " in done.stdout
    done = python("-c", WITHOUT_TORCH, name, "--frob")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"lenetshift {name}: error: ")
    assert done.stderr.count("\n") == 1


def test_a_default_of_0_is_shown() -> None:
    made = command.parser()._subparsers._group_actions[0].choices["reproduce"]
    text = " ".join(made.format_help().split())
    assert "order of the images (default: 0)" in text
    assert "over the training images (default: 2)" in text
    assert "None)" not in text
    assert "False)" not in text


def test_the_list_of_commands_needs_no_torch() -> None:
    done = python("-c", WITHOUT_TORCH, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(each in done.stdout for each in command.COMMANDS)
    done = python("-c", WITHOUT_TORCH, "--version")
    assert done.stdout == f"lenetshift {lenetshift.__version__}\n"


def test_an_example_is_possible(capsys: pytest.CaptureFixture[str]) -> None:
    """Each parses; a wrong option in it would be told."""
    made = command.parser()
    for name in command.COMMANDS:
        example = command._module(name).EXAMPLE.partition(">")[0].replace("\\\n", "")
        assert made.parse_args(example.split()).command == name


def test_python_m_and_the_script_say_who_they_are() -> None:
    done = python("-m", "lenetshift", "grid")
    assert done.returncode == 2
    assert done.stderr.startswith("python -m lenetshift grid: error: the following arguments are")
    done = python("-m", "lenetshift", "--version")
    assert done.stdout == f"lenetshift {lenetshift.__version__}\n"
    done = python(
        "-c",
        "import sys; from lenetshift.cli import command; sys.argv[1:] = ['--help']; "
        "command.console_reproduce()",
    )
    assert "python -m lenetshift.reproduce --quick --out results" in done.stdout


def test_without_torch_a_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so:\\nno such file')\n")
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    for arguments in (("evaluate", "--checkpoint", "x.pt"), ("verify", "x"), ("bench",)):
        done = python("-m", "lenetshift", *arguments, env=environment)
        assert done.returncode == 2
        assert done.stderr == (
            f"python -m lenetshift {arguments[0]}: error: libtorch.so: no such file "
            "(`lenetshift doctor` says what to do)\n"
        )


def test_the_package_is_whole_wherever_it_is_imported() -> None:
    ops = "assert torch.ops.lenetshift.translate\n"
    names = "names = {}\nexec('from lenetshift import *', names)\n"
    names += "assert set(lenetshift.__all__) < set(names)\n"
    names += "assert set(lenetshift.__all__) < set(dir(lenetshift))\n"
    train = "assert callable(lenetshift.train) and lenetshift.train is names['train']\n"
    everywhere = python("-c", f"import lenetshift, torch\n{ops}{names}{train}")
    assert everywhere.returncode == 0, everywhere.stderr
    lazy = "import sys\nsys.argv = ['lenetshift']\nimport lenetshift\nassert 'torch' not in sys.modules\n"
    unknown = "try: lenetshift.nonsense\nexcept AttributeError as e: print(e)\n"
    names = names.replace("assert set(lenetshift.__all__) < set(dir(lenetshift))\n", "")
    used = f"lenetshift.LeNet5()\nimport torch\n{ops}{names}{train}"
    done = python("-c", lazy + used + unknown)
    assert (done.returncode, done.stderr) == (0, "")
    assert "has no attribute 'nonsense'" in done.stdout


def test_a_module_of_others_has_the_ops(tmp_path: Path) -> None:
    """Also where its package imports this one while Python still looks for the module."""
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "__init__.py").write_text("import lenetshift\n")
    (tmp_path / "others" / "app.py").write_text(
        "import sys, torch\nprint(sys.argv[1:], torch.ops.lenetshift.translate is not None)\n"
    )
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = python("-m", "others.app", "-m", "lenetshift", env=environment)
    assert (done.returncode, done.stdout) == (0, "['-m', 'lenetshift'] True\n"), done.stderr


# The subcommands that are commands of their own, too.


def test_reproduce(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--data", small, "--out", tmp_path, "--models", "pooled_mlp", "--epochs", 0)
    status, text, _ = run(capsys, "reproduce", *options)
    assert status == 0
    assert f"the files are in {tmp_path}{os.sep}" in text
    assert (tmp_path / "results.json").exists()


def test_study_and_verify(tmp_path: Path) -> None:
    """As processes: a study has children of its own."""
    options = ("--quick", "--experiments", "table", "--jobs", 2, "--out", tmp_path / "study")
    done = python("-m", "lenetshift", "study", *options)
    assert done.returncode == 0, done.stderr
    done = python("-m", "lenetshift", "verify", tmp_path / "study")
    assert (done.returncode, done.stderr) == (0, "")
    n_runs = len(Plan(2, ("table",), quick=True).runs)
    assert f"{n_runs} runs, everything they state matches what was recomputed" in done.stdout
    (tmp_path / "study" / "claims.csv").write_text("")
    done = python("-m", "lenetshift", "verify", tmp_path / "study")
    assert done.returncode == 1
    assert done.stderr.startswith("python -m lenetshift verify: differs: ")


# grid


def test_grid(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = write_checkpoint(tmp_path, "biased_lenet5", note="A subset.")
    figure, result = tmp_path / "seven.png", tmp_path / "seven.json"
    options = ("--checkpoint", checkpoint, "--data", small, "--index", 7, "--out", figure)
    status, text, errors = run(capsys, "grid", *options, "--json", result)
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


def test_grid_of_other_shifts_where_it_is_asked_for(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = write_checkpoint(tmp_path, "mlp")
    monkeypatch.chdir(tmp_path)
    options = ("--checkpoint", checkpoint, "--data", small, "--index", 0)
    status, text, _ = run(capsys, "grid", *options, "--dx", -1, 2, "--dy", 0, 0, "--json")
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
    capsys: pytest.CaptureFixture[str],
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
    status, text, errors = run(capsys, "grid", "--data", small, *given)
    assert (status, text) == (2, "")
    assert errors.startswith("lenetshift grid: error: ")
    assert named in errors
    assert errors.count("\n") == 1
    assert not executed.exists()
    assert not list(tmp_path.glob("*.png"))


# bench


@pytest.fixture
def short_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "IMAGES", {"cpu": (4, 2)})
    monkeypatch.setattr(bench, "BATCH_SIZES", {"cpu": (11, 55)})
    monkeypatch.setattr(bench, "REPETITIONS", 3)


@pytest.mark.slow
@pytest.mark.usefixtures("short_bench")
def test_bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bench.json"
    status, text, errors = run(capsys, "bench", "--json", file, "--models", "mlp,lenet5")
    assert status == 0
    value = json.loads(file.read_text())
    assert [result["model"] for result in value["models"]] == ["lenet5", "mlp"]
    for result in value["models"]:
        assert result["pytorch"]["batch_size"] in (11, 55)
        seconds = [result[who]["seconds_a_pattern"] for who in ("ours", "pytorch")]
        assert min(seconds) > 0
        assert result["ratio"] == pytest.approx(seconds[1] / seconds[0])
        assert result["largest_difference"] < bench.TOLERANCE
    assert value["environment"]["isa"] == lenetshift.isa()
    assert "microseconds per pattern" in text
    assert text.endswith(f"written: {file}\n")
    for line in text.splitlines()[-3:-1]:
        assert re.fullmatch(r"\w+ +[\d.]+ \(\d+ %\) +[\d.]+ \(\d+ %\) +[\d.]+x", line), line
    assert errors.count("answers equal") == 2
    status, text, _ = run(capsys, "bench", "--models", "pooled_mlp", "--json")
    assert status == 0
    assert [result["model"] for result in json.loads(text)["models"]] == ["pooled_mlp"]


@pytest.mark.usefixtures("short_bench")
def test_bench_times_nothing_where_answers_differ(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        lenetshift.reference, "dense_twin", lambda _: lenetshift.build_model("mlp", seed=1)
    )
    status, text, errors = run(capsys, "bench", "--models", "mlp")
    assert (status, text) == (2, "")
    assert errors.startswith("lenetshift bench: error: mlp: answers differ by ")
    assert errors.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("error", [UsageError("no luck"), KeyboardInterrupt(), OSError(5, "EIO")])
@pytest.mark.usefixtures("short_bench")
def test_what_bench_has_measured_is_told_where_a_later_network_fails(
    error: BaseException, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = bench.measure

    def fail(name: str, images: torch.Tensor) -> dict[str, Any]:
        if name == "mlp":
            raise error
        return measure(name, images)

    monkeypatch.setattr(bench, "measure", fail)
    status, text, _ = run(capsys, "bench", "--models", "lenet5,mlp")
    assert status == (130 if isinstance(error, KeyboardInterrupt) else 2)
    assert re.search(r"^lenet5 .*x$", text, re.MULTILINE)


def test_what_bench_could_fail_at_is_tried_before_the_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> dict[str, Any]:
        raise OSError(5, "Input/output error", "/proc/cpuinfo")

    monkeypatch.setattr(lenetshift.storage.environment, "environment", fail)
    monkeypatch.setattr(bench, "measure", lambda *_: pytest.fail("the work has begun"))
    said = "lenetshift bench: error: /proc/cpuinfo: Input/output error\n"
    assert run(capsys, "bench") == (2, "", said)


def test_seconds_a_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is counted by its own patterns, and the median is taken: of times that are made up."""
    monkeypatch.setattr(bench, "IMAGES", {"cpu": (4, 2)})
    monkeypatch.setattr(bench, "BATCH_SIZES", {"cpu": (55, 11)})
    monkeypatch.setattr(bench, "REPETITIONS", 3)
    # The trials of 55 and 11, a warm-up, then ours and PyTorch's in turns.
    calls = iter([5.0, 6.0, 1.0, *(2.2, 4.4), *(2.4, 5.0), *(9.0, 4.4)])
    monkeypatch.setattr(bench, "_seconds", lambda *_, **__: next(calls))
    images = torch.zeros(4, 28, 28, dtype=torch.uint8)
    result = bench.measure("mlp", images)
    assert result["ours"]["seconds_a_pattern"] == pytest.approx(2.4 / 220)
    assert result["pytorch"]["seconds_a_pattern"] == pytest.approx(4.4 / 110)
    assert result["pytorch"]["batch_size"] == 55
    assert result["ratio"] == pytest.approx(4.4 / 110 / (2.4 / 220))
    assert result["ours"]["spread"] == pytest.approx((9.0 - 2.2) / 2.4)


# completion


LOADED = {
    "bash": "source ./_lenetshift && complete -p lenetshift",
    "zsh": "fpath=(. $fpath); autoload -Uz compinit && compinit -D -u && autoload +X _lenetshift",
    "tcsh": "source ./_lenetshift && complete lenetshift",
}


@pytest.mark.parametrize("shell", LOADED)
def test_completion(shell, capsys, tmp_path) -> None:
    status, script, errors = run(capsys, "completion", shell)
    assert (status, errors) == (0, "")
    assert all(name in script for name in (*command.COMMANDS, "checkpoint"))
    if shutil.which(shell) is None:
        pytest.skip(f"this machine has no {shell}")
    (tmp_path / "_lenetshift").write_text(script)
    options = ["--norc", "--noprofile"] if shell == "bash" else ["-f"]
    loads = [shell, *options, "-c", LOADED[shell]]
    done = subprocess.run(loads, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, script, _ = run(capsys, "completion", "bash")
    (tmp_path / "completion").write_text(script)
    for line, expected in (
        ("lenetshift gr", "grid"),
        ("lenetshift evaluate --che", "--checkpoint"),
        ("lenetshift reproduce --activation re", "relu"),
        ("lenetshift grid --checkpoint compl", "completion"),
    ):
        given = line.split()
        asked = (
            f"source completion; COMP_WORDS=({line}); COMP_CWORD={len(given) - 1}; "
            f"_shtab_lenetshift lenetshift {given[-1]} {given[-2]}; echo ${{COMPREPLY[@]}}"
        )
        done = subprocess.run(
            ["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.stdout.split() == [expected], done.stderr


# What cannot be, of all of them.


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "lenetshift: error: the following arguments are required: COMMAND"),
        (["repro"], "lenetshift: error: argument COMMAND: invalid choice: 'repro' (choose from"),
        (["--frob"], "lenetshift: error: "),
        (["reproduce", "--epochs", "two"], "lenetshift reproduce: error: argument --epochs: inv"),
        (["reproduce", "--quic"], "lenetshift reproduce: error: unrecognized arguments: --quic"),
        (["study", "--seeds", "1"], "lenetshift study: error: argument --seeds: got 1, expected 2"),
        (["study", "--jobs", "0"], "lenetshift study: error: argument --jobs: got 0, expected 1"),
        (["verify"], "lenetshift verify: error: the following arguments are required: DIR"),
        (["verify", "/no/such"], "lenetshift verify: error: "),
        (
            ["bench", "--models", "lenet6"],
            "bench: error: argument --models: unknown model 'lenet6'",
        ),
        (["bench", "--models", "biased_lenet5"], "--models: unknown model 'biased_lenet5'"),
        (
            ["bench", "--threads", "0"],
            "bench: error: argument --threads: got '0', expected a whole",
        ),
        (["bench", "--device", "tpu"], "bench: error: argument --device: invalid choice: 'tpu'"),
        (["bench", "--json", "/no/such/x"], "argument --json: cannot write to /no/such: No such"),
        (
            ["doctor", "--json", "/no/such/x"],
            "error: argument --json: cannot write to /no/such: No such",
        ),
        (["doctor", "--json", "/"], "doctor: error: argument --json: /: not a file"),
        (["doctor", "now"], "lenetshift doctor: error: unrecognized arguments: now"),
        (["completion"], "completion: error: the following arguments are required: shell"),
        (["completion", "ksh"], "completion: error: argument shell: invalid choice: 'ksh'"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(probing, "probe", no_probe)
    status, text, errors = run(capsys, *arguments)
    assert (status, text) == (2, "")
    assert named in errors
    assert errors.count("\n") == 1


NEGATIVE = ("-5", "-.5", "-5.", "-0.5", "-5e-1", "-5E+1", "-1_0.5", "-.5e0", "-\u0665")
NEGATIVE_ODD = ("-inf", "-Infinity", "-nan", "-1e400")
REQUIRED = {
    "evaluate": ["--checkpoint", "x.pt"],
    "grid": ["--checkpoint", "x.pt", "--index", "0"],
}


def read(action: argparse.Action, text: str) -> object:
    """The value, None if it is not one."""
    with contextlib.suppress(ValueError, argparse.ArgumentTypeError):
        return action.type(text) if callable(action.type) else text
    return None


def numeric_options() -> Iterator[tuple[str, argparse.Action]]:
    """Each option of each command that takes numbers: those that read "0.5" or "1" as one."""
    for name in command.COMMANDS:
        one = OneLineParser()
        command._module(name).add_arguments(one)
        for action in one._actions:
            values = (read(action, "0.5"), read(action, "1"))
            if action.option_strings and {type(value) for value in values} & {int, float}:
                yield name, action


def test_a_negative_number_in_any_notation_is_a_value(capsys: pytest.CaptureFixture[str]) -> None:
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


def test_what_looks_like_an_option_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, errors = run(capsys, "evaluate", "--checkpoint", "x.pt", "--mean", "-e5", "0")
    assert (status, errors) == (
        2, "lenetshift evaluate: error: argument --mean: expected at least one argument\n",
    )  # fmt: skip


def test_an_impossible_isa_is_one_line(tmp_path: Path) -> None:
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


def test_a_matplotlib_that_cannot_be_used_is_told_before_the_work(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path, "mlp")
    (tmp_path / "matplotlibrc").write_bytes("font.family: \xc4rial\n".encode("latin-1"))
    for arguments in (
        ("grid", "--checkpoint", checkpoint, "--index", 0, "--out", tmp_path / "x.png"),
        ("evaluate", "--checkpoint", checkpoint, "--plot", tmp_path / "x.png"),
    ):
        done = python(
            "-m", "lenetshift", *arguments, env={"MATPLOTLIBRC": str(tmp_path / "matplotlibrc")}
        )
        assert (done.returncode, done.stdout) == (2, "")
        # Matplotlib's own line names the file.
        assert "Matplotlib, which draws the figures, cannot be used" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "x.png").exists()


# What comes after the work.


@pytest.mark.usefixtures("short_bench")
def test_a_full_disk_costs_no_figure(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = write_checkpoint(tmp_path, "mlp")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(probing, "probe", no_probe)
    monkeypatch.setattr(os, "fsync", full)
    grid = ("grid", "--checkpoint", checkpoint, "--data", small, "--index", 7)
    for arguments, files, said in (
        (("bench", "--models", "mlp"), ["a.json"], "microseconds per pattern"),
        (("doctor", "--no-torch"), ["a.json"], "marked with !"),
        ((*grid, "--out", tmp_path / "a.png"), ["a.json", "a.png"], "of 55 shifts"),
    ):
        status, text, errors = run(capsys, *arguments, "--json", tmp_path / "a.json")
        assert status == 2
        assert said in text
        assert "written" not in text
        problems = [f"cannot write {tmp_path / file}: No space left on device" for file in files]
        assert errors.splitlines()[-1] == (
            f"lenetshift {arguments[0]}: error: {'; '.join(problems)}"
        )
    status, text, errors = run(capsys, *grid, "--out", tmp_path / "a.png", "--json")
    assert (status, json.loads(text)["label"]) == (2, 9)
    assert errors.count("\n") == 1


def test_a_figure_that_cannot_be_drawn_costs_no_figure_in_numbers(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no\nglyph")

    monkeypatch.setattr(moved_image, "draw_shift_figure", fail)
    options = ("--checkpoint", write_checkpoint(tmp_path, "mlp"), "--data", small, "--index", 7)
    options += ("--out", tmp_path / "a.png", "--json", tmp_path / "a.json")
    status, text, errors = run(capsys, "grid", *options)
    assert status == 2
    assert "of 55 shifts" in text
    assert json.loads((tmp_path / "a.json").read_text())["label"] == 9
    assert errors.endswith(f"cannot write {tmp_path / 'a.png'}: RuntimeError: no glyph\n")


def test_an_error_of_the_system_that_names_no_file_is_told_without_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, said in (
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("odd"), "OSError: odd"),
        (TimeoutError(), "TimeoutError"),
    ):

        def fail(_: object, error: OSError = error) -> None:
            raise error

        monkeypatch.setattr(lenetshift.storage.environment, "environment", fail)
        assert run(capsys, "bench") == (2, "", f"lenetshift bench: error: {said}\n")


# Paths of every kind.

NAME = "a\udcff\udc80 line\nescape\x1b[31m\x07 separators\u2028\x85\u202eb"
SHOWN = "a\\xff\\x80 line\\nescape\\x1b[31m\\x07 separators\\u2028\\x85\\u202eb"


def one_line_each(text: str) -> bool:
    """Whether a terminal shows a text as it is."""
    return all(line.isprintable() for line in text.split("\n"))


def test_a_path_of_any_bytes(small, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(probing, "probe", no_probe)
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
    for arguments in (
        ("evaluate", "--model", f"{model}:MLP", "--weights", weights, *options),
        ("evaluate", "--checkpoint", made, *options),
        ("grid", "--checkpoint", made, "--data", data, "--index", 7, "--out", picture),
        ("doctor", "--no-torch"),
    ):
        status, text, errors = run(capsys, *arguments, "--json", file)
        assert status == (1 if arguments[0] == "doctor" else 0), errors
        assert one_line_each(text + errors)
        assert f"written: {tmp_path}{os.sep}{SHOWN}{os.sep}{SHOWN}.json" in text
        value = json.loads(file.read_bytes().decode())  # UTF-8, strictly
        json.dumps(value, ensure_ascii=False).encode()  # and so is each text in it
        status, text, errors = run(capsys, *arguments, "--json")
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    status, text, errors = run(capsys, *finished, "--models", "pooled_mlp")
    assert status == 0, errors
    assert f"the files are in {tmp_path}{os.sep}{SHOWN}{os.sep}run {SHOWN}{os.sep}" in text
    assert one_line_each(text + errors)
    page = ("page", folder / f"run {NAME}", "--data", data, "--out", folder / f"{NAME}.html")
    status, text, errors = run(capsys, *page)
    assert (status, errors) == (0, "")
    assert text == f"written: {tmp_path}{os.sep}{SHOWN}{os.sep}{SHOWN}.html\n"


def test_an_error_about_any_path_is_one_line(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(probing, "probe", no_probe)
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
        ("evaluate", "--checkpoint", good, NAME),
        ("evaluate", "--checkpoint", good, f"--{NAME}"),
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
        status, text, errors = run(capsys, *arguments)
        assert (status, text) == (2, ""), arguments
        assert errors.count("\n") == 1, arguments
        assert one_line_each(errors), arguments
        assert SHOWN in errors or repr(NAME)[1:-1] in errors, arguments


def test_an_interrupt_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "measure", interrupted)
    assert run(capsys, "bench") == (130, "", "interrupted\n")


@pytest.mark.parametrize("redirection", ["> /dev/full", ">&-"])
def test_a_lost_stream_is_told(redirection: str, tmp_path: Path) -> None:
    script = f'"{sys.executable}" -m lenetshift doctor --no-torch --json {redirection}'
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 4
    assert done.stderr.startswith("python -m lenetshift: standard output is lost: ")
