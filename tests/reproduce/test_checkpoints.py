"""Checkpoints are read as they were written; damaged, foreign or incomplete ones are refused."""

from __future__ import annotations

import contextlib
import operator
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Code, run

from lenetshift.checks.errors import StorageError
from lenetshift.reproduce import checkpoints
from lenetshift.reproduce.checkpoints import (
    Checkpoint,
    checkpoint_path,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from lenetshift.storage.sealed import pack_tensors

Change = Callable[[dict[str, Any]], Any]

WEIGHTS = {"w": torch.ones(3)}
SETTINGS = {"epochs": 2, "activation": "tanh"}
EXPECTED = (SETTINGS, 4, (2, 1, 3))


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the checkpoint of a model of three weights that has learnt for one epoch of two."""
    (tmp_path / "checkpoints").mkdir()
    losses = [torch.arange(4.0)]
    save_checkpoint(
        tmp_path, Checkpoint(WEIGHTS, losses, 1.5, model="mlp", settings=SETTINGS, note="part")
    )
    monkeypatch.setattr(checkpoints, "weights_of", lambda *_: WEIGHTS)
    return tmp_path


def check_refused(out: Path, message: str, expected: Any = EXPECTED) -> None:
    with pytest.raises(StorageError, match=message):
        load_checkpoint(out, "mlp", *expected)


DAMAGED = r"^[^\n]*mlp\.pt: damaged, of another version, or another kind of file: "


def test_a_checkpoint_returns_as_it_was(out) -> None:
    assert load_checkpoint(out, "lenet5", *EXPECTED) is None
    loaded = load_checkpoint(out, "mlp", *EXPECTED)
    assert loaded is not None
    assert (loaded.model, loaded.note, loaded.training_seconds) == ("mlp", "part", 1.5)
    assert loaded.settings == SETTINGS
    assert torch.equal(loaded.state_dict["w"], WEIGHTS["w"])
    assert [epoch.tolist() for epoch in loaded.losses] == [[0, 1, 2, 3]]
    assert (loaded.predictions, loaded.evaluation_seconds) == (None, None)


def test_where_training_diverged() -> None:
    nan, inf = float("nan"), float("inf")
    finite = torch.ones(3)

    def divergence(losses: list[list[float]], weights: torch.Tensor = finite) -> str:
        epochs = [torch.tensor(epoch) for epoch in losses]
        return Checkpoint({"w": weights}, epochs, model="mlp", settings={}).divergence()

    assert divergence([]) == ""
    assert divergence([[1, 2], [1e30, 3]]) == ""
    assert divergence([[3e31, 2e31], [1, 2]]) == ""
    assert divergence([[1, 2], [3e31, 2e31]]) == "median loss 2e+31 in epoch 2, guessing has 2.3"
    assert divergence([[1, 2], [1, nan]]) == "loss nan at step 2 of epoch 2"
    assert divergence([[inf, nan], [nan, nan]]) == "loss inf at step 1 of epoch 1"
    assert divergence([[1, 2]], torch.tensor([1, inf])) == "w is not finite after 1 epochs"


def test_other_programs_read_a_checkpoint(out) -> None:
    path = checkpoint_path(out, "mlp")
    assert torch.equal(torch.load(path, weights_only=True)["state_dict"]["w"], WEIGHTS["w"])
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


def test_each_flipped_byte_is_found(out) -> None:
    path = checkpoint_path(out, "mlp")
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        check_refused(out, DAMAGED)


@pytest.mark.parametrize("change", [lambda b: b[:100], lambda b: b[:-1], lambda b: b + b"\n"])
def test_other_lengths_are_found(out, change) -> None:
    path = checkpoint_path(out, "mlp")
    path.write_bytes(change(path.read_bytes()))
    check_refused(out, DAMAGED)


def test_what_would_run_code_is_refused(out, tmp_path) -> None:
    executed = tmp_path / "executed"
    checkpoint_path(out, "mlp").write_bytes(pack_tensors({"schema": Code(executed)}))
    check_refused(out, r"weights_only=True\) refuses")
    assert not executed.exists()


def test_other_settings_are_named(out) -> None:
    other = ({**SETTINGS, "epochs": 3}, *EXPECTED[1:])
    check_refused(out, r"settings\.epochs: was written with 2, now it is 3; del", other)


def test_a_folder_in_its_place_is_named(out) -> None:
    checkpoint_path(out, "mlp").unlink()
    checkpoint_path(out, "mlp").mkdir()
    check_refused(out, r"^cannot read .*mlp\.pt: not a file$")


ENTRIES = (
    *("schema", "model", "settings", "state_dict", "losses", "training_seconds"),
    *("predictions", "evaluation_seconds", "note"),
)
OPTIONS = ["--models", "pooled_mlp", "mlp", "--epochs", "2"]


@pytest.fixture(scope="module")
def finished(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run."""
    out = tmp_path_factory.mktemp("finished")
    assert run("reproduce", "--data", small, "--out", out, *OPTIONS)[0] == 0
    return out


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "out"))


def refused(small: Path, out: Path) -> str:
    """The line in which a run refuses to go on from a folder."""
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    status, _, line = run("reproduce", "--data", small, "--out", out, *OPTIONS, "--resume")
    assert (status, line.count("\n")) == (2, 1)
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return line


def put(**entries: Any) -> Change:
    return lambda content: content.update(entries)


def put_weight(name: str, change: Callable[[torch.Tensor], Any]) -> Change:
    def put(content: dict[str, Any]) -> None:
        content["state_dict"][name] = change(content["state_dict"].get(name))

    return put


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (put(schema=1), "schema: got 1, expected 2"),
        (put(schema=None), "schema: got NoneType, expected int"),
        (put(model="mlp"), "model: got 'mlp', expected 'pooled_mlp'"),
        (put(settings=None), "settings: got NoneType, expected dict"),
        (put(settings={"seed": torch.zeros(2)}), "settings: got values that JSON cannot hold"),
        (put(settings={}), "settings.activation: was written with None, now it is tanh"),
        (put(state_dict=None), "state_dict: got NoneType, expected dict"),
        (put(state_dict={}), "state_dict: got [], expected ['hidden.weight', 'hidden.bias', "),
        (put_weight("hidden.weight", lambda w: w[:, :48]), "expected float32 [512, 49]"),
        (put_weight("hidden.weight", lambda w: w.double()), "got float64 [512, 49], expected"),
        (put_weight("hidden.weight", lambda w: w.to_sparse()), "expected float32 [512, 49]"),
        (put_weight("hidden.weight", lambda w: w.to("meta")), "expected float32 [512, 49]"),
        (put_weight("hidden.bias", lambda w: w.tolist()), "got list, expected float32 [512]"),
        (put_weight("third.bias", lambda w: torch.zeros(1)), "'third.bias'], expected ['hidden"),
        (put(losses=None), "losses: got NoneType, expected list"),
        (put(losses=[torch.zeros(4)]), "predictions: got them after 1 of 2 epochs, expected"),
        (put(losses=[torch.zeros(4)] * 3), "losses: got 3 epochs, expected at most 2"),
        (put(losses=[torch.zeros(4), torch.zeros(3)]), "losses[1]: got float32 [3], expected fl"),
        (put(losses=[torch.zeros(4), 0.5]), "losses[1]: got float, expected float32 [4]"),
        (put(losses=[torch.zeros(4).double()] * 2), "losses[0]: got float64 [4], expected floa"),
        (put(training_seconds="1"), "training_seconds: got str, expected float"),
        (put(predictions=[1]), "predictions: got list, expected Tensor or NoneType"),
        (
            put(predictions=torch.zeros(40, 5, 11)),
            "predictions: got float32 [40, 5, 11], expected uint8 [40, 5, 11]",
        ),
        (put(predictions=torch.zeros(39, 5, 11).byte()), "predictions: got uint8 [39, 5, 11], exp"),
        (put(predictions=None), "got one of predictions and evaluation_seconds, expected both"),
        (put(evaluation_seconds=None), "got one of predictions and evaluation_seconds, expected"),
        (put(note=None), "note: got NoneType, expected str"),
        (put(more=1), "got 'more', expected schema, model, settings, "),
        *[(operator.methodcaller("pop", name), f"got no {name}, expected one") for name in ENTRIES],
    ],
)
def test_a_wrong_entry_is_named(change, complaint, small, copy) -> None:
    path = checkpoint_path(copy, "pooled_mlp")
    content = torch.load(path, weights_only=True)
    change(content)
    path.write_bytes(pack_tensors(content))
    line = refused(small, copy)
    assert complaint in line
    assert str(path) in line


KINDS: tuple[Any, ...] = (
    *(None, "a\nb", [], {}, 7, 0.5, True, float("nan"), torch.zeros(3), torch.zeros(0)),
    *(torch.zeros(2, 3, 4, dtype=torch.uint8), {1: 2}, [True], [torch.zeros(2), True], [[]]),
    *([torch.zeros(())], [torch.zeros(0)], {"activation": "tanh", "grid": {"dx": [0, 10**30]}}),
)


def holding_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_of_any_kind_is_refused_in_a_line_or_used(name, small, finished, tmp_path) -> None:
    """By a reader of a single checkpoint, such as the command grid."""
    content = torch.load(checkpoint_path(finished, "mlp"), weights_only=True)
    path = tmp_path / "mlp.pt"
    deep: Any = 1
    for _ in range(3000):
        deep = [deep]
    for kind in (*KINDS, holding_itself(), {"activation": "tanh", "x": holding_itself()}, deep):
        try:
            path.write_bytes(pack_tensors({**content, name: kind}))
        except RecursionError:  # raised by pickle
            continue
        with contextlib.suppress(StorageError):
            read_checkpoint(path).divergence()
        options = ("--index", 0, "--data", small, "--out", tmp_path / "a.png")
        status, _, errors = run("grid", "--checkpoint", path, *options)
        assert (status, errors.count("\n")) in ((0, 0), (2, 1)), (kind, errors)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (put(losses=[torch.zeros(4), True]), "losses[1]: got bool, expected float32 [N]"),
        (put(losses=[torch.zeros(0)]), "losses[0]: got float32 [0], expected float32 [N]"),
        (put(losses=[torch.zeros(4).double()]), "losses[0]: got float64 [4], expected float32 [N]"),
        (
            put(predictions=torch.zeros(2, 5, 11)),
            "predictions: got float32 [2, 5, 11], expected ui",
        ),
        (put(predictions=None), "got one of predictions and evaluation_seconds, expected both or"),
        (put(settings={"activation": holding_itself()}), "settings: got values that JSON cannot"),
    ],
)
def test_a_single_checkpoint_is_checked_as_closely(change, complaint, finished, tmp_path) -> None:
    content = torch.load(checkpoint_path(finished, "mlp"), weights_only=True)
    change(content)
    path = tmp_path / "mlp.pt"
    path.write_bytes(pack_tensors(content))
    with pytest.raises(StorageError) as raised:
        read_checkpoint(path)
    assert str(raised.value).startswith(f"{path}: {complaint}")


def test_another_type_is_refused(small, copy) -> None:
    checkpoint_path(copy, "pooled_mlp").write_bytes(pack_tensors([1]))
    assert "pooled_mlp.pt: got list, expected a dict; delete it" in refused(small, copy)


def test_a_models_file_under_anothers_name_is_refused(small, copy) -> None:
    shutil.copy(checkpoint_path(copy, "mlp"), checkpoint_path(copy, "lenet5"))
    assert "lenet5.pt: model: got 'mlp', expected 'lenet5'; delete" in refused(small, copy)
