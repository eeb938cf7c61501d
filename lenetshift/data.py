"""MNIST, and any other data set in its file format (Fashion-MNIST, KMNIST, your own).

The format is IDX: two zero bytes, a dtype code, the number of dimensions, each dimension as a
big-endian uint32, then the values in C order (http://yann.lecun.com/exdb/mnist/). Here values are
always unsigned bytes: images ``[N, 28, 28]``, labels ``[N]``.

MNIST itself comes with the package, in the folder ``mnist`` (its NOTICE names authors and
licence).
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .checks import check_digits, check_images, check_int, check_labels

MNIST_FOLDER = Path(__file__).with_name("mnist")
"""The packaged data: four .gz files, and SHA256SUMS of what they unpack to."""

_UNSIGNED_BYTE = 0x08  # the format's code for uint8


class DataError(ValueError):
    """A data file that is missing, damaged or not what it should be; one line naming the file."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their labels.

    Args:
        images: uint8 ``[N, 28, 28]``, 0 = background, 255 = full ink.
        labels: int64 ``[N]``, digits 0..9.

    Raises:
        ValueError: other dtypes or shapes, unequal lengths, or labels out of 0..9.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        """Check both tensors."""
        check_images(self.images)
        check_labels(self.labels, len(self.images))
        check_digits(self.labels)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def subset(self, n: int) -> Dataset:
        """``n`` images and their labels, drawn evenly over the set (``evenly_spaced``); all of them are
        the set itself.

        The first ``n`` would be another sample than the rest: MNIST's first 5,000 test images come
        from other writers than the last 5,000, and are easier or harder to read.

        Raises:
            ValueError: ``n`` is no int in 1..len(self).
        """
        n = check_int("n", n, 1, len(self))
        if n == len(self):
            return self
        rows = evenly_spaced(n, len(self)).to(self.images.device)
        return Dataset(self.images[rows], self.labels[rows])

    def to(self, device: torch.device) -> Dataset:
        """The same on a device; itself where it is there already."""
        return Dataset(self.images.to(device), self.labels.to(device))


def load_mnist(folder: str | Path | None = None) -> tuple[Dataset, Dataset]:
    """Training and test set of the packaged MNIST, or of a folder laid out like it.

    Args:
        folder: where ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
            ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte`` lie, each raw or as ``.gz``;
            ``train-images.idx3-ubyte`` and its like are found too. The raw file is preferred;
            ``~`` is the home folder.
            None takes the packaged files and checks their SHA-256.

    Returns:
        ``(train, test)``; MNIST has 60,000 and 10,000 images.

    Raises:
        DataError: in one line that names the file (see the class).
    """
    if folder is None:
        sha256 = _read_sums(MNIST_FOLDER / "SHA256SUMS")
        return _load(MNIST_FOLDER, "train", sha256), _load(MNIST_FOLDER, "t10k", sha256)
    try:
        folder = Path(folder).expanduser()
    except RuntimeError as error:  # of ~NAME where nobody has that name
        raise DataError(f"{folder}: {error}") from error
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    return _load(folder, "train"), _load(folder, "t10k")


def dataset_sha256(dataset: Dataset) -> dict[str, str]:
    """Fingerprint of a data set, for result files.

    Returns:
        ``{"images": ..., "labels": ...}``, the hexadecimal SHA-256 of the pixels and of the
        labels, one byte each, in order: of an IDX file's contents without its header.
    """
    return {
        "images": _sha256(dataset.images),
        "labels": _sha256(dataset.labels.to(torch.uint8)),
    }


def evenly_spaced(n: int, total: int) -> Tensor:
    """Which ``n`` of ``total`` images make an even subset: int64 ``[n]`` on the CPU, ascending from 0,
    the i-th is ``floor(i * total / n)``: every k-th where ``total = k * n``."""
    return torch.arange(n, device="cpu") * total // n


def as_input(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """What the models see: uint8 ``[N, 28, 28]`` -> ``dtype`` ``[N, 1, 28, 28]``, pixel / 255."""
    exact = torch.promote_types(dtype, torch.float32)  # half precision: divide first, then round
    return images.to(exact).div(255).to(dtype).unsqueeze(1)


def _load(folder: Path, part: str, sha256: dict[str, str] | None = None) -> Dataset:
    """One part, "train" or "t10k", of a folder; its files are checked against ``sha256``."""
    images_path, images = _read_idx(folder, f"{part}-images", 3, sha256)
    labels_path, labels = _read_idx(folder, f"{part}-labels", 1, sha256)
    if images.shape[1:] != (28, 28):
        height, width = images.shape[1:]
        raise DataError(f"{images_path}: got {height}x{width} images, expected 28x28")
    if len(labels) != len(images):
        raise DataError(
            f"{labels_path}: got {len(labels)} labels, "
            f"expected {len(images)}, one per image of {images_path.name}"
        )
    if int(labels.max()) > 9:
        at = int((labels > 9).nonzero()[0])
        raise DataError(f"{labels_path}: got label {int(labels[at])} at {at}, expected digits 0..9")
    return Dataset(images, labels.to(torch.int64))


def _read_idx(
    folder: Path, stem: str, n_dims: int, sha256: dict[str, str] | None
) -> tuple[Path, Tensor]:
    """Find, unpack, check and parse one IDX file of unsigned bytes -> its path, uint8 tensor."""
    path = _find(folder, stem, n_dims)
    contents = _unpack(path)
    if sha256 is not None:
        expected = sha256.get(path.with_suffix("").name, "an entry in SHA256SUMS")
        got = hashlib.sha256(contents).hexdigest()
        if got != expected:
            raise DataError(f"{path}: unpacked, got SHA-256 {got}, expected {expected}")
    return path, _parse_idx(path, contents, n_dims)


def _find(folder: Path, stem: str, n_dims: int) -> Path:
    names = [f"{stem}{sep}idx{n_dims}-ubyte{gz}" for sep in "-." for gz in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{folder / names[0]}: no such file, nor any of {', '.join(names[1:])}")


def _unpack(path: Path) -> bytes:
    """A file's contents; those of a .gz are unpacked whole, the fastest way."""
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if path.suffix != ".gz":
        return contents
    try:
        return gzip.decompress(contents)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file: {error}") from error


def _parse_idx(path: Path, contents: bytes, n_dims: int) -> Tensor:
    header = 4 + 4 * n_dims
    expected = bytes([0, 0, _UNSIGNED_BYTE, n_dims])
    magic = contents[:4]
    if magic[:2] != expected[:2]:
        raise DataError(f"{path}: got first bytes {_hex(magic)}, expected {_hex(expected)}")
    if magic[2:3] != expected[2:3]:
        raise DataError(
            f"{path}: got dtype code {_hex(magic[2:3])}, "
            f"expected 0x{_UNSIGNED_BYTE:02x}, unsigned byte"
        )
    if magic[3:] != expected[3:]:
        raise DataError(f"{path}: got {_hex(magic[3:])} dimensions, expected {n_dims}")
    if len(contents) < header:
        raise DataError(f"{path}: got {len(contents)} bytes, expected a header of {header}")

    shape = struct.unpack_from(f">{n_dims}I", contents, 4)
    size = math.prod(shape)
    if size == 0:
        raise DataError(f"{path}: got dimensions {list(shape)}, expected none to be 0")
    if len(contents) - header != size:
        what = "truncated" if len(contents) - header < size else "trailing bytes"
        raise DataError(
            f"{path}: {what}: got {len(contents) - header} bytes of data, "
            f"expected {size} for dimensions {list(shape)}"
        )
    # bytearray: a tensor on read-only memory could not be written to
    return torch.frombuffer(bytearray(contents), dtype=torch.uint8, offset=header).view(shape)


def _read_sums(path: Path) -> dict[str, str]:
    """File name -> SHA-256, of a file as ``sha256sum`` writes it."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        return {name: digest for digest, name in (line.split() for line in lines)}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _sha256(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.cpu().contiguous().numpy().data).hexdigest()


def _hex(data: bytes) -> str:
    return "0x" + data.hex() if data else "nothing"
