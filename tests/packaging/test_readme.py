"""The README and the documents: links lead to files, code runs, and every command is listed."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest
import torch

import lenetshift
from lenetshift.cli.command import COMMANDS

ROOT = Path(__file__).parents[2]
OF_OTHERS = ("build", "results", "study", "resnet")  # what commands and builds write, and .venv
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "*/README.md")
    for path in ROOT.glob(pattern)
    if not path.relative_to(ROOT).parts[0].startswith((".", *OF_OTHERS))
)


def blocks(language: str) -> list[str]:
    """The README's blocks of code."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)", text)
    inner = {link for link in links if "://" not in link}
    assert [link for link in sorted(inner) if not (document.parent / link).exists()] == []


def test_the_readme_is_among_them() -> None:
    assert {"README.md", "CONTRIBUTING.md", "python.md", "using.md"} <= {
        path.name for path in DOCUMENTS
    }


def test_a_network_of_ones_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first block, for any module and images; it writes a page where it runs."""
    monkeypatch.chdir(tmp_path)
    test = lenetshift.load_mnist()[1][:20]
    given = {
        "your_model": torch.nn.Sequential(
            torch.nn.Conv2d(1, 2, 5), torch.nn.Flatten(), torch.nn.Linear(1152, 10)
        ),
        "images": test.images,
        "labels": test.labels,
    }
    exec(blocks("python")[0], given)
    said = capsys.readouterr().out
    for word in ("unmoved accuracy", "moved accuracy", "worst case", "flip rate", "consistency"):
        assert word in said
    assert "shared: all 55 windows of a 32 x 38 canvas at once" in said
    assert 0 <= given["low"] <= given["high"] <= 1
    assert [file.name for file in tmp_path.iterdir()] == ["net.html"]


def test_an_op() -> None:
    given = {
        "lenetshift": lenetshift,
        "torch": torch,
        "input": torch.zeros(2, 6, 14, 14),
        "weight": torch.zeros(60, 5, 5),
        "bias": torch.zeros(16),
    }
    exec(blocks("python")[1], given)
    assert given["maps"].shape == (2, 16, 10, 10)


def test_every_command_is_listed() -> None:
    text = (ROOT / "docs" / "using.md").read_text("utf-8")
    table = text[text.index("| `lenetshift ...` |") :].split("\n\n")[0]
    first_cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    assert re.findall(r"`([\w-]+)`", "".join(first_cells)) == list(COMMANDS)


def test_the_first_line_installs_what_the_second_needs() -> None:
    """So that the core is built once."""
    text = (ROOT / "README.md").read_text("utf-8")
    first, second = re.search(r"^    (pip install .*)\n    (.*)$", text, re.MULTILINE).groups()
    assert first == "pip install '.[test]' && python -m lenetshift.reproduce"
    assert second == "pytest -n auto"


def test_the_licence_names_that_of_mnist() -> None:
    expression = "MIT AND CC-BY-SA-3.0"
    assert f"`{expression}`" in (ROOT / "README.md").read_text("utf-8")
    try:
        metadata = importlib.metadata.metadata("lenetshift")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("lenetshift is not installed, but in the path")
    assert metadata["License-Expression"] == expression
    assert metadata.get_all("License-File") == ["LICENSE", "lenetshift/data/mnist/NOTICE"]


def test_the_op_is_called_with_the_names_of_its_arguments() -> None:
    """A reader who looks up an argument of the example finds it in the op's documentation."""
    (call,) = re.findall(r"torch\.ops\.lenetshift\.c3_conv\(([^)]*)\)", blocks("python")[1])
    schema = torch.ops.lenetshift.c3_conv.default._schema
    assert call.split(", ") == [argument.name for argument in schema.arguments]
