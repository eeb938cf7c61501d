"""Which commit a result says that it comes from."""

from __future__ import annotations

import subprocess

import pytest

from lenetshift.storage import environment


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Where the package lies, as far as the environment is told."""
    folder = tmp_path / "lenetshift"
    (folder / "dossier").mkdir(parents=True)
    monkeypatch.setattr(environment, "__file__", str(folder / "storage" / "environment.py"))
    return folder


def git(folder, *arguments) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.check_output(["git", "-C", folder, *who, *arguments], text=True).strip()


def test_of_the_checkout(package) -> None:
    root = package.parent
    (root / "file").write_text("1")
    git(root, "init", "-q")
    git(root, "add", "file")
    git(root, "commit", "-qm", "one")
    head = git(root, "rev-parse", "HEAD")
    (package / "_commit.txt").write_text("of another time\n")
    assert environment.commit() == head
    (root / "untracked").write_text("2")
    assert environment.commit() == head
    (root / "file").write_text("2")
    assert environment.commit() == f"{head} and changes"


def test_of_the_build(package) -> None:
    assert environment.commit() is None
    (package / "_commit.txt").write_text("\n")
    assert environment.commit() is None
    (package / "_commit.txt").write_text("0123abc and changes\n")
    assert environment.commit() == "0123abc and changes"


def test_of_a_checkout_that_git_does_not_read(package) -> None:
    (package.parent / ".git").mkdir()
    assert environment.commit() is None
