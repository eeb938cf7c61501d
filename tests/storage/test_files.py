import os
from pathlib import Path

import numpy as np
import pytest

from lenetshift.storage import files
from lenetshift.storage.folder import ANSWERS, RESULTS, STUDY, open_folder


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    files.write_text(path, "old")

    def fail(file):
        file.write(b"new")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        files.write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("encoder error"), "encoder error"),
    ],
)
def test_a_failed_write_names_its_file(tmp_path, error, said):
    def fail(_):
        raise error

    with pytest.raises(OSError, match=said) as raised:
        files.write_atomically(tmp_path / "file", fail)
    assert (raised.value.strerror, raised.value.filename) == (said, str(tmp_path / "file"))
    with pytest.raises(FileNotFoundError) as raised:
        files.write_text(tmp_path / "gone" / "file", "")
    assert raised.value.filename == str(tmp_path / "gone" / "file")
    other = FileNotFoundError(2, "No such file or directory", "font.ttf")
    with pytest.raises(FileNotFoundError) as raised:
        files.write_atomically(tmp_path / "file", lambda _: (_ for _ in ()).throw(other))
    assert raised.value.filename == "font.ttf"  # a file that was read meanwhile keeps its name


def test_what_cannot_be_read_is_not_taken_for_nothing(tmp_path):
    assert files.read_file_if_any(tmp_path / "gone") is None
    assert files.read_file_if_any(tmp_path / "gone" / "too") is None
    (tmp_path / "file").write_bytes(b"a")
    assert files.read_file_if_any(tmp_path / "file") == b"a"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for name, said in (
        ("file/within", "Not a directory"),
        (300 * "a", "File name too long"),
        ("loop", "Too many levels of symbolic links"),
        ("nowhere", "No such file or directory"),
        (".", "not a file"),
    ):
        with pytest.raises(files.StorageError, match=f"^cannot read .*: {said}$"):
            files.read_file_if_any(tmp_path / name)


def test_json_is_strict_and_compact(tmp_path):
    value = {
        "nan": float("nan"),
        "half": 0.5,
        "map": [[1, 2.5], (3, float("inf"))],
        "wo": "Tōhoku, 1\n",
        "\udcff": ["a \udcfe"],
    }
    files.write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == (
        '{\n  "nan": null,\n  "half": 0.5,\n  "map": [\n    [1, 2.5],\n    [3, null]\n  ],\n'
        '  "wo": "Tōhoku, 1\\n",\n  "\\\\xff": ["a \\\\xfe"]\n}\n'
    )


def test_arrays_are_what_numpy_reads(tmp_path):
    arrays = {"predictions": np.arange(6, dtype=np.uint8).reshape(2, 3), "rate": np.float64(0.5)}
    files.write_npz(tmp_path / "a.npz", arrays)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as read:
        assert set(read.files) == set(arrays)
        for name, array in arrays.items():
            assert read[name].dtype == array.dtype
            assert np.array_equal(read[name], array)
    with pytest.raises(ValueError, match="allow_pickle"):
        files.write_npz(tmp_path / "a.npz", {"objects": np.array([{}])})
    with np.load(tmp_path / "a.npz", allow_pickle=False) as read:  # the old one, whole
        assert set(read.files) == set(arrays)


@pytest.mark.parametrize(
    ("kind", "own", "foreign"),
    [
        (
            RESULTS,
            [".results.json.partial", ".figure4.png.partial"],
            [".results.json.partial.partial", "checkpoints/.movie.partial", ".lenet5.pt.partial"],
        ),
        (
            STUDY,
            ["runs/table/.mlp.seed0.npz.partial", "runs/table/.mlp.seed12.pt.partial"],
            ["runs/.mine.npz.partial", "runs/table/.mine.npz.partial", ".results.json.partial"],
        ),
        (
            ANSWERS,
            [".answers-000012.npz.partial"],
            [
                ".answers-mine.npz.partial",
                ".results.json.partial",
                "runs/.answers-000012.npz.partial",
            ],
        ),
    ],
)
def test_only_what_a_killed_run_left_is_removed(kind, own, foreign, tmp_path):
    foreign += [
        ".movie.mkv.partial",
        ".writable",
        str(Path(kind.subfolder, ".writable")),
        ".partial",
    ]
    foreign += [".mine.pt.partial", "checkpoints/.mine.pt.partial"]
    for name in own + foreign:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    with open_folder(tmp_path, kind):
        left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(foreign)
    assert all((tmp_path / name).read_text() == name for name in foreign)


def test_folder_is_for_one_run(tmp_path):
    with open_folder(tmp_path, RESULTS):
        before = tmp_path.stat().st_mtime_ns
        with pytest.raises(files.StorageError, match="in use"), open_folder(tmp_path, RESULTS):
            pass
        assert tmp_path.stat().st_mtime_ns == before  # nothing was written, not even for a moment


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(files.StorageError, match="cannot write to"),
        open_folder(tmp_path / "file", RESULTS),
    ):
        pass


def test_a_file_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch) -> None:
    """What a power failure leaves is the old file or the whole new one: the order decides it."""
    steps = []

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        steps.append(("fsync", path.name, path.read_bytes() if path.is_file() else None))

    def replace(before: Path, after: Path) -> None:
        steps.append(("replace", Path(before).name, Path(after).name))
        rename(before, after)

    rename = os.replace
    monkeypatch.setattr(files.os, "fsync", fsync)
    monkeypatch.setattr(files.os, "replace", replace)
    files.write_text(tmp_path / "a.txt", "all of it")
    assert steps == [
        ("fsync", ".a.txt.partial", b"all of it"),
        ("replace", ".a.txt.partial", "a.txt"),
        ("fsync", tmp_path.name, None),
    ]
