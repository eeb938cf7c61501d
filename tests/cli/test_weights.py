"""What ``--weights`` and ``--weights-key`` accept: checkpoints as training scripts write them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import Code, run
from safetensors.torch import save_file
from torch import Tensor, nn

from lenetshift.checks.errors import UsageError
from lenetshift.cli.networks.fitting import load_weights


class Net(nn.Module):
    """Its decoder has the weight of its encoder."""

    def __init__(self, n_classes: int = 5) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 3, bias=False)
        self.norm = nn.BatchNorm1d(3)
        self.model = nn.Linear(3, n_classes)
        self.decoder = nn.Linear(4, 3, bias=False)
        self.decoder.weight = self.encoder.weight


def made(seed: int) -> Net:
    torch.manual_seed(seed)
    return Net()


STATE = made(1).state_dict()
OTHER = made(2).state_dict()


def prefixed(prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in STATE.items()}


def loaded(path: Path, key: str | None = None) -> str:
    """Load a file into a network, and return the prefix that was stripped."""
    net = made(3)
    prefix = load_weights(net, path, key)
    assert net.decoder.weight is net.encoder.weight
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, STATE[name]), name
    return prefix


def refused(path: Path, key: str | None = None) -> str:
    with pytest.raises(UsageError, match=r"^argument --weights(-key)?: [^\n]+$") as error:
        load_weights(made(3), path, key)
    return str(error.value)


def saved(path: Path, value: Any) -> Path:
    torch.save(value, path / "net.pt")
    return path / "net.pt"


@pytest.mark.parametrize(
    "value",
    [
        STATE,
        {**STATE, "custom._extra_state": {"step": 3}},
        *({key: STATE} for key in ("state_dict", "model_state_dict", "model", "net", "weights")),
        {"model": {"state_dict": STATE}, "epoch": 3},
        {"state_dict": STATE, "state_dict_ema": OTHER, "optimizer": {"state": {}, "lr": 0.1}},
        {"model": STATE, "model_ema": OTHER, "args": argparse.Namespace(lr=0.1, name="net")},
    ],
)
def test_places_in_a_file(value: dict[str, Any], tmp_path: Path) -> None:
    if "custom._extra_state" in value:
        assert "does not fit the model: unexpected custom._extra_state" in refused(
            saved(tmp_path, value)
        )
    else:
        assert loaded(saved(tmp_path, value)) == ""


def test_a_real_optimizer_and_scheduler(tmp_path: Path) -> None:
    net = made(1)
    optimizer = torch.optim.Adam(net.parameters())
    net.model(net.norm(net.encoder(torch.ones(2, 4)))).sum().backward()
    before = {name: tensor.clone() for name, tensor in STATE.items()}
    value = {"net": before, "optimizer": optimizer.state_dict(), "best": 0.9, "history": [1, 2]}
    assert loaded(saved(tmp_path, value)) == ""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_ema", {"model": OTHER, "model_ema": STATE}),
        ("ema.module", {"model": OTHER, "ema": {"module": STATE, "decay": 0.9}}),
        ("a.b", {"a.b": STATE, "a": {"b": OTHER}}),
        ("ema", {"ema": {"state_dict": STATE}}),
        ("model", {"model": STATE, "net": OTHER}),
    ],
)
def test_a_key(key: str, value: Any, tmp_path: Path) -> None:
    assert loaded(saved(tmp_path, value), key) == ""


@pytest.mark.parametrize(
    "prefix",
    [
        "module.", "model.", "net.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.",
        "model._orig_mod.", "model.net.",
    ],
)  # fmt: skip
@pytest.mark.parametrize("as_safetensors", [False, True])
def test_prefixes(prefix: str, as_safetensors: bool, tmp_path: Path) -> None:
    """Also ``model.`` where the network has a part of that name."""
    state = prefixed(prefix)
    path = saved(tmp_path, {"state_dict": state})
    if as_safetensors:
        path = tmp_path / "net.safetensors"
        save_file({name: tensor.clone() for name, tensor in state.items()}, path)
    assert loaded(path) == prefix


def test_a_prefix_of_some_names(tmp_path: Path) -> None:
    value = {**prefixed("model."), "loss.weight": torch.ones(5)}
    said = refused(saved(tmp_path, value))
    assert said.endswith("does not fit the model: unexpected loss.weight")


@pytest.mark.parametrize("given", ["encoder.weight", "decoder.weight"])
def test_tied_weights_are_there_once(given: str, tmp_path: Path) -> None:
    tied = {"encoder.weight", "decoder.weight"}
    state = {name: tensor for name, tensor in STATE.items() if name not in tied - {given}}
    path = tmp_path / "net.safetensors"
    save_file(state, path)
    assert loaded(path) == ""
    assert loaded(saved(tmp_path, state)) == ""
    save_file({name: tensor for name, tensor in state.items() if name != given}, path)
    assert refused(path).endswith("does not fit the model: missing encoder.weight, decoder.weight")


def without(*names: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in STATE.items() if name not in names}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            Net(7).state_dict(),
            "model.weight: [7, 3], expected [5, 3]; model.bias: [7], expected [5]",
        ),
        (without("norm.bias"), "does not fit the model: missing norm.bias"),
        (
            {f"a{i}": torch.ones(1) for i in range(5)},
            "does not fit the model: missing encoder.weight, norm.weight, norm.bias and 5 more; "
            "unexpected a0, a1, a2 and 2 more",
        ),
    ],
)
def test_mismatches(value: Any, said: str, tmp_path: Path) -> None:
    assert refused(saved(tmp_path, value)).endswith(said)


def test_of_before_batches_were_counted(tmp_path: Path) -> None:
    """As PyTorch itself takes them."""
    path = saved(tmp_path, dict(without("norm.num_batches_tracked")))
    assert loaded(path) == ""


@pytest.mark.parametrize(
    ("value", "key", "said"),
    [
        (
            {"model": STATE, "net": STATE},
            None,
            "got state dicts under model, net, expected one; --weights-key takes model or net",
        ),
        (
            {"ema": STATE, "epoch": 3},
            None,
            "got dict with ema, epoch, expected a state dict: name -> tensor; --weights-key takes ema",
        ),
        ({"epoch": 3}, None, "got dict with epoch, expected a state dict: name -> tensor"),
        ({}, None, "got dict without keys, expected a state dict: name -> tensor"),
        ({3: torch.ones(1)}, None, "got dict with 3, expected a state dict: name -> tensor"),
        ([STATE], None, "got list, expected a state dict: name -> tensor"),
        ({"model": STATE}, "ema", "--weights-key: got ema, expected one of model"),
        ({"model": STATE}, "model.ema", "--weights-key: got model.ema, expected one of model"),
        ({"epoch": 3}, "ema", "--weights-key: got ema, expected none: there is no state dict"),
        ([STATE], "ema", "--weights-key: got ema, expected none: there is no state dict"),
        ({"ema": 3}, "ema", "net.pt: ema: got int, expected a state dict: name -> tensor"),
    ],
)
def test_files_without_weights(value: Any, key: str | None, said: str, tmp_path: Path) -> None:
    assert refused(saved(tmp_path, value), key).endswith(said)


def test_a_class_in_the_way(tmp_path: Path) -> None:
    """Named, and not run."""
    executed = tmp_path / "executed"
    said = refused(saved(tmp_path, {"model": STATE, "path": Code(executed)}))
    assert "refuses because of " in said
    assert "pathlib" in said
    assert "if you trust the file, read it with weights_only=False" in said
    assert not executed.exists()
    said = refused(saved(tmp_path, {"model": STATE, "best": np.float64(0.5)}))
    assert "multiarray.scalar" in said


def test_a_key_and_safetensors(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors")
    assert "--weights-key: not with safetensors" in refused(tmp_path / "a.safetensors", "model")


CODE = """
from torch import nn
Net = lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
"""


def test_in_a_command(tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(CODE)
    state = {"module.1.weight": torch.ones(10, 784), "module.1.bias": torch.ones(10)}
    torch.save({"model": {}, "ema": state}, "net.pt")
    options = ("evaluate", "--model", "net.py:Net", "--data", small, "--no-intervals")
    status, _, errors = run(*options, "--weights", "net.pt", "--weights-key", "ema")
    assert (status, errors) == (
        0,
        "note: net.pt: the names are taken without their prefix 'module.'\n",
    )
    status, _, errors = run(*options, "--weights-key", "ema")
    assert status == 2
    assert "--weights-key: got no --weights, whose file it is about" in errors
