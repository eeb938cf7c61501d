"""IDX files that announce or hold too much, and paths that are not files."""

from __future__ import annotations

import gzip
import os
import resource
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from cases import memory_below
from idx_files import header, message

from lenetshift.checks.errors import DataError
from lenetshift.data.idx import read_idx
from lenetshift.data.load import load_mnist

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
MEGABYTE = 1 << 20


def write_bomb(path: Path, n_bytes: int, *shape: int) -> None:
    """A .gz file a thousand times smaller than the zeros that it holds after its header."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header(*shape))
        for _ in range(n_bytes // MEGABYTE):
            file.write(bytes(MEGABYTE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(header(2, 28, 28) + bytes(2 * 784))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(header(2) + bytes(2))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "shape", "complaint"),
    [
        (IMAGES, (2, 28, 28), "trailing bytes: got more data, expected 1568 for dimensions [2, "),
        (LABELS, (2,), "trailing bytes: got more data, expected 2 for dimensions [2]"),
        (IMAGES, (1, 8192, 8192), "got 8192x8192 images, expected 28x28"),
        (LABELS, (64 * MEGABYTE,), f"got {64 * MEGABYTE} labels, expected 2, one per image of"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_no_more_is_read_than_the_header_allows(
    folder: Path, name: str, shape: tuple[int, ...], complaint: str, packed: bool
) -> None:
    path = folder / name
    path.unlink()
    if packed:
        path = path.with_suffix(".gz")
        write_bomb(path, 64 * MEGABYTE, *shape)
    else:
        path.write_bytes(header(*shape))
        os.truncate(path, 64 * MEGABYTE)  # zeros that take no room on the disk
    with memory_below(4 * MEGABYTE):
        assert message(folder).startswith(f"{path}: {complaint}")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_header_that_announces_too_much_takes_no_memory(folder: Path, suffix: str) -> None:
    contents = header(2**32 - 1, 28, 28) + bytes(100)
    path = folder / (IMAGES + suffix)
    (folder / IMAGES).unlink()
    path.write_bytes(gzip.compress(contents) if suffix else contents)
    complaint = "got dimensions [4294967295, 28, 28], 3367254359280 bytes, packed into "
    if not suffix:
        complaint = "truncated: got 100 bytes of data, expected 3367254"
    assert message(folder).startswith(f"{path}: {complaint}")


def test_what_unpacks_to_hundreds_of_times_its_size_is_refused_unread(folder: Path) -> None:
    (folder / IMAGES).unlink()
    path = folder / f"{IMAGES}.gz"
    write_bomb(path, 392 * MEGABYTE, MEGABYTE // 2, 28, 28)
    with memory_below(4 * MEGABYTE):
        assert message(folder).startswith(
            f"{path}: got dimensions [524288, 28, 28], 411041792 bytes, packed into "
        )


def test_what_shrinks_as_images_do_is_read_whatever_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limits on bytes and on the ratio to the file's own size hold as given, inclusive."""
    path, shape = tmp_path / "images.gz", (40, 28, 28)
    path.write_bytes(gzip.compress(header(*shape) + bytes(40 * 784)))
    size = path.stat().st_size
    for most, ratio, is_read in (
        (40 * 784, 0, True), (40 * 784 - 1, 0, False), (0, 1 + 40 * 784 // size, True), (0, 10, False),
    ):  # fmt: skip
        monkeypatch.setattr("lenetshift.data.idx._MOST_UNPACKED", most)
        monkeypatch.setattr("lenetshift.data.idx._MOST_RATIO", ratio)
        if is_read:
            assert read_idx(path, 3, lambda _: "").shape == shape
        else:
            with pytest.raises(
                DataError, match=r"expected at most \d+; unpack it if the size is right$"
            ):
                read_idx(path, 3, lambda _: "")


def load_in_little_memory(folder: Path, answer: Connection) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 100 * MEGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        load_mnist(folder)
    except Exception as error:
        answer.send((type(error).__name__, str(error)))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
def test_too_little_memory_is_one_line(folder: Path) -> None:
    path = folder / IMAGES
    path.write_bytes(header(MEGABYTE, 28, 28))
    os.truncate(path, 16 + 784 * MEGABYTE)  # zeros that take no room on the disk
    context = get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=load_in_little_memory, args=(folder, there))
    child.start()
    there.close()
    assert here.recv() == ("DataError", f"{path}: cannot be read: not enough memory")
    child.join(60)
    assert child.exitcode == 0


@pytest.mark.parametrize(
    ("make", "kind"), [(os.mkfifo, "a pipe"), (os.mkdir, "a folder")], ids=["pipe", "folder"]
)
def test_a_path_that_is_not_a_file_is_called_what_it_is(
    folder: Path, make: Callable[[Path], None], kind: str
) -> None:
    path = folder / IMAGES
    path.unlink()
    make(path)
    assert message(folder) == f"{path}: got {kind}, expected a file"
    (folder / f"{IMAGES}.gz").write_bytes(gzip.compress(header(2, 28, 28) + bytes(2 * 784)))
    assert len(load_mnist(folder)[0]) == 2  # a file under another name is taken


@pytest.mark.parametrize(
    ("make", "kind"), [(os.mkfifo, "a pipe"), (Path.touch, "a file")], ids=["pipe", "file"]
)
def test_a_path_that_is_not_a_folder_is_called_what_it_is(
    tmp_path: Path, make: Callable[[Path], None], kind: str
) -> None:
    path = tmp_path / "data"
    make(path)
    assert message(path) == f"{path}: got {kind}, expected a folder"
    assert (
        message(path / "within")
        == f"{path / 'within'}: no such folder, expected one with IDX files"
    )


def test_a_path_that_cannot_be_looked_at(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert message(loop).startswith(f"{loop}: cannot be read: ")
    for folder in (3, b"data", ["data"]):
        with pytest.raises(ValueError, match=r"^folder: got \w+, expected a path, or None for"):
            load_mnist(folder)  # type: ignore[arg-type]
