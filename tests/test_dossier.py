import json

import pytest
import torch

from lenetshift.dossier import checkpoints, files, folder


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


def test_checkpoint_returns_as_it_was(tmp_path):
    saved = checkpoints.Checkpoint(
        "mlp", {"epochs": 2}, {"w": torch.ones(3)}, [torch.zeros(4)], 1.5, note="subset"
    )
    with folder.open_folder(tmp_path / "out") as out:
        assert checkpoints.load_checkpoint(out, "mlp", {"epochs": 2}) is None
        checkpoints.save_checkpoint(out, saved)
        loaded = checkpoints.load_checkpoint(out, "mlp", {"epochs": 2})
    assert loaded is not None
    assert (loaded.note, loaded.training_seconds, len(loaded.losses)) == ("subset", 1.5, 1)
    assert torch.equal(loaded.state_dict["w"], torch.ones(3))


def test_other_settings_and_damage_are_named(tmp_path):
    with folder.open_folder(tmp_path) as out:
        checkpoints.save_checkpoint(out, checkpoints.Checkpoint("mlp", {"epochs": 2}, {}))
        with pytest.raises(files.StorageError, match="epochs 2, this run has epochs 3"):
            checkpoints.load_checkpoint(out, "mlp", {"epochs": 3})
        path = checkpoints.checkpoint_path(out, "mlp")
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(files.StorageError, match=r"mlp\.pt is damaged"):
            checkpoints.load_checkpoint(out, "mlp", {"epochs": 2})
        path.unlink()
        path.mkdir()
        with pytest.raises(files.StorageError, match=r"^cannot read .*mlp\.pt: Is a directory$"):
            checkpoints.load_checkpoint(out, "mlp", {"epochs": 2})


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
