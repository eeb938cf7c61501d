"""CIFAR-10 and CIFAR-100, and the unpickler that runs no code."""

from __future__ import annotations

import functools
import io
import pickle
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import Code
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import message, pixels, write_cifar

from lenetshift.checks.errors import DataError
from lenetshift.data.sources.opening import open_data
from lenetshift.data.sources.plain_pickle import load_plain


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("fine", [False, True])
def test_the_python_version(fine: bool, protocol: int, tmp_path: Path) -> None:
    images = write_cifar(tmp_path, fine=fine, protocol=protocol)
    data = open_data(tmp_path)
    assert data.what == f"CIFAR-10{'0' * fine}, python version"
    assert data.classes == tuple(f"class {i}" for i in range(100 if fine else 10))
    assert data.whole is not None
    for read, labels in (data.whole, *data):
        assert torch.equal(read, torch.from_numpy(images).permute(0, 3, 1, 2))
        assert read.dtype == torch.uint8
        assert labels.tolist() == list(range(6))


@pytest.mark.parametrize("version", ["10", "100"])
def test_the_binary_version(version: str, tmp_path: Path) -> None:
    images = pixels(4, 32, 32, 3)
    rows = images.transpose(0, 3, 1, 2).reshape(4, -1)
    labels = np.array([[9, 3], [9, 1], [9, 0], [9, 2]], np.uint8)
    labels = labels if version == "100" else labels[:, 1:]
    test, names = ("test_batch.bin", "batches.meta.txt")
    if version == "100":
        test, names = ("test.bin", "fine_label_names.txt")
    (tmp_path / test).write_bytes(np.hstack([labels, rows]).tobytes())
    assert open_data(tmp_path).classes is None
    (tmp_path / names).write_text("a\nb\nc\nd\n\n")
    data = open_data(tmp_path)
    ((read, truth),) = data
    assert torch.equal(read, torch.from_numpy(images).permute(0, 3, 1, 2))
    assert (truth.tolist(), data.classes) == ([3, 1, 0, 2], tuple("abcd"))
    assert data.what == f"CIFAR-{version}, binary version"
    (tmp_path / test).write_bytes(np.hstack([labels, rows]).tobytes()[:-1])
    assert "bytes, expected a multiple of 307" in message(tmp_path, DataError)
    (tmp_path / test).write_bytes(b"")
    assert "got 0 bytes, expected a multiple of 307" in message(tmp_path, DataError)


def test_the_folder_that_holds_the_folder(tmp_path: Path) -> None:
    write_cifar(tmp_path / "cifar-10-batches-py")
    assert open_data(tmp_path).what == "CIFAR-10, python version"
    write_cifar(tmp_path / "cifar-100-python", fine=True)
    assert message(tmp_path, DataError) == (
        f"{tmp_path}: got {tmp_path}/cifar-10-batches-py, {tmp_path}/cifar-100-python, expected the path of "
        "one of them"
    )


def test_other_class_names(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    names = [f"class {i}" for i in reversed(range(10))]
    ((_, labels),) = open_data(tmp_path, classes=names)
    assert labels.tolist() == [9, 8, 7, 6, 5, 4]


BAD_BATCHES: dict[str, tuple[Any, str]] = {
    "labels": ({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, "got 1 labels, expected 2"),
    "no labels": ({"data": np.zeros((2, 3072), np.uint8)}, "got no list of labels, expected one"),
    "words": ({"data": np.zeros((1, 3072), np.uint8), "labels": ["a"]}, "got no list of labels"),
    "data": (
        {"data": np.zeros((2, 3071), np.uint8), "labels": [1, 2]},
        "got uint8 [2, 3071] as data",
    ),
    "floats": ({"data": np.zeros((2, 3072)), "labels": [1, 2]}, "got float64 [2, 3072] as data"),
    "none": ({"labels": [1, 2]}, "got no array as data, expected uint8 [N, 3072]"),
    "empty": ({"data": np.zeros((0, 3072), np.uint8), "labels": []}, "got no images"),
    "large": (
        {"data": np.zeros((1, 3072), np.uint8), "labels": [2**70]},
        "got labels beyond 2**63",
    ),
    "list": ([1, 2], "got a pickle of list, expected a dict with names"),
    "objects": ({"data": np.array([{}], object), "labels": [1]}, "got an array of 'O"),
    "unknown": (
        {"data": np.zeros((1, 3072), np.uint8), "labels": [10]},
        "image 0: got label 10, exp",
    ),
}


@pytest.mark.parametrize("name", BAD_BATCHES)
def test_bad_batches(name: str, tmp_path: Path) -> None:
    write_cifar(tmp_path)
    value, said = BAD_BATCHES[name]
    (tmp_path / "test_batch").write_bytes(pickle.dumps(value, 2))
    assert said in message(tmp_path, DataError)


def test_a_truncated_batch(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    file = tmp_path / "test_batch"
    whole = file.read_bytes()
    for n in (0, 1, 5, 10_000, len(whole) - 1):
        file.write_bytes(whole[:n])
        assert message(tmp_path, DataError).startswith(f"{file}: damaged pickle: ")
    file.write_bytes(whole)
    (tmp_path / "batches.meta").write_bytes(b"\x80\x02N.")
    assert message(tmp_path, DataError) == (
        f"{tmp_path}/batches.meta: got a pickle of NoneType, expected a dict with names"
    )


class Calls:
    """Pickled as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


EVIL: dict[str, Any] = {
    "eval": Calls(eval, "1 / 0"),
    "import": Calls(__import__, "antigravity"),
    "partial": Calls(functools.partial, print),
    "getattr": Calls(getattr, "", "join"),
    "fromfile": Calls(np.fromfile, "/dev/null"),
    "load": Calls(np.load, "/dev/null"),
    "regex": re.compile("a"),
    "class": io.BytesIO,
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", EVIL)
def test_evil_pickles_are_refused(name: str, protocol: int) -> None:
    with pytest.raises(ValueError, match=r"^got a pickle that names [\w.]+, expected numbers"):
        load_plain(pickle.dumps({"data": EVIL[name]}, protocol))


def test_nothing_in_a_batch_is_run(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    executed = tmp_path / "executed"
    for contents in (
        pickle.dumps({"data": Code(executed)}, 2),
        f"cposix\nsystem\n(Vtouch {executed}\ntR.".encode(),
        f"(S'touch {executed}'\niposix\nsystem\n.".encode(),
        f"cbuiltins\neval\n(Vopen('{executed}', 'w')\ntR.".encode(),
        # a name within a permitted module, and one through a permitted object
        f"cnumpy\nload\n(V{executed}\ntR.".encode(),
        b"\x80\x04cnumpy\ndtype.__class__\n(Va\ntR.",
        b"\x80\x02Pexecuted\n.",  # a persistent id
        b"\x80\x02\x82\x01.",  # an extension
    ):
        (tmp_path / "test_batch").write_bytes(contents)
        assert message(tmp_path, DataError).startswith(f"{tmp_path}/test_batch: ")
        assert not executed.exists()


def test_these_pickles_do_run_code(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Code(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


def test_what_a_pickle_names_cannot_be_changed() -> None:
    """BUILD would set attributes of the function that the next pickle calls."""
    for state in (b"}Vx\nI1\ns", b"N}V__defaults__\nNs\x86"):
        with pytest.raises(ValueError, match="got a pickle that changes a function"):
            load_plain(b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n" + state + b"b.")


ANNOUNCED = 1 << 28
"""As much as a machine grants: a terabyte would be refused, and none of it counted."""


@pytest.mark.parametrize(
    "contents",
    [
        b"\x80\x05\x96" + struct.pack("<Q", ANNOUNCED) + b".",  # BYTEARRAY8
        b"\x80\x04\x8e" + struct.pack("<Q", ANNOUNCED) + b".",  # BINBYTES8
        b"c__builtin__\nbytes\n(I%d\ntR." % ANNOUNCED,
        b"\x80\x02Nr" + struct.pack("<I", ANNOUNCED // 16) + b".",  # a large memo
    ],
)
def test_what_a_pickle_announces_takes_no_memory(contents: bytes) -> None:
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(ValueError, match="pickle"):
        load_plain(contents)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), VALUES, max_size=4), st.integers(2, 4))
def test_plain_values_are_read(value: Any, protocol: int) -> None:
    assert load_plain(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i4", ">i4", ">f8", "<f2", "?", "u8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_numbers_are_read(dtype: str, order: Any) -> None:
    array = pixels(2, 3, 4).astype(dtype, order=order)
    for protocol in (0, 2, 4):
        value = {"array": array, "number": array[1, 2, 3]}
        read = load_plain(pickle.dumps(value, protocol))
        assert np.array_equal(read["array"], array)
        assert read["number"] == array[1, 2, 3]


@settings(max_examples=60)
@given(st.data())
def test_whatever_bytes_a_batch_holds(data: st.DataObject) -> None:
    """One line, or a value: of damaged pickles and of random ones."""
    batch = {b"data": np.zeros((1, 4), np.uint8), b"labels": [1]}
    whole = bytearray(pickle.dumps(batch, data.draw(st.sampled_from([0, 2, 4]))))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        load_plain(bytes(whole))
    except ValueError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
