"""How the command starts: its help, its name, and what it imports."""

from __future__ import annotations

import os

import pytest
from command_line import ROOT, python, run

import lenetshift
from lenetshift import verify
from lenetshift.checks import repository
from lenetshift.cli import command
from lenetshift.reproduce import __main__ as reproduce
from lenetshift.reproduce.defaults import FITTED
from lenetshift.study import __main__ as study
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


@pytest.mark.parametrize("name", command.COMMANDS)
def test_help_and_errors_in_options_need_no_torch(name) -> None:
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
    assert "--seed N seed of the initial weights and the order of the images (default: 0)" in text
    assert "over the training images (default: 2)" in text
    for name in ("learning_rate", "batch_size", "activation"):
        assert f"(default: {getattr(lenetshift.Config, name)})" in text
    assert "None)" not in text
    assert "False)" not in text


def test_help_says_how_the_settings_nearest_to_the_report_were_found() -> None:
    made = command.parser()._subparsers._group_actions[0].choices["reproduce"]
    assert FITTED in " ".join(made.format_help().split())


def test_the_list_of_commands_needs_no_torch() -> None:
    listed = [python("-c", WITHOUT_TORCH, *asked) for asked in ((), ("--help",), ("help",))]
    for done in listed:
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == listed[0].stdout
    assert all(f"  {name} " in listed[0].stdout for name in command.COMMANDS)
    for asked in ("--version", "-V"):
        done = python("-c", WITHOUT_TORCH, asked)
        assert done.stdout == f"lenetshift {lenetshift.__version__}\n"


@pytest.mark.parametrize("prog", ["lenetshift", "python -m lenetshift"])
def test_no_line_of_the_list_of_commands_wraps(prog, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = command.parser(prog).format_help().splitlines()
    for name, text in command.COMMANDS.items():
        assert [line.split(maxsplit=1) for line in lines if line.startswith(f"    {name} ")] == [
            [name, text]
        ]


@pytest.mark.parametrize("prog", ["lenetshift", "python -m lenetshift"])
def test_every_line_of_help_fits(prog, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    made = command.parser(prog)
    for one in (made, *made._subparsers._group_actions[0].choices.values()):
        for line in one.format_help().splitlines():
            assert len(line) <= 80, line


def test_help_of_a_command(monkeypatch) -> None:
    for name in command.COMMANDS:
        assert run("help", name) == run(name, "--help")


def test_help_ends_with_the_place_of_the_documentation(monkeypatch) -> None:
    for arguments in ((), ("reproduce",), ("help",)):
        _, text, _ = run(*arguments, "--help")
        assert text.splitlines()[-1] == (
            "Documentation: README.md and docs/using.md in the repository."
        )
    monkeypatch.setattr(repository, "address", lambda: "https://example.org/lenetshift")
    _, text, _ = run("reproduce", "--help")
    assert text.splitlines()[-1].endswith("in the repository (https://example.org/lenetshift).")


def test_each_example_can_be_parsed() -> None:
    made = command.parser()
    for name in command.COMMANDS:
        example = command._module(name).EXAMPLE.partition(">")[0].replace("\\\n", "")
        assert made.parse_args(example.split()).command == name


@pytest.mark.parametrize("module", [reproduce, study, verify])
def test_a_module_names_itself_in_errors(module) -> None:
    status, text, errors = run("--frob", main=module.main)
    assert (status, text) == (2, "")
    assert errors.startswith(f"python -m {module.__name__.removesuffix('.__main__')}: error: ")


def test_python_m_and_the_script_name_themselves() -> None:
    done = python("-m", "lenetshift", "grid")
    assert done.returncode == 2
    assert done.stderr.startswith("python -m lenetshift grid: error: the following arguments are")
    done = python("-m", "lenetshift", "--version")
    assert done.stdout == f"lenetshift {lenetshift.__version__}\n"
    script = "from lenetshift.cli import command; command.console_reproduce()"
    done = python("-c", script, "--help")
    assert "python -m lenetshift.reproduce --quick --out results" in done.stdout


def test_a_torch_that_cannot_be_imported(tmp_path) -> None:
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
    used = f"lenetshift.LeNet5()\nimport torch\n{ops}{names}{train}"
    done = python("-c", lazy + used + unknown)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "module 'lenetshift' has no attribute 'nonsense'\n"


def test_somebody_elses_module_has_the_ops(tmp_path) -> None:
    """Even if its package imports this one while Python is still looking for the module."""
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "__init__.py").write_text("import lenetshift\n")
    (tmp_path / "others" / "app.py").write_text(
        "import sys, torch\nprint(sys.argv[1:], torch.ops.lenetshift.translate is not None)\n"
    )
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = python("-m", "others.app", "-m", "lenetshift", env=environment)
    assert (done.returncode, done.stdout) == (0, "['-m', 'lenetshift'] True\n"), done.stderr


def test_a_script_with_a_similar_name_has_the_ops(tmp_path) -> None:
    script = tmp_path / "lenetshift-reproduce.py"
    script.write_text("import lenetshift, torch\nassert torch.ops.lenetshift.translate\n")
    done = python(script)
    assert (done.returncode, done.stderr) == (0, "")


def test_study_and_verify(tmp_path) -> None:
    """In processes, as a study starts processes of its own."""
    options = ("--quick", "--experiments", "table", "--jobs", 2, "--out", tmp_path / "study")
    done = python("-m", "lenetshift", "study", *options)
    assert done.returncode == 0, done.stderr
    done = python("-m", "lenetshift", "verify", tmp_path / "study")
    assert (done.returncode, done.stderr) == (0, "")
    n_runs = len(Plan(2, ("table",), quick=True).runs)
    assert f"Weights and last predictions of 5 of {n_runs} runs agree" in done.stdout
    (tmp_path / "study" / "claims.csv").write_text("")
    done = python("-m", "lenetshift", "verify", tmp_path / "study")
    assert done.returncode == 1
    assert done.stderr.startswith("python -m lenetshift verify: differs: ")
