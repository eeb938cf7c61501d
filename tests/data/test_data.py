"""The packaged MNIST, and folders of good and bad IDX files."""

import gzip
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import odd_arrays
import pytest
import torch
from idx_files import header, message
from torch import Tensor
from torch.utils.data import DataLoader

from lenetshift.checks.errors import DataError
from lenetshift.data import load
from lenetshift.data.dataset import Dataset, as_input, dataset_sha256, evenly_spaced
from lenetshift.data.load import load_mnist

STEMS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
N = {"train": 12, "t10k": 5}


@pytest.fixture(scope="module")
def mnist() -> tuple[Dataset, Dataset]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of tensors on read-only memory
        return load_mnist()


def idx(values: Tensor, code: int = 8, shape: list[int] | None = None) -> bytes:
    """A uint8 tensor in the IDX format."""
    return header(*(shape or values.shape), code=code) + bytes(values.flatten().tolist())


def images_of(part: str) -> Tensor:
    return (torch.arange(N[part] * 784) % 251).to(torch.uint8).view(-1, 28, 28)


def labels_of(part: str) -> Tensor:
    return (torch.arange(N[part]) % 10).to(torch.uint8)


def write_folder(folder: Path, name: Callable[[str, int], str], packed: bool) -> None:
    for part in N:
        for stem, n_dims, values in [
            (f"{part}-images", 3, images_of(part)),
            (f"{part}-labels", 1, labels_of(part)),
        ]:
            contents = idx(values)
            path = folder / (name(stem, n_dims) + (".gz" if packed else ""))
            path.write_bytes(gzip.compress(contents) if packed else contents)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path, lambda stem, n: f"{stem}-idx{n}-ubyte", packed=False)
    return tmp_path


def test_mnist_is_complete(mnist: tuple[Dataset, Dataset]) -> None:
    for part, n in zip(mnist, (60_000, 10_000), strict=True):
        assert len(part) == n
        assert part.images.shape == (n, 28, 28)
        assert part.images.dtype == torch.uint8
        assert part.labels.shape == (n,)
        assert part.labels.dtype == torch.int64
        assert part.images.is_contiguous()
        assert part.labels.is_contiguous()
        assert part.labels.unique().tolist() == list(range(10))
    part.images[0, 0, 0] = part.images[0, 0, 0]  # writable


def test_labels_of_the_reports_four_figures(mnist: tuple[Dataset, Dataset]) -> None:
    assert mnist[1].labels[[4017, 4888, 5392, 8655]].tolist() == [4, 5, 2, 3]


def test_fingerprints(mnist: tuple[Dataset, Dataset]) -> None:
    # From sha256sum, for the files without their headers of 16 and 8 bytes.
    assert dataset_sha256(mnist[0]) == {
        "images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "labels": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    }
    assert dataset_sha256(mnist[1]) == {
        "images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "labels": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    }


def test_fingerprint_of_a_view_and_of_nothing() -> None:
    images = torch.arange(4 * 784).to(torch.uint8).view(4, 28, 28)
    labels = torch.arange(4)
    strided = Dataset(images[::2], labels[::2])
    packed = Dataset(images[::2].contiguous(), labels[::2].contiguous())
    assert dataset_sha256(strided) == dataset_sha256(packed)
    assert dataset_sha256(strided) != dataset_sha256(Dataset(images[:2], labels[:2]))
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    empty = Dataset(images[:0], labels[:0])
    assert dataset_sha256(empty) == {"images": nothing, "labels": nothing}


@pytest.mark.parametrize("n", [1, 3, 17, 1_000, 3_333, 6_000, 9_999, 10_000])
def test_a_subset_is_drawn_evenly_over_the_set(mnist: tuple[Dataset, Dataset], n: int) -> None:
    test = mnist[1]
    rows = evenly_spaced(n, len(test))
    assert rows.dtype == torch.int64
    # Any part of the set has its share of the subset, up to one image.
    for part in (2, 5, 7):
        ends = torch.arange(part + 1) * len(test) // part
        for first, stop in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            share = int(((rows >= first) & (rows < stop)).sum())
            assert abs(share * len(test) - n * (stop - first)) < len(test)
    subset = test.subset(n)
    assert torch.equal(subset.images, test.images[rows])
    assert torch.equal(subset.labels, test.labels[rows])


def is_array(value: object) -> bool:
    return isinstance(value, (Tensor, np.ndarray))


class TestAsTorchsDataset:
    @pytest.fixture
    def dataset(self) -> Dataset:
        images = torch.arange(12, dtype=torch.uint8)[:, None, None].expand(12, 28, 28).contiguous()
        return Dataset(images, torch.arange(12) % 10)

    @pytest.mark.parametrize(
        "index", [0, 11, -1, -12, np.int64(3), np.uint64(3), torch.tensor(-2), np.array(2)]
    )
    def test_one_image_and_its_label(self, dataset: Dataset, index: Any) -> None:
        image, label = dataset[index]
        place = range(12)[int(index)]
        assert torch.equal(image, dataset.images[place])
        assert (label.dtype, label.shape, int(label)) == (torch.int64, (), place % 10)

    @pytest.mark.parametrize(
        ("index", "rows"),
        [
            (slice(2, 5), [2, 3, 4]),
            (slice(None, None, -5), [11, 6, 1]),
            (slice(1, None, 4), [1, 5, 9]),
            (slice(20, 30), []),
            ([3, -1, 3], [3, 11, 3]),
            ([], []),
            (torch.tensor([5, 0]), [5, 0]),
            (np.array([-12, 7], np.int8), [0, 7]),
            (torch.arange(12) > 9, [10, 11]),
            (np.zeros(12, bool), []),
            (np.array([7, 0], np.uint64), [7, 0]),
            (np.array([7, -1], ">i4"), [7, 11]),
            (torch.tensor([7, 0], dtype=torch.uint16), [7, 0]),
        ],
    )
    def test_several_are_a_dataset(self, dataset: Dataset, index: Any, rows: list[int]) -> None:
        part = dataset[index]
        assert isinstance(part, Dataset)
        assert part.images[:, 0, 0].tolist() == rows
        assert part.labels.tolist() == [row % 10 for row in rows]

    @pytest.mark.parametrize(
        ("index", "got"),
        [
            *((12, 12), (-13, -13), ([0, 12], 12), (torch.tensor([-13]), -13)),
            *((2**63, 2**63), (-(2**70), -(2**70)), (np.uint64(2**63), 2**63), ([2**63], 2**63)),
        ],
    )
    def test_no_such_image(self, dataset: Dataset, index: Any, got: int) -> None:
        with pytest.raises(IndexError, match=rf"^index: got {got}, expected -12\.\.11: [^\n]*$"):
            dataset[index]

    @pytest.mark.parametrize(
        "index",
        [
            *("3", 1.0, True, None, [1.5], (0, 0.5), [[1], [2, 3]], [2**64], {3: 4}),
            *(torch.ones(3).bool(), np.zeros((2, 2), int), slice(0.5, None), slice(0, 4, 0)),
            *(torch.ones(3, requires_grad=True), torch.ones(3).bfloat16()),
            *filter(is_array, odd_arrays.refused(torch.tensor([1, 0, 2])).values()),
        ],
    )
    def test_a_value_that_is_not_an_index_is_refused(self, dataset: Dataset, index: Any) -> None:
        with pytest.raises(ValueError, match=r"^index: got [^\n]*, expected an int, a slice, ints"):
            dataset[index]

    def test_iterated(self, dataset: Dataset) -> None:
        assert [(int(image[0, 0]), int(label)) for image, label in dataset] == [
            (k, k % 10) for k in range(12)
        ]
        with pytest.raises(IndexError):
            dataset[:0][0]

    @pytest.mark.parametrize("n_workers", [0, 2])
    def test_loaded(self, dataset: Dataset, n_workers: int) -> None:
        loader = DataLoader(dataset, batch_size=5, num_workers=n_workers)
        batches = list(loader)
        assert torch.equal(torch.cat([images for images, _ in batches]), dataset.images)
        assert torch.equal(torch.cat([labels for _, labels in batches]), dataset.labels)
        shuffled = DataLoader(dataset, batch_size=12, shuffle=True)
        ((images, labels),) = shuffled
        assert sorted(images[:, 0, 0].tolist()) == list(range(12))
        assert torch.equal(images[:, 0, 0].long() % 10, labels)


@pytest.mark.parametrize("kind", odd_arrays.refused(torch.tensor([1, 0])))
def test_odd_images_and_labels_are_refused(kind: str) -> None:
    images, labels = torch.zeros(2, 28, 28, dtype=torch.uint8), torch.tensor([1, 0])
    images[0, 0, 0] = 1
    with pytest.raises(ValueError, match=r"^images: got [^\n]*, expected uint8 \[N, 28, 28\]$"):
        Dataset(odd_arrays.refused(images)[kind], labels)
    with pytest.raises(ValueError, match=r"^labels: got [^\n]*, expected int64 \[2\], a digit"):
        Dataset(images, odd_arrays.refused(labels)[kind])


@pytest.mark.parametrize("n", [1, 3, 10_000, None])
def test_the_first_images_are_a_slice_now(mnist: tuple[Dataset, Dataset], n: int | None) -> None:
    said = r"^Dataset\.first is deprecated: dataset\[:n\] returns the same images, dataset\.subset\(n\)"
    with pytest.warns(DeprecationWarning, match=said) as seen:
        first = mnist[1].first(n)
    assert [warning.filename for warning in seen] == [__file__]
    assert torch.equal(first.images, mnist[1][:n].images)
    assert torch.equal(first.labels, mnist[1][:n].labels)


@pytest.mark.filterwarnings("ignore:Dataset.first:DeprecationWarning")
@pytest.mark.parametrize("n", [0, 10_001, 1.5])
def test_more_first_images_than_there_are(mnist: tuple[Dataset, Dataset], n: Any) -> None:
    with pytest.raises(ValueError, match=rf"^n: got {n}, expected an int in 1\.\.10000$"):
        mnist[1].first(n)


def test_every_tenth() -> None:
    assert evenly_spaced(5, 50).tolist() == [0, 10, 20, 30, 40]
    assert evenly_spaced(4, 4).tolist() == [0, 1, 2, 3]
    assert evenly_spaced(4, 7).tolist() == [0, 1, 3, 5]


@pytest.mark.parametrize("n", [0, -1, 10_001, 2.0, None])
def test_a_subset_of_an_impossible_size_is_refused(mnist: tuple[Dataset, Dataset], n: Any) -> None:
    with pytest.raises(ValueError, match=rf"^n: got {n}, expected an int in 1\.\.10000$"):
        mnist[1].subset(n)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("separator", ["-", "."])
def test_either_naming_raw_or_packed(tmp_path: Path, separator: str, packed: bool) -> None:
    write_folder(tmp_path, lambda stem, n: f"{stem}{separator}idx{n}-ubyte", packed)
    for dataset, part in zip(load_mnist(str(tmp_path)), N, strict=True):
        assert torch.equal(dataset.images, images_of(part))
        assert torch.equal(dataset.labels, labels_of(part).long())


def test_the_raw_file_is_preferred(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"not read")
    assert len(load_mnist(folder)[1]) == 5


def test_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert len(load_mnist(f"~/{folder.name}")[0]) == N["train"]
    with pytest.raises(DataError, match=r"^~no-such-user/mnist: [^\n]*$"):
        load_mnist("~no-such-user/mnist")


def test_no_folder(tmp_path: Path) -> None:
    assert (
        message(tmp_path / "absent")
        == f"{tmp_path / 'absent'}: no such folder, expected one with IDX files"
    )


@pytest.mark.parametrize("stem", STEMS)
def test_a_missing_file(folder: Path, stem: str) -> None:
    n_dims = 3 if "images" in stem else 1
    path = folder / f"{stem}-idx{n_dims}-ubyte"
    path.unlink()
    assert message(folder).startswith(
        f"{path}: no such file, nor any of {path.name}.gz, {stem}.idx"
    )


IMAGES, LABELS = images_of("t10k"), labels_of("t10k")
GOOD_IMAGES, GOOD_LABELS = idx(IMAGES), idx(LABELS)


@pytest.mark.parametrize(
    ("stem", "contents", "complaint"),
    [
        ("images", b"", "got first bytes nothing, expected 0x00000803"),
        ("images", b"\x89PNG\r\n", "got first bytes 0x89504e47, expected 0x00000803"),
        ("images", gzip.compress(GOOD_IMAGES), "got first bytes 0x1f8b"),
        ("images", idx(IMAGES, code=0x0D), "got dtype code 0x0d, expected 0x08, unsigned byte"),
        ("images", GOOD_LABELS, "got 0x01 dimensions, expected 3"),
        ("labels", GOOD_IMAGES, "got 0x03 dimensions, expected 1"),
        ("images", GOOD_IMAGES[:10], "got 10 bytes, expected a header of 16"),
        ("images", GOOD_IMAGES[:-1], "truncated: got 3919 bytes of data, expected 3920"),
        ("images", GOOD_IMAGES[:16], "truncated: got 0 bytes of data, expected 3920"),
        (
            "labels",
            GOOD_LABELS + b"\0",
            "trailing bytes: got more data, expected 5 for dimensions [5]",
        ),
        ("images", idx(IMAGES, shape=[5, 14, 56]), "got 14x56 images, expected 28x28"),
        ("images", idx(IMAGES[:0]), "got dimensions [0, 28, 28], expected none to be 0"),
        ("labels", idx(LABELS[:4]), "got 4 labels, expected 5, one per image of t10k-images-idx3-"),
        ("labels", idx(LABELS + 6), "got label 10 at 4, expected digits 0..9"),
    ],
    ids=lambda value: "contents" if isinstance(value, bytes) else None,
)
def test_bad_contents(folder: Path, stem: str, contents: bytes, complaint: str) -> None:
    path = folder / f"t10k-{stem}-idx{3 if stem == 'images' else 1}-ubyte"
    path.write_bytes(contents)
    assert message(folder).startswith(f"{path}: {complaint}")


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-9],  # cut short
        lambda packed: packed[:5],  # cut within the header
        lambda packed: packed[:-8] + bytes(8),  # another checksum
        lambda packed: packed[:12] + b"\xff\xff\xff" + packed[15:],  # no valid deflate stream
        lambda packed: packed + b"more",
        lambda packed: GOOD_IMAGES,  # not gzip at all
    ],
)
def test_damaged_gzip(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    raw = folder / "t10k-images-idx3-ubyte"
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(gzip.compress(raw.read_bytes())))
    raw.unlink()
    assert message(folder).startswith(f"{path}: damaged gzip file: ")


def test_packaged_files_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(load.MNIST_FOLDER, tmp_path / "mnist")
    monkeypatch.setattr(load, "MNIST_FOLDER", tmp_path / "mnist")
    path = tmp_path / "mnist" / "train-labels-idx1-ubyte.gz"
    changed = bytearray(gzip.decompress(path.read_bytes()))
    changed[8] = 7  # a valid label, but not MNIST's
    path.write_bytes(gzip.compress(changed))
    expected = "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    with pytest.raises(
        DataError, match=rf"^.*: unpacked, got SHA-256 \w+, expected {expected}$"
    ) as e:
        load_mnist()
    assert str(e.value).startswith(f"{path}: ")
    assert load_mnist(tmp_path / "mnist")[0].labels[0] == 7  # a given folder is not

    (tmp_path / "mnist" / "SHA256SUMS").unlink()
    with pytest.raises(DataError, match=r"^[^\n]*SHA256SUMS: cannot be read: [^\n]*$"):
        load_mnist()


@pytest.mark.parametrize(
    ("images", "labels", "complaint"),
    [
        (torch.zeros(2, 28, 28), torch.zeros(2).long(), r"images: got float32 \[2, 28, 28\]"),
        (torch.zeros(2, 784).byte(), torch.zeros(2).long(), r"images: got uint8 \[2, 784\]"),
        (torch.zeros(2, 28, 27).byte(), torch.zeros(2).long(), r"images: got uint8 \[2, 28, 27\]"),
        (torch.zeros(2, 28, 28).byte(), torch.zeros(2), r"labels: got float32 \[2\]"),
        (torch.zeros(2, 28, 28).byte(), torch.zeros(3).long(), r"labels: got int64 \[3\]"),
        (torch.zeros(1, 28, 28).byte(), torch.tensor([-1]), r"labels: got values in -1\.\.-1"),
        (torch.zeros(1, 28, 28).byte(), torch.tensor([10]), r"labels: got values in 10\.\.10"),
    ],
)
def test_bad_datasets_are_refused(images: Tensor, labels: Tensor, complaint: str) -> None:
    with pytest.raises(ValueError, match=rf"^{complaint}, expected [^\n]*$"):
        Dataset(images, labels)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_model_input(dtype: torch.dtype) -> None:
    images = torch.arange(784).to(torch.uint8).view(1, 28, 28)
    x = as_input(images, dtype)
    assert x.shape == (1, 1, 28, 28)
    assert x.dtype == dtype
    assert x.min() == 0
    assert x.max() == 1
    exact = images.double() / 255
    assert float((x[0].double() - exact).abs().max()) <= torch.finfo(dtype).eps / 2
