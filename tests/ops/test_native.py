"""The compiled core: that it belongs to the Python code, and what its functions take."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lenetshift.checks import core as native
from lenetshift.checks.choices import ACTIVATIONS

core = native.core
ROOT = Path(__file__).parents[2]


@pytest.fixture
def source_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources, from which the package seems to be imported."""
    for folder in ("csrc", "cmake"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "CMakeLists.txt", tmp_path)
    monkeypatch.setattr(native, "__file__", str(tmp_path / "lenetshift" / "checks" / "core.py"))
    return tmp_path


def check_refusal(message: str) -> None:
    with pytest.raises(ImportError) as error:
        native.load_core()
    assert message in str(error.value)
    assert str(error.value).endswith(native.CoreError.do)
    assert "\n" not in str(error.value)


def test_a_core_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "__version__", "0.0.9")
    check_refusal("is of version 0.0.9, the package of ")


def test_a_core_of_the_same_sources_is_taken(source_folder: Path) -> None:
    assert native.load_core() is core
    (source_folder / "csrc" / "README.md").write_text("Not compiled.")
    assert native.load_core() is core


@pytest.mark.parametrize(
    "name",
    [
        "CMakeLists.txt",
        "cmake/cuda.cmake",
        "csrc/kernels.h",
        "csrc/cpu/isa_avx2.cpp",
        "csrc/cpu/simd/vec.h",
        "csrc/cuda/device.cu",
        "csrc/cuda/device.h",
        "csrc/host/bindings.cpp",
        "csrc/host/threads.cpp",
    ],
)
@pytest.mark.parametrize("change", ["edited", "removed", "renamed"])
def test_a_core_of_other_sources_is_refused(source_folder: Path, name: str, change: str) -> None:
    path = source_folder / name
    if change == "edited":
        path.write_bytes(path.read_bytes() + b"\n")
    elif change == "removed":
        path.unlink()
    else:
        path.rename(path.with_name("new_" + path.name))
    if name in ("CMakeLists.txt", "csrc/kernels.h") and change != "edited":
        assert native.load_core() is core  # what is no source folder says nothing
    else:
        check_refusal(f"was not built from the sources in {source_folder}")


def test_a_core_without_a_new_source_is_refused(source_folder: Path) -> None:
    (source_folder / "csrc" / "cpu" / "new.h").touch()
    check_refusal(f"was not built from the sources in {source_folder}")


def test_all_sources_count() -> None:
    """Every file in the folders that are compiled, but for what is written for readers."""
    files = [path for folder in ("csrc", "cmake") for path in (ROOT / folder).rglob("*")]
    found = {path for pattern in native.SOURCES for path in ROOT.glob(pattern)}
    assert {p for p in files if p.is_file() and p.suffix != ".md"} <= found


def test_unknown_names_have_no_member() -> None:
    assert [table.name for table in core.C3Table] == ["sparse", "dense"]
    assert [activation.name for activation in core.Activation] == list(ACTIVATIONS)
    with pytest.raises(KeyError):
        core.Activation["banana"]


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", 0, 1, 7, None, core.C3Table.sparse])
def test_an_activation_is_one_of_two(activation: Any) -> None:
    with pytest.raises(TypeError):
        core.Mlp(5, activation, 0, 0, 0, 0)
    with pytest.raises(TypeError):
        core.Lenet5(core.C3Table.sparse, activation, *[0] * 10)


@pytest.mark.parametrize("table", ["sparse", "banana", 0, 7, None, core.Activation.tanh])
def test_a_table_of_c3_is_one_of_two(table: Any) -> None:
    with pytest.raises(TypeError):
        core.Lenet5(table, core.Activation.tanh, *[0] * 10)


C3 = {"n_images": 1, "n_inputs": 1, "height": 5, "width": 5, "table": [1], "value_bytes": 4}


@pytest.mark.parametrize(
    "changes",
    [
        {"height": 5.5},
        {"height": "5"},
        {"width": 2**70},
        {"table": 3},
        {"table": [None]},
        {"table": [2**70]},
        {"heigth": 5},
    ],
    ids=str,
)
def test_other_types_and_names_are_refused(changes: dict[str, Any]) -> None:
    core.C3(**C3)
    with pytest.raises(TypeError):
        core.C3(**C3 | changes)


@pytest.mark.parametrize("missing", C3)
def test_no_argument_may_be_missing(missing: str) -> None:
    with pytest.raises(TypeError):
        core.C3(**{name: value for name, value in C3.items() if name != missing})


@pytest.mark.parametrize("value_bytes", [0, 2, 5, 16])
def test_values_are_floats_or_doubles(value_bytes: int) -> None:
    c3 = core.C3(**C3 | {"value_bytes": value_bytes})
    with pytest.raises(ValueError, match=f"^value_bytes: got {value_bytes}, expected 4 or 8$"):
        core.c3_conv(c3, 0, 0, 0, 0, 1)
    with pytest.raises(ValueError, match="value_bytes"):
        core.c3_conv_backward(c3, 0, 0, 0, 0, 0, 0, 1)
    shape = core.TranslateShape(0, 0, 0, 0, 0, value_bytes)
    with pytest.raises(ValueError, match="value_bytes"):
        core.translate_backward(shape, 0, 0, 0, 1)


@pytest.mark.parametrize("n_threads", [0, -1])
def test_a_call_has_a_thread(n_threads: int) -> None:
    with pytest.raises(ValueError, match=f"^n_threads: got {n_threads}, expected 1 or more$"):
        core.multiply_adds(1, n_threads)


def test_a_free_threaded_python_is_refused_in_one_line(monkeypatch) -> None:
    monkeypatch.setattr(native.sysconfig, "get_config_var", {"Py_GIL_DISABLED": 1}.get)
    with pytest.raises(ImportError, match=r"^lenetshift: got a free-threaded Python .*, expected"):
        native.load_core()
