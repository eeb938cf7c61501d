"""Files of unknown origin: nothing in them runs, and they take no more memory than allowed."""

from __future__ import annotations

import io
import pickle
import resource
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import Code

from lenetshift.storage import untrusted

MEGABYTE = 1 << 20
MOST = 20 * MEGABYTE  # that reading may take besides the file


def saved(value: object) -> bytes:
    memory = io.BytesIO()
    torch.save(value, memory)
    return memory.getvalue()


def compressed(archive: bytes, *more: tuple[str, bytes]) -> bytes:
    """An archive's members, and others, deflated."""
    memory = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(archive)) as before,
        zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            after.writestr(name, before.read(name))
        for name, contents in more:
            after.writestr(name, contents)
    return memory.getvalue()


def npy(header: str, contents: bytes = b"") -> bytes:
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + contents


def archive(**members: bytes) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as file:
        for name, contents in members.items():
            file.writestr(f"{name}.npy", contents)
    return memory.getvalue()


def refusal(read: Callable[[bytes], object], contents: bytes) -> str:
    """The line in which a reader refuses contents, having taken little memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"\S") as caught:
            read(contents)
        assert tracemalloc.get_traced_memory()[1] < MOST + 2 * len(contents)
    finally:
        tracemalloc.stop()
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < MOST + 2 * len(contents)
    return str(caught.value)


def test_tensors_that_unpack_to_more_than_the_file() -> None:
    bomb = compressed(saved({"weights": torch.zeros(64 * MEGABYTE)}))
    assert len(bomb) < MEGABYTE
    assert refusal(untrusted.load_tensors, bomb).startswith("got an archive that unpacks to 2684")


def test_arrays_that_unpack_to_more_than_any_run_has(monkeypatch) -> None:
    monkeypatch.setattr(untrusted, "MOST_ARRAY_BYTES", 64 * MEGABYTE)
    memory = io.BytesIO()
    np.savez_compressed(memory, predictions=np.zeros(65 * MEGABYTE, np.uint8))
    got, most = 65 * MEGABYTE + 128, 64 * MEGABYTE
    message = f"got an archive that unpacks to {got} bytes, expected at most {most}"
    assert refusal(untrusted.load_arrays, memory.getvalue()) == message


@pytest.mark.parametrize("shape", ["(4611686018427387904,)", "(1000000000000,)"])
def test_an_array_that_announces_more_than_memory(shape) -> None:
    contents = npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}", bytes(10))
    said = refusal(untrusted.load_arrays, archive(predictions=contents))
    assert said.startswith("got no archive of arrays, expected one: an array of ["), said


def test_an_array_that_fills_its_member(tmp_path: Path) -> None:
    """Nothing that NumPy writes is refused."""
    memory = io.BytesIO()
    wide = np.arange(60, dtype=np.float64)
    np.savez(memory, wide=wide, empty=np.zeros((0, 3)))
    read = untrusted.load_arrays(memory.getvalue())
    assert np.array_equal(read["wide"], wide)
    assert read["empty"].shape == (0, 3)
    with pytest.raises(ValueError, match=r"^got no archive of arrays, expected one$"):
        untrusted.load_arrays(b"PK")


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    executed = tmp_path / "executed"
    header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    objects = archive(predictions=npy(header, pickle.dumps([Code(executed)])))
    assert "allow_pickle" in refusal(untrusted.load_arrays, objects)
    for contents in (saved(Code(executed)), pickle.dumps(Code(executed))):
        assert "weights_only=True" in refusal(untrusted.load_tensors, contents)
    assert not executed.exists()


def test_names_lead_nowhere(tmp_path: Path, monkeypatch) -> None:
    """Nothing is unpacked to disk, whatever a member is called."""
    monkeypatch.chdir(tmp_path)
    names = ("../above", "/tmp/absolute", "..\\above")
    evil = compressed(saved({"w": torch.ones(2)}), *((name, b"x") for name in names))
    with pytest.raises(ValueError, match=r"unpacks to|refuses"):
        untrusted.load_tensors(evil)
    memory = io.BytesIO()
    np.savez(memory, **{"../above": np.ones(2)})
    assert list(untrusted.load_arrays(memory.getvalue())) == ["../above"]
    assert not list(tmp_path.iterdir())
    assert not (tmp_path.parent / "above").exists()


@pytest.mark.parametrize("contents", [b"[" * 100_000, b"{", b"\xff", b""])
def test_json(contents) -> None:
    said = refusal(untrusted.load_json, contents)
    assert (said == "nested too deep") == (len(contents) > 1000)


def test_a_key_twice_in_an_object_of_json() -> None:
    assert untrusted.load_json(b'{"a": {"b": 1}, "b": {"b": 2}}') == {"a": {"b": 1}, "b": {"b": 2}}
    said = refusal(untrusted.load_json, b'[{"a": {"b": 1, "c": 2, "b": 1}}]')
    assert said == 'got the key "b" twice in an object, expected it once'
