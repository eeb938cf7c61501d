"""What all tests share."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hypothesis import settings

from lenetshift.checks.core import core
from lenetshift.data.load import load_mnist

sys.path.insert(0, str(Path(__file__).parent / "support"))

settings.register_profile("lenetshift", deadline=None)  # a busy machine is no failure
settings.load_profile("lenetshift")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--slow`` runs the tests marked ``slow`` too."""
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def why_no_cuda() -> str:
    """Why this machine cannot run the tests marked ``cuda``; empty if it can."""
    if not core.has_cuda:
        return "this build has no CUDA kernels"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    return ""


def left_out(config: pytest.Config) -> dict[str, str]:
    """Marker -> why the tests that have it do not run here."""
    reasons = {
        "cuda": why_no_cuda(),
        "slow": "" if config.getoption("slow") else "pytest --slow runs them",
    }
    return {marker: reason for marker, reason in reasons.items() if reason}


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Says once what is left out, and why."""
    return [f"tests marked {marker}: left out, {why}" for marker, why in left_out(config).items()]


@pytest.hookimpl(trylast=True)  # after -m has chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests by their markers; an error if no test is left, such as for ``-m cuda``."""
    for marker, why in left_out(config).items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if len(marked) == len(items) > 0:
            raise pytest.UsageError(f"tests marked {marker}: {why}")
        config.hook.pytest_deselected(items=marked)
        items[:] = [item for item in items if not item.get_closest_marker(marker)]


@pytest.fixture(params=[name for name, _ in core.isas()])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once for each ISA that this build has, with that ISA's kernels."""
    name = request.param
    if not dict(core.isas())[name]:
        pytest.skip(f"this machine has no {name}")
    before = core.isa()
    core.set_isa(name)
    assert core.isa() == name
    yield name
    core.set_isa(before)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script of the repository, "tools/generate/sharing.py" and its like, for one test."""
    before = set(sys.modules)

    def load(path: str) -> ModuleType:
        file = Path(__file__).parents[1] / path
        monkeypatch.syspath_prepend(str(file.parent))
        return importlib.import_module(file.stem)

    yield load
    folders = tuple(str(Path(__file__).parents[1] / name) for name in ("tools", "benchmarks"))
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(folders):
            del sys.modules[name]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 256 training and 40 test images of MNIST, as raw IDX files."""
    folder = tmp_path_factory.mktemp("small")
    for part, dataset, n in zip(("train", "t10k"), load_mnist(), (256, 40), strict=True):
        size = n.to_bytes(4, "big")
        images, labels = dataset.images[:n].numpy(), dataset.labels[:n].to(torch.uint8).numpy()
        head = bytes([0, 0, 8, 3]) + size + (28).to_bytes(4, "big") * 2
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            bytes([0, 0, 8, 1]) + size + labels.tobytes()
        )
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For small tensors: several threads would only wait for each other."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)
