import json
import os
from pathlib import Path

import pytest

from lenetshift.dossier import files, folder


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


def test_json_is_strict_and_compact(tmp_path):
    files.write_json(tmp_path / "a.json", {"nan": float("nan"), "map": [[1, 2], [3, 4]]})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"nan": None, "map": [[1, 2], [3, 4]]}
    assert "[1, 2]" in text


def test_only_what_a_killed_run_left_is_removed(tmp_path):
    own = [".results.json.partial", ".figure4.png.partial", "checkpoints/.biased_lenet5.pt.partial"]
    foreign = [".movie.mkv.partial", ".writable", "checkpoints/.writable", ".partial"]
    foreign += [".results.json.partial.partial", "checkpoints/.movie.partial", ".lenet5.pt.partial"]
    (tmp_path / "checkpoints").mkdir()
    for name in own + foreign:
        (tmp_path / name).write_text(name)
    with folder.open_folder(tmp_path):
        left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(foreign)
    assert all((tmp_path / name).read_text() == name for name in foreign)


def test_folder_is_for_one_run(tmp_path):
    with folder.open_folder(tmp_path):
        before = tmp_path.stat().st_mtime_ns
        with pytest.raises(files.StorageError, match="in use"), folder.open_folder(tmp_path):
            pass
        assert tmp_path.stat().st_mtime_ns == before  # nothing was written, not even for a moment


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(files.StorageError, match="cannot write to"),
        folder.open_folder(tmp_path / "file"),
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
