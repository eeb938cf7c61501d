"""``lenetshift completion``."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from command_line import run

from lenetshift.cli import command

LOADED = {
    "bash": "source ./_lenetshift && complete -p lenetshift",
    "zsh": "fpath=(. $fpath); autoload -Uz compinit && compinit -D -u && autoload +X _lenetshift",
    "tcsh": "source ./_lenetshift && complete lenetshift",
    "fish": "source ./_lenetshift; and complete lenetshift",
}


@pytest.mark.parametrize("shell", LOADED)
def test_completion(shell, tmp_path) -> None:
    status, script, errors = run("completion", shell)
    assert (status, errors) == (0, "")
    assert all(name in script for name in (*command.COMMANDS, "checkpoint"))
    if shutil.which(shell) is None:
        pytest.skip(f"this machine has no {shell}")
    (tmp_path / "_lenetshift").write_text(script)
    options = {"bash": ["--norc", "--noprofile"], "fish": ["--no-config"]}.get(shell, ["-f"])
    loads = [shell, *options, "-c", LOADED[shell]]
    done = subprocess.run(loads, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes(tmp_path) -> None:
    _, script, _ = run("completion", "bash")
    (tmp_path / "completion").write_text(script)
    for line, expected in (
        ("lenetshift gr", "grid"),
        ("lenetshift evaluate --che", "--checkpoint"),
        ("lenetshift reproduce --activation re", "relu"),
        ("lenetshift bench --models pool", "pooled_mlp"),
        ("lenetshift study --experiments table symm", "symmetry"),
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
