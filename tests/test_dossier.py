import json

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


def test_folder_is_for_one_run_and_cleans_up(tmp_path):
    (tmp_path / ".results.json.partial").write_text("{")
    with folder.open_folder(tmp_path):
        assert not (tmp_path / ".results.json.partial").exists()
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
