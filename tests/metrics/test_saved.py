"""Evaluations in files: what is saved is read again, and damaged files are refused in one line."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluations import DIGITS, evaluate, network

import lenetshift
from lenetshift import DataError, Evaluation, ShiftGrid, evaluate_shifts
from lenetshift.checks.text import one_line
from lenetshift.metrics import saved
from lenetshift.storage.sealed import pack_arrays, seal

RNG = np.random.default_rng(2)
GRID = ShiftGrid(range(-2, 3, 2), range(2))
SHAPE = (6, 2, 3)
PREDICTIONS, LABELS = RNG.integers(0, 4, SHAPE), RNG.integers(0, 4, 6)


def made(**changes: Any) -> Evaluation:
    given = {"predictions": PREDICTIONS, "labels": LABELS, "grid": GRID, **changes}
    return Evaluation(**given)


def again(evaluation: Evaluation, folder: Path) -> Evaluation:
    """The evaluation, saved and loaded; checks that all its answers are the same."""
    path = folder / "evaluation.npz"
    evaluation.save(path)
    loaded = Evaluation.load(path)
    for name in ("predictions", "labels", "logits"):
        a, b = (getattr(each, name) for each in (evaluation, loaded))
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            assert torch.equal(bits(a), bits(b))
    assert loaded.to_dict() == evaluation.to_dict()
    for name in ("grid", "fill", "crop", "method", "reason", "seconds", "name", "class_names"):
        a, b = (getattr(each, name) for each in (evaluation, loaded))
        assert (repr(a), type(a)) == (repr(b), type(b)), name
    assert loaded.images_sha256 == evaluation.images_sha256
    if evaluation.lost_ink is not None:
        assert loaded.lost_ink is not None
        assert loaded.lost_ink.dtype == evaluation.lost_ink.dtype
        assert (loaded.lost_ink == evaluation.lost_ink).all()
    assert str(loaded) == str(evaluation)
    for row in evaluation.rows():
        if row.value is not None and evaluation.metric(row.name).n_images > 1:
            assert loaded.interval(row.name, 0.9) == evaluation.interval(row.name, 0.9), row.name
    return loaded


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a tensor: some dtypes cannot be compared."""
    return tensor.contiguous().view(torch.uint8)


def test_an_evaluation_of_images(tmp_path: Path) -> None:
    evaluation = evaluate(DIGITS, return_logits=True, name="Net", class_names=list("abcdefghij"))
    loaded = again(evaluation, tmp_path)
    assert loaded.images is None
    assert loaded.class_names == tuple("abcdefghij")
    assert (loaded.confusion().counts == evaluation.confusion().counts).all()
    assert loaded.confusion().names == evaluation.confusion().names == tuple("abcdefghij")
    assert lenetshift.compare(evaluation, loaded).names == ("a", "b")
    with pytest.raises(ValueError, match=r"^image: got none, expected image i itself"):
        loaded.plot_image(0)


@pytest.mark.parametrize(
    "dtype",
    ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", ">i4"],
)
def test_predictions_of_every_dtype(dtype: str, tmp_path: Path) -> None:
    again(made(predictions=PREDICTIONS.astype(dtype), labels=LABELS.astype(dtype)), tmp_path)


LOGITS_DTYPES = [
    *("float16", "float32", "float64", "bfloat16", "uint8", "int8", "int16", "int32", "int64"),
    *("uint16", "uint32", "bool", "complex64", "complex128", *saved._AS_BYTES),
]


@pytest.mark.filterwarnings("ignore:ComplexHalf support")
@pytest.mark.parametrize("dtype", dict.fromkeys(LOGITS_DTYPES))
def test_logits_of_every_dtype(dtype: str, tmp_path: Path) -> None:
    logits = torch.from_numpy(RNG.normal(size=(*SHAPE, 5))).to(getattr(torch, dtype))
    assert logits.dtype == again(made(logits=logits), tmp_path).logits.dtype  # type: ignore[union-attr]


@pytest.mark.parametrize("form", ["not contiguous", "needs a gradient", "NaN"])
def test_logits_in_every_form(form: str, tmp_path: Path) -> None:
    logits = torch.rand(*SHAPE, 5, requires_grad=form == "needs a gradient")
    if form == "not contiguous":
        logits = torch.rand(5, *SHAPE).movedim(0, -1)
    elif form == "NaN":
        logits = torch.where(logits > 0.5, logits, torch.nan)
    path = tmp_path / "a.npz"
    made(logits=logits).save(path)
    loaded = Evaluation.load(path).logits
    assert loaded is not None
    assert torch.equal(loaded.nan_to_num(-1), logits.detach().nan_to_num(-1))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_lost_ink_of_every_dtype(dtype: str, tmp_path: Path) -> None:
    again(made(lost_ink=(RNG.integers(0, 3, SHAPE) / 2).astype(dtype)), tmp_path)


@pytest.mark.parametrize(
    "fill", [0, 3, -1, 0.1, 1e-300, 10**30, "circular", (0.5,), [1, 2, 3], np.float32(0.1)], ids=repr
)  # fmt: skip
def test_every_fill(fill: Any, tmp_path: Path) -> None:
    again(made(fill=fill), tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"crop": (20, 22)},
        {"method": "shared", "reason": "shared: all", "seconds": 0.1},
        {"name": "a\udcff line\nend", "reason": "\N{GREEK SMALL LETTER ALPHA}\udc80"},
        {"class_names": ["", "two\nlines", "\udcff", "Ä"]},
        {"images_sha256": "0123456789abcdef" * 4},
        {"grid": ShiftGrid(range(5, 6, 7), range(1)), "predictions": PREDICTIONS[:, :1, :1]},
        {"grid": ShiftGrid(range(-3, 4, 3), range(-(2**40), 0, 2**40 - 1))},
    ],
    ids=lambda changes: ", ".join(changes),
)
def test_every_setting(changes: dict[str, Any], tmp_path: Path) -> None:
    again(made(**changes), tmp_path)


def test_the_file_is_one_of_numpys_and_always_the_same(tmp_path: Path) -> None:
    path = tmp_path / "file of any name"
    evaluation = made(lost_ink=np.zeros(SHAPE))
    evaluation.save(os.fspath(path))
    assert [each.name for each in tmp_path.iterdir()] == ["file of any name"]
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file.files) == ["about", "labels", "lost_ink", "predictions"]
        assert (file["predictions"] == PREDICTIONS).all()
        assert json.loads(file["about"].tobytes())["version"] == 1
    before = path.read_bytes()
    Evaluation.load(path).save(path)
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_written_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    made().save(path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        made(name="other").save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_could_not_be_read_again_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved, "MOST_ARRAY_BYTES", (1 << 20) + 400)
    evaluation = made(logits=torch.zeros(*SHAPE, 3))
    expected = (
        "^logits: got 768 bytes with the predictions, expected at most 400 to save, or no logits$"
    )
    with pytest.raises(ValueError, match=expected):
        evaluation.save(tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())
    made().save(tmp_path / "a.npz")


def test_nor_are_predictions_that_could_not_be_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved, "MOST_ARRAY_BYTES", (1 << 20) + 400)
    evaluation = made(lost_ink=np.zeros(SHAPE))
    expected = (
        "^predictions: got 624 bytes with the labels and what else is saved, expected at most 400"
    )
    with pytest.raises(ValueError, match=expected):
        evaluation.save(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=expected):
        saved.as_text(evaluation)
    assert not list(tmp_path.iterdir())


# Files of any origin


def about(**changes: Any) -> bytes:
    """A file, sealed, whose settings have changed; None takes one away."""
    arrays = members(made(logits=torch.zeros(*SHAPE, 4).bfloat16()))
    value = json.loads(arrays["about"].tobytes())
    for name, given in changes.items():
        value[name] = given
        if given is GONE:
            del value[name]
    return pack_arrays({**arrays, "about": np.frombuffer(json.dumps(value).encode(), np.uint8)})


GONE = object()


def members(evaluation: Evaluation) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(saved.pack(evaluation))) as file:
        return {name: file[name] for name in file.files}


def arrays(**changes: Any) -> bytes:
    """A file, sealed, whose arrays have changed; None takes one away."""
    given = {**members(made(lost_ink=np.zeros(SHAPE))), **changes}
    return pack_arrays({name: np.asarray(v) for name, v in given.items() if v is not None})


def whole() -> bytes:
    return saved.pack(made())


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def objects() -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as file:
        member = io.BytesIO()
        np.save(member, np.array([1, "a", None], dtype=object), allow_pickle=True)
        file.writestr("predictions.npy", member.getvalue())
        for name in ("about", "labels"):
            member = io.BytesIO()
            np.save(member, np.zeros(3, np.uint8))
            file.writestr(f"{name}.npy", member.getvalue())
    return seal(memory.getvalue())


WRITTEN = "expected a file of `lenetshift evaluate --save FILE`, or of its `--json FILE`"

BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", f"got neither an archive of arrays nor JSON, {WRITTEN}"),
    "text": (lambda: b"hello", f"got neither an archive of arrays nor JSON, {WRITTEN}"),
    "deep": (lambda: b"[" * 100_000, f"got neither an archive of arrays nor JSON, {WRITTEN}"),
    "a list": (lambda: b"[1]", f"got JSON without the answers, {WRITTEN}"),
    "metrics": (lambda: as_json({"metrics": {}}), f"got JSON without the answers, {WRITTEN}"),
    "a number": (lambda: as_json({"evaluation": 3}), f"got JSON without the answers, {WRITTEN}"),
    "not base64": (lambda: as_json({"evaluation": saved.as_text(made()) + "*"}), "$.evaluation: "),
    "not ASCII": (lambda: as_json({"evaluation": "\xe4\xe4\xe4\xe4"}), "$.evaluation: "),
    "other base64": (lambda: as_json({"evaluation": "aaaa"}), "damaged, of another version, or "),
    "cut": (lambda: whole()[:-1], "damaged, of another version, or another kind of file: no"),
    "half": (lambda: whole()[:500], "damaged, of another version, or another kind of file: no"),
    "unsealed": (lambda: b"PK" + bytes(100), "damaged, of another version, or another kind of file: no"),
    "objects": (objects, "got no archive of arrays, expected one: "),
    "no labels": (lambda: arrays(labels=None), "got predictions, lost_ink, about, expected about, pr"),
    "more": (lambda: arrays(more=np.zeros(3)), "got predictions, labels, lost_ink, about, more, ex"),
    "floats": (lambda: arrays(predictions=np.zeros(SHAPE)), "predictions: got float64 [6, 2, 3], exp"),
    "texts": (lambda: arrays(predictions=np.zeros(SHAPE, "U3")), "predictions: got <U3 [6, 2, 3], exp"),
    "other shape": (lambda: arrays(predictions=PREDICTIONS[:, 0]), "predictions: got int64 [6, 3], e"),
    "no image": (lambda: arrays(predictions=PREDICTIONS[:0]), "predictions: got int64 [0, 2, 3], ex"),
    "few labels": (lambda: arrays(labels=LABELS[1:]), "labels: got int64 [5], expected integers [6]"),
    "large labels": (lambda: arrays(labels=np.full(6, 2**63, np.uint64)), "labels: got values up to"),
    "much ink": (lambda: arrays(lost_ink=np.full(SHAPE, 2.0)), "lost_ink: got values from 2 to 2, ex"),
    "ink of ints": (lambda: arrays(lost_ink=PREDICTIONS), "lost_ink: got int64 [6, 2, 3], expected"),
    "no logits": (lambda: arrays(logits=np.zeros(3)), "logits: got float64 [3], expected [6, 2, 3, K]"),
    "about": (lambda: arrays(about=np.zeros((2, 2), np.uint8)), "about: got uint8 [2, 2], expected"),
    "no about": (lambda: arrays(about=np.zeros(0, np.uint8)), "about: got uint8 [0], expected uint8"),
    "not JSON": (lambda: arrays(about=np.full(9, 65, np.uint8)), "not JSON: "),
    "not UTF-8": (lambda: arrays(about=np.full(9, 255, np.uint8)), "not JSON: "),
    "version": (lambda: about(version=2), "$.version: got 2, expected 1"),
    "format": (lambda: about(format="x"), '$.format: got "x", expected "lenetshift evaluation"'),
    "no grid": (lambda: about(grid=GONE), '$: got no "grid", expected format, version, grid, fill'),
    "an addition": (lambda: about(more=1), '$: got "more", expected format, version, grid, fill'),
    "step 0": (lambda: about(grid={"dx": [-2, 3, 0], "dy": [0, 2, 1]}), "range() arg 3 must not be"),
    "step -1": (lambda: about(grid={"dx": [3, 0, -1], "dy": [0, 2, 1]}), "dx: got range(3, 0, -1), e"),
    "a long grid": (lambda: about(grid={"dx": [0, 2**70, 1], "dy": [0, 2, 1]}), "dx: got 0..118059162"),
    "half a shift": (lambda: about(grid={"dx": [0.5, 3, 1], "dy": [0, 2, 1]}), "$.grid.dx[0]: got 0.5"),
    "other grid": (lambda: about(grid={"dx": [0, 3, 3], "dy": [0, 2, 1]}), "predictions: got int64 [6"),
    "fill": (lambda: about(fill="black"), "fill: got 'black', expected a finite number, or one per"),
    "fills": (lambda: about(fill=["black"]), '$.fill[0]: got "black", expected number'),
    "no fill": (lambda: about(fill=[]), "$.fill: got [], expected 1 items or more"),
    "true": (lambda: about(fill=True), "$.fill: got true, expected number or string or array"),
    "large fill": (lambda: about(fill=10**400), "fill: got "),
    "crop": (lambda: about(crop=[0, 3]), "$.crop[0]: got 0, expected 1 or more"),
    "crops": (lambda: about(crop=[3]), "$.crop: got an array of 1 item, expected 2 items or more"),
    "method": (lambda: about(method="auto"), "method: got 'auto', expected 'fused' or 'shared' or"),
    "seconds": (lambda: about(seconds=-1), "$.seconds: got -1, expected 0 or more"),
    "NaN": (lambda: about(seconds=float("nan")), "$.seconds: got NaN, expected number or null"),
    "name": (lambda: about(name=3), "$.name: got 3, expected string or null"),
    "class names": (lambda: about(class_names=[3]), "$.class_names[0]: got 3, expected string"),
    "digest": (lambda: about(images_sha256="0"), '$.images_sha256: got "0", expected text of the'),
    "digest and a line": (lambda: about(images_sha256="0" * 64 + "\n"), "images_sha256: got "),
    "logits' dtype": (lambda: about(logits_dtype="qint8"), "logits_dtype: got 'qint8', expected bfloa"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    make, complaint = BAD[name]
    path.write_bytes(make())
    with pytest.raises(DataError) as caught:
        Evaluation.load(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: {complaint}")
    assert one_line(text) == text
    assert len(text) < 600


@pytest.mark.parametrize("itemless", [np.zeros((*SHAPE, 3), np.uint8), None, np.zeros(SHAPE)])
def test_logits_that_are_not_of_their_dtype(itemless: Any, tmp_path: Path) -> None:
    given = members(made(logits=torch.zeros(*SHAPE, 4).bfloat16()))
    if itemless is None:
        del given["logits"]
    else:
        given["logits"] = itemless
    path = tmp_path / "bad.npz"
    path.write_bytes(pack_arrays(given))
    with pytest.raises(DataError, match=r"bad\.npz: logits: got [^\n]*, expected [^\n]*$"):
        Evaluation.load(path)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("gone.npz", "No such file or directory"), (".", "not a file"), ("pipe", "not a file")],
)
def test_what_is_no_file(name: str, complaint: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=rf": cannot be read: {complaint}$"):
        Evaluation.load(tmp_path / name)


def test_damaged_bytes_are_seen(tmp_path: Path) -> None:
    """Any bit of the file, and any part that is missing."""
    path, contents = tmp_path / "a.npz", whole()
    changes = random.Random(0)
    for _ in range(200):
        damaged = bytearray(contents)
        at = changes.randrange(len(damaged))
        if changes.random() < 0.5:
            damaged[at] ^= 1 << changes.randrange(8)
        else:
            del damaged[at : at + changes.randint(1, 9)]
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"^[^\n]+$"):
            Evaluation.load(path)


def test_the_archive_within_json(tmp_path: Path) -> None:
    evaluation = evaluate_shifts(network(), DIGITS, grid=GRID, method="plain", return_logits=True)
    path = tmp_path / "a.json"
    text = saved.as_text(evaluation)
    path.write_text(json.dumps({"metrics": {}, "evaluation": text}))
    loaded = Evaluation.load(path)
    assert loaded.logits is None
    without = {**evaluation.to_dict()["metrics"], "score_change": None}
    assert loaded.to_dict()["metrics"] == without
    assert base64.b64decode(text) == saved.pack(loaded)
