"""``evaluate_shifts`` with ``answers``: kept shard by shard, and continued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from cases import refused
from evaluations import DIGITS, GRID, evaluate, network
from torch import nn
from torch.utils.data import DataLoader

import lenetshift
from lenetshift import Evaluation, evaluate_shifts
from lenetshift.checks.errors import StorageError
from lenetshift.predict.progress import Progress
from lenetshift.predict.shards import by_shard, cutting, files
from lenetshift.predict.shards.answered import answered
from lenetshift.storage import untrusted
from lenetshift.storage.folder import STUDY, open_folder

N_SHARDS, SIZE = 8, 7  # of 50 digits


@pytest.fixture(autouse=True)
def small_shards(monkeypatch) -> None:
    monkeypatch.setattr(cutting, "MOST_IMAGES", SIZE)


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """The numbers of images in the shards that are computed."""
    found: list[int] = []

    def noted(evaluator, images, *arguments):
        found.append(len(images))
        return answered(evaluator, images, *arguments)

    monkeypatch.setattr(by_shard, "answered", noted)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def is_same(a: Evaluation, b: Evaluation) -> bool:
    logits = a.logits is b.logits or torch.equal(a.logits, b.logits)
    ink = a.lost_ink is b.lost_ink or (a.lost_ink == b.lost_ink).all()
    labels = torch.equal(a.labels, b.labels)
    return logits and ink and labels and torch.equal(a.predictions, b.predictions)


def normalized(x: torch.Tensor) -> torch.Tensor:
    return (x - 0.1) / 0.3


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"method": "plain", "return_logits": True},
        {"method": "shared", "fill": 9},
        {"crop": (26, 20)},
        {"transform": normalized, "batch_size": 10},
    ],
    ids=" ".join,
)
def test_the_answers_are_the_same_and_are_found_again(settings, computed, tmp_path) -> None:
    model = (
        network(size=28)
        if "crop" not in settings
        else nn.Sequential(nn.Flatten(), nn.Linear(520, 3))
    )
    expected = evaluate_shifts(model, DIGITS, grid=GRID, **settings)
    kept = evaluate_shifts(model, DIGITS, grid=GRID, **settings, answers=tmp_path)
    again = evaluate_shifts(model, DIGITS, grid=GRID, **settings, answers=tmp_path, resume=True)
    assert is_same(kept, expected)
    assert is_same(again, expected)
    assert {e.reason for e in (expected, kept, again)} == {expected.reason}
    assert kept.seconds == again.seconds > 0
    assert computed == [SIZE] * 7 + [1]
    assert len(contents(tmp_path)) == N_SHARDS


def test_logits_of_very_many_classes_are_read_again(computed, monkeypatch, tmp_path) -> None:
    """More bytes than may be unpacked from a compressed file; digits compress well."""
    monkeypatch.setattr(untrusted, "MOST_ARRAY_BYTES", 100_000)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 3000))
    nn.init.zeros_(model[1].weight)
    settings = {"grid": GRID, "return_logits": True, "method": "plain", "answers": tmp_path}
    first = evaluate_shifts(model, DIGITS, **settings)
    assert is_same(evaluate_shifts(model, DIGITS, **settings, resume=True), first)
    assert len(computed) == N_SHARDS


def test_batches_are_cut_to_the_same_shards(computed, tmp_path) -> None:
    batches = DataLoader(DIGITS, batch_size=16)
    kept = evaluate(batches, answers=tmp_path)
    assert is_same(kept, evaluate(DIGITS))
    assert kept.images is None
    assert is_same(evaluate(DIGITS, answers=tmp_path, resume=True), kept)
    assert len(computed) == N_SHARDS


def test_a_fused_op_and_logits_of_half_precision(tmp_path) -> None:
    mlp = lenetshift.build_model("mlp", seed=0)
    kept = evaluate_shifts(mlp, DIGITS, answers=tmp_path / "fused")
    assert kept.method == "fused"
    half = network().bfloat16()
    settings = {
        "grid": GRID,
        "return_logits": True,
        "method": "plain",
        "answers": tmp_path / "half",
    }
    first = evaluate_shifts(half, DIGITS, **settings)
    again = evaluate_shifts(half, DIGITS, **settings, resume=True)
    assert first.logits.dtype == torch.bfloat16
    assert is_same(first, again)


def test_only_what_is_missing_is_computed(computed, tmp_path, capsys) -> None:
    expected = evaluate(DIGITS, answers=tmp_path)
    before = contents(tmp_path)
    for number in (0, 3, 7):
        (tmp_path / f"answers-{number:06d}.npz").unlink()
    computed.clear()
    assert is_same(evaluate(DIGITS, answers=tmp_path, resume=True), expected)
    assert computed == [SIZE, SIZE, 1]
    assert contents(tmp_path).keys() == before.keys()
    assert capsys.readouterr().err == "35 images had been answered before\n"


def test_what_is_answered_survives_an_interruption(computed, monkeypatch, tmp_path) -> None:
    def interrupted(evaluator, images, *arguments):
        if len(computed) == 3:
            raise KeyboardInterrupt
        computed.append(len(images))
        return answered(evaluator, images, *arguments)

    monkeypatch.setattr(by_shard, "answered", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(DIGITS, answers=tmp_path)
    assert len(contents(tmp_path)) == 3
    monkeypatch.setattr(by_shard, "answered", answered)
    assert is_same(evaluate(DIGITS, answers=tmp_path, resume=True), evaluate(DIGITS))


@pytest.mark.parametrize("at", [0, 100, -1])
def test_a_damaged_file_is_computed_again(at, computed, tmp_path, capsys) -> None:
    expected = evaluate(DIGITS, answers=tmp_path)
    path = tmp_path / "answers-000002.npz"
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 1
    path.write_bytes(damaged)
    computed.clear()
    assert is_same(evaluate(DIGITS, answers=tmp_path, resume=True), expected)
    assert computed == [SIZE]
    damage, kept = capsys.readouterr().err.splitlines()
    assert damage.startswith(f"{path}: damaged")
    assert damage.endswith(": its images are answered again")
    assert kept == "43 images had been answered before"
    computed.clear()
    evaluate(DIGITS, answers=tmp_path, resume=True)
    assert computed == []


class Doubled(nn.Module):
    factor = 2

    def forward(self, x):
        return self.factor * x


def other_weights() -> nn.Module:
    model = network()
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] += 1e-6
    return model


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "weights": ({"model": other_weights()}, "weights: was written with "),
    "code": ({"model": nn.Sequential(*network(), Doubled())}, "code: was written with "),
    "padding": (
        {"model": nn.Sequential(nn.Conv2d(1, 3, 5, padding=2, padding_mode="reflect"), *network()[1:])},
        "code: was written with ",
    ),
    "grid": ({"grid": lenetshift.ShiftGrid(range(-2, 3), range(3))}, r"grid.dy: was written with \[-1"),
    "fill": ({"fill": 1}, "fill: was written with 0, now it is 1"),
    "crop": ({"crop": (28, 28)}, r"crop: was written with None, now it is \[28, 28]"),
    "transform": ({"transform": normalized}, "transform: was written with None"),
    "method": ({"method": "plain"}, "method: was written with auto, now it is plain"),
    "scores": ({"return_logits": True}, "scores: was written with False, now it is True"),
    "images": ({"images": DIGITS[:9].images + 1}, "images.sha256: was written with "),
    "order": ({"images": DIGITS[:9].images.flip(0)}, "images.sha256: was written with "),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_answers_of_other_settings_are_refused(what, tmp_path) -> None:
    few = DIGITS[:9]
    settings: dict[str, Any] = {
        **{"model": network(), "images": few.images, "labels": few.labels, "grid": GRID},
        "answers": tmp_path,
    }
    evaluate_shifts(**settings)
    before = contents(tmp_path)
    changes, line = CHANGES[what]
    with pytest.raises(StorageError, match=rf"answers-000000.npz: {line}") as refusal:
        evaluate_shifts(**{**settings, **changes}, resume=True)
    assert "\n" not in str(refusal.value)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["torch", "isa", "lenetshift", "device", "python"])
def test_answers_of_other_versions_are_refused(name, monkeypatch, tmp_path) -> None:
    evaluate(DIGITS[:2], answers=tmp_path)
    real = by_shard.settings_of
    monkeypatch.setattr(by_shard, "settings_of", lambda *given: {**real(*given), name: "other"})
    with pytest.raises(StorageError, match=rf": {name}: was written with .*, now it is other$"):
        evaluate(DIGITS[:2], answers=tmp_path, resume=True)


def test_other_labels_are_not_refused(computed, tmp_path) -> None:
    evaluate(DIGITS.images, DIGITS.labels, answers=tmp_path)
    again = evaluate(DIGITS.images, DIGITS.labels.flip(0), answers=tmp_path, resume=True)
    assert torch.equal(again.labels, DIGITS.labels.flip(0))
    assert len(computed) == N_SHARDS


def test_a_folder_with_answers_is_refused_without_resume(tmp_path) -> None:
    evaluate(DIGITS, answers=tmp_path)
    with pytest.raises(StorageError, match="holds the answers of an evaluation already: continue"):
        evaluate(DIGITS, answers=tmp_path)
    with (
        pytest.raises(StorageError, match=r"holds the answers of an evaluation \(answers-00000"),
        open_folder(tmp_path, STUDY),
    ):
        pass


def test_a_study_is_left_alone(tmp_path) -> None:
    (tmp_path / "dossier.json").write_text("{}")
    with pytest.raises(StorageError, match=r"holds a study \(dossier.json\)"):
        evaluate(DIGITS, answers=tmp_path)


def test_files_of_others_are_left_alone(tmp_path) -> None:
    others = {"answers.npz": b"mine", "notes.txt": b"mine", ".movie.partial": b"mine"}
    for name, text in others.items():
        (tmp_path / name).write_bytes(text)
    (tmp_path / ".answers-000001.npz.partial").write_bytes(b"left by a killed process")
    evaluate(DIGITS, answers=tmp_path)
    found = contents(tmp_path)
    assert others.items() <= found.items()
    assert len(found) == N_SHARDS + len(others)


def test_a_sealed_file_of_another_kind_is_refused(tmp_path) -> None:
    path = tmp_path / "answers-000000.npz"
    path.write_bytes(files.pack_arrays({"predictions": DIGITS.labels.numpy()}))
    with pytest.raises(StorageError, match=r"answers-000000\.npz: about: got"):
        evaluate(DIGITS, answers=tmp_path, resume=True)


def test_a_full_disk_is_one_line(monkeypatch, tmp_path) -> None:
    def full(path, write):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(files, "write_atomically", full)
    with pytest.raises(StorageError, match=r"^cannot write .*answers-000000\.npz: No space left"):
        evaluate(DIGITS, answers=tmp_path)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"resume": True}, "resume: got True without answers, expected the folder of the answers"),
        ({"answers": 3}, "answers: got int, expected the path of a folder"),
        ({"scheduler": 3}, "scheduler: got int, expected a str"),
        ({"resume": "yes", "answers": "x"}, "resume: got "),
    ],
)
def test_what_does_not_fit(settings, line) -> None:
    with refused(line):
        evaluate(DIGITS, **settings)


def test_progress_counts_images(monkeypatch, tmp_path) -> None:
    bars: list[tuple[Any, list[float]]] = []

    class Recorder(Progress):
        def __init__(self, total, **settings) -> None:
            super().__init__(total, **settings)
            bars.append((total, []))

        def advance(self, units) -> None:
            bars[-1][1].append(units)

    monkeypatch.setattr("lenetshift.metrics.evaluate_shifts.Progress", Recorder)
    for resume in (False, True):
        evaluate(DIGITS, answers=tmp_path, resume=resume)
    evaluate(DataLoader(DIGITS, batch_size=25), answers=tmp_path, resume=True)
    assert [(total, sum(units)) for total, units in bars] == [(50, 50)] * 3


def test_images_are_read_when_they_are_needed(monkeypatch, tmp_path) -> None:
    read: list[int] = []

    def batches():
        for start in range(0, 50, SIZE):
            read.append(start)
            yield DIGITS.images[start : start + SIZE], DIGITS.labels[start : start + SIZE]

    def noted(evaluator, images, *arguments):
        files_there = len(contents(tmp_path))
        assert len(read) == files_there + 1
        return answered(evaluator, images, *arguments)

    monkeypatch.setattr(by_shard, "answered", noted)
    assert is_same(evaluate(batches(), answers=tmp_path), evaluate(DIGITS))


def test_the_size_of_a_shard_bounds_bytes_and_patterns(monkeypatch) -> None:
    monkeypatch.undo()
    digit, photo = torch.zeros(28, 28, dtype=torch.uint8), torch.zeros(3, 224, 224)
    assert cutting.shard_size(digit, 55) == 1000
    assert cutting.shard_size(photo, 55) == (8 << 20) // (4 * 3 * 224 * 224)
    assert cutting.shard_size(digit, 57 * 57) == (1 << 17) // 57**2
    assert cutting.shard_size(torch.zeros(3, 9999, 9999), 10**9) == 1
