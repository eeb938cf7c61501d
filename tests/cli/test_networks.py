"""What ``--model`` and ``--model-args`` accept: code, packages, archives, ONNX."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from command_line import pickled, run
from torch import Tensor, nn

import lenetshift
from lenetshift.checks.errors import UsageError
from lenetshift.cli.networks.load import Network, load_network
from lenetshift.cli.networks.names import ModelName, model_name

CODE = """
from torch import nn


class Net(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.width, self.conv = width, nn.Conv2d(1, width, 28)

    def forward(self, x):
        return self.conv(x).flatten(1)

    @classmethod
    def of_width(cls, width):
        return cls(width)


ready = Net()
"""


class Net(nn.Module):
    """What the stand-ins make."""

    def __init__(self, depth: int = 1) -> None:
        super().__init__()
        self.depth, self.layers = depth, nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with code in it; what the tests import is forgotten."""
    monkeypatch.chdir(tmp_path)
    before, paths = set(sys.modules), list(sys.path)
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "__init__.py").write_text("")
    (tmp_path / "nets" / "small.py").write_text(CODE)
    (tmp_path / "net.py").write_text(CODE)
    yield tmp_path
    sys.path[:] = paths
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("nets", "model_of_net"):
            del sys.modules[name]


def load(text: str, arguments: dict[str, Any] | None = None) -> Network:
    name = model_name(text)
    assert name is not None
    return load_network(name, arguments)


def refused(text: str, arguments: dict[str, Any] | None = None) -> str:
    with pytest.raises(UsageError, match=r"^argument --model(-args)?: [^\n]+$") as error:
        load(text, arguments)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("net.py:Net", ModelName("code", "net.py", "Net")),
        ("a:b/net.py:Net.make", ModelName("code", "a:b/net.py", "Net.make")),
        ("nets.small:Net", ModelName("code", "nets.small", "Net")),
        ("timm:resnet18.a1_in1k", ModelName("timm", "timm", "resnet18.a1_in1k")),
        ("torchvision:resnet18", ModelName("torchvision", "torchvision", "resnet18")),
        ("onnx:net", ModelName("onnx", "net")),
        ("net.onnx", ModelName("onnx", "net.onnx")),
        ("a/net.PT", ModelName("torchscript", "a/net.PT")),
        ("net.ts", ModelName("torchscript", "net.ts")),
        ("net.pt2", ModelName("exported", "net.pt2")),
        *((text, None) for text in ("net.py", ":Net", "net.py:", "timm:", "onnx:", "net.py:a b")),
    ],
)
def test_names(text: str, expected: ModelName | None) -> None:
    assert model_name(text) == expected
    if expected is not None and text != "onnx:net":
        assert str(expected) == text


class TestCode:
    @pytest.mark.parametrize("place", ["net.py", "nets/small.py", "nets.small"])
    def test_in_files_and_modules(self, place: str) -> None:
        assert load(f"{place}:Net").module.width == 3
        assert load(f"{place}:Net", {"width": 5}).module.width == 5
        assert load(f"{place}:Net.of_width", {"width": 6}).module.width == 6
        assert load(f"{place}:ready").title == "ready"

    @pytest.mark.parametrize(
        ("text", "arguments", "said"),
        [
            ("gone.small:Net", None, "gone.small: cannot be imported: ModuleNotFoundError: No mod"),
            ("nets.small:Nett", None, "nets.small: has no Nett, only Net"),
            ("nets.small:Net.gone", None, "nets.small:Net.gone: AttributeError: type object 'Net'"),
            ("net.py:Net", {"depth": 2}, 'net.py:Net: cannot be made with {"depth": 2}: TypeError'),
            ("net.py:Net.of_width", None, "net.py:Net.of_width: cannot be made without arguments"),
            ("net.py:ready", {}, "--model-args: not with net.py:ready, which is a module itself"),
        ],
    )
    def test_that_does_not_fit(self, text: str, arguments: Any, said: str) -> None:
        assert said in refused(text, arguments)


@pytest.fixture
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """timm or torchvision, in name only; the calls that made a network."""
    calls: list[Any] = []

    def make(name: str, **arguments: Any) -> object:
        calls.append((name, dict(arguments)))
        for option in ("pretrained", "weights", "weights_backbone"):
            arguments.pop(option, None)
        return "no module" if name == "text" else Net(**arguments)

    names = ["resnet18", "resnet34", "text"]
    timm = ModuleType("timm")
    timm.__dict__.update(
        create_model=make,
        is_model=lambda name: name.split(".")[0] in names,
        list_models=lambda: names,
    )
    models = ModuleType("torchvision.models")

    def builder(name: str) -> Any:
        def with_backbone(*, weights: Any = 1, weights_backbone: Any = 1, **more: Any) -> object:
            return make(name, weights=weights, weights_backbone=weights_backbone, **more)

        def without(*, weights: Any = 1, **more: Any) -> object:
            return make(name, weights=weights, **more)

        return with_backbone if name == "resnet34" else without

    models.__dict__.update(list_models=lambda: names, get_model_builder=builder)
    torchvision = ModuleType("torchvision")
    torchvision.__dict__.update(models=models)
    for module in (timm, torchvision, models):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


class TestLibraries:
    def test_without_their_weights(self, library: list[Any]) -> None:
        assert load("timm:resnet18.a1_in1k", {"depth": 20}).module.depth == 20
        assert load("torchvision:resnet18").title == "resnet18"
        load("torchvision:resnet34", {"weights": None, "depth": 2})
        load("timm:resnet18", {"pretrained": False})
        assert library == [
            ("resnet18.a1_in1k", {"pretrained": False, "depth": 20}),
            ("resnet18", {"weights": None}),
            ("resnet34", {"weights": None, "weights_backbone": None, "depth": 2}),
            ("resnet18", {"pretrained": False}),
        ]

    @pytest.mark.usefixtures("library")
    @pytest.mark.parametrize(
        ("text", "arguments", "said"),
        [
            ("timm:resnet17", None, "--model: timm has no resnet17 (similar: resnet18, resnet34)"),
            ("timm:hf-hub:a/b", None, "--model: timm has no hf-hub:a/b"),
            ("torchvision:vgg", None, "--model: torchvision has no vgg"),
            (
                "timm:resnet18",
                {"pretrained": True},
                "--model-args: got pretrained, but no weights ",
            ),
            (
                "torchvision:resnet18",
                {"weights": "DEFAULT"},
                "-args: got weights, but no weights are",
            ),
            (
                "timm:resnet18",
                {"width": 1},
                'resnet18: cannot be made with {"width": 1}: TypeError',
            ),
            ("torchvision:text", None, "torchvision:text: made str, expected a torch.nn.Module"),
        ],
    )
    def test_what_they_refuse(self, text: str, arguments: Any, said: str) -> None:
        assert said in refused(text, arguments)

    @pytest.mark.parametrize("name", ["timm", "torchvision"])
    def test_that_are_missing(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, name, None)
        said = refused(f"{name}:resnet18")
        assert said == f"argument --model: {name} is not installed: `pip install {name}`"

    @pytest.mark.usefixtures("library")
    def test_in_a_command(self, small: Path) -> None:
        options = ("--model", "timm:resnet18", "--model-args", '{"depth": 4}', "--data", small)
        status, text, errors = run("evaluate", *options, "--no-intervals", "--json")
        assert status == 0, errors
        assert json.loads(text)["model"] == "timm:resnet18"
        assert errors == "note: timm:resnet18 has random weights: --weights gives others\n"

    def test_the_real_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def download(*_: Any, **__: Any) -> None:
            raise AssertionError("a download")

        monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
        pytest.importorskip("torchvision")
        module = load("torchvision:squeezenet1_1", {"num_classes": 7}).module.eval()
        assert module(torch.zeros(1, 3, 64, 64)).shape == (1, 7)
        monkeypatch.setattr(
            "torchvision._internally_replaced_utils.load_state_dict_from_url", download
        )
        load("torchvision:lraspp_mobilenet_v3_large")
        pytest.importorskip("timm")
        module = load("timm:test_resnet.r160_in1k", {"num_classes": 7}).module.eval()
        assert module(torch.zeros(1, 3, 64, 64)).shape == (1, 7)
        assert "similar: resnet" in refused("timm:resnet1")


class TestArchives:
    def test_of_torchscript(self, folder: Path, small: Path) -> None:
        net = Net().eval()
        torch.jit.save(torch.jit.script(net), folder / "net.pt")
        status, text, errors = run(
            "evaluate", "--model", "net.pt", "--data", small, "--json", "--no-intervals"
        )
        assert status == 0, errors
        test = lenetshift.load_mnist(small)[1]
        expected = lenetshift.evaluate_shifts(net, test).accuracy_map().tolist()
        assert json.loads(text)["accuracy_map"] == expected
        assert json.loads(text)["model"] == "net.pt"

    @pytest.mark.parametrize("fixed", [False, True])
    def test_of_torch_export(self, fixed: bool, folder: Path, small: Path) -> None:
        net, images = Net().eval(), torch.zeros(5, 1, 28, 28)
        sizes = None if fixed else ({0: torch.export.Dim("N")},)
        program = torch.export.export(net, (images,), dynamic_shapes=sizes)
        torch.export.save(program, folder / "net.pt2")
        network = load("net.pt2")
        assert network.batch_size == (5 if fixed else None)
        options = ("--model", "net.pt2", "--data", small, "--json", "--no-intervals")
        status, text, errors = run("evaluate", *options)
        assert status == 0, errors
        test = lenetshift.load_mnist(small)[1]
        expected = lenetshift.evaluate_shifts(net, test).accuracy_map().tolist()
        assert json.loads(text)["accuracy_map"] == expected
        if fixed:
            status, _, errors = run("evaluate", *options, "--batch-size", 4)
            assert status == 2
            assert "--batch-size: got 4, expected 5, the only one that net.pt2 takes" in errors

    def test_that_are_none(self, folder: Path) -> None:
        executed = folder / "executed"
        pickled(folder / "code.pt", executed)
        torch.save(Net().state_dict(), folder / "weights.pt")
        torch.save(Net(), folder / "whole.pth")
        (folder / "text.pt").write_text("text")
        (folder / "text.pt2").write_text("text")
        for name in ("code.pt", "weights.pt", "whole.pth"):
            assert f"{name}: got what torch.save writes (weights are for --weights" in refused(name)
        assert "text.pt: got something else, expected a TorchScript archive" in refused("text.pt")
        assert "text.pt2: not an archive of torch.export: " in refused("text.pt2")
        assert "gone.pt: cannot be read: No such file" in refused("gone.pt")
        assert "-args: not with weights.pt, which holds a fini" in refused("weights.pt", {"a": 1})
        assert not executed.exists()


class Session:
    """onnxruntime's session, in name only, for a network that takes batches of one size."""

    batch: int | str = "N"
    outputs = ("y",)
    shape: tuple[Any, ...] = (1, 28, 28)
    dtype = "tensor(float)"

    def __init__(self, path: str, settings: Any, providers: list[str]) -> None:
        if Path(path).read_text() != "onnx":
            raise RuntimeError("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF")
        assert (providers, settings.intra_op_num_threads) == (
            ["CPUExecutionProvider"],
            torch.get_num_threads(),
        )
        torch.manual_seed(0)
        self.net = Net().eval()

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="x", type=self.dtype, shape=[self.batch, *self.shape])]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name=name) for name in self.outputs]

    def run(self, names: list[str], inputs: dict[str, Any]) -> list[Any]:
        images = inputs["x"]
        assert self.batch in ("N", len(images))
        assert names == ["logits" if "logits" in self.outputs else "y"]
        with torch.no_grad():
            return [self.net(torch.from_numpy(images)).numpy()]


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch, folder: Path) -> type[Session]:
    class OwnSession(Session):
        pass

    module = ModuleType("onnxruntime")
    module.__dict__.update(InferenceSession=OwnSession, SessionOptions=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    (folder / "net.onnx").write_text("onnx")
    return OwnSession


class TestOnnx:
    @pytest.mark.parametrize("batch", ["N", 6])
    @pytest.mark.parametrize("outputs", [("y",), ("hidden", "logits")])
    def test_goes_the_plain_way(
        self, runtime: type[Session], batch: Any, outputs: tuple[str, ...], small: Path
    ) -> None:
        runtime.batch, runtime.outputs = batch, outputs
        options = ("--model", "onnx:net.onnx", "--data", small, "--json", "--no-intervals")
        status, text, errors = run("evaluate", *options)
        assert (status, errors) == (0, "")
        value = json.loads(text)
        torch.manual_seed(0)
        expected = lenetshift.evaluate_shifts(Net(), lenetshift.load_mnist(small)[1])
        assert value["accuracy_map"] == expected.accuracy_map().tolist()
        assert (value["model"], value["method"]) == ("net.onnx", "plain")

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"outputs": ("a", "b")}, "has the outputs a, b, expected one, or one named logits"),
            (
                {"shape": (784,)},
                "takes tensor(float) [N, 784], expected floating-point [N, C, H, W]",
            ),
            ({"dtype": "tensor(int64)"}, "takes tensor(int64) [N, 1, 28, 28], expected floating"),
        ],
    )
    def test_of_another_form(
        self, runtime: type[Session], changes: dict[str, Any], said: str
    ) -> None:
        for name, value in changes.items():
            setattr(runtime, name, value)
        assert said in refused("net.onnx")

    def test_no_worker_can_have_its_session(self, runtime: type[Session], small: Path) -> None:
        options = ("--model", "net.onnx", "--data", small, "--scheduler", "tcp://127.0.0.1:1")
        status, text, errors = run("evaluate", *options)
        assert (status, text) == (2, "")
        assert errors == (
            "lenetshift evaluate: error: argument --scheduler: net.onnx runs in this process alone: "
            "it cannot be sent to workers\n"
        )

    def test_its_answers_are_kept_by_its_file(
        self, runtime: type[Session], folder: Path, small: Path
    ) -> None:
        runtime.number = (n for n in range(3))  # as unreadable as the real one
        options = ("--model", "net.onnx", "--data", small, "--no-intervals", "--answers", "kept")
        assert run("evaluate", *options)[0] == 0
        assert run("evaluate", *options, "--resume")[0] == 0

    def test_what_is_refused(
        self, runtime: type[Session], folder: Path, monkeypatch: pytest.MonkeyPatch, small: Path
    ) -> None:
        (folder / "text.onnx").write_text("text")
        assert "text.onnx: not an ONNX file: RuntimeError: [ONNX" in refused("text.onnx")
        assert "gone.onnx: cannot be read: No such file" in refused("onnx:gone.onnx")
        options = ("--model", "net.onnx", "--data", small, "--weights", "net.pt")
        _, _, errors = run("evaluate", *options)
        assert "--weights: not with an ONNX file, which has its own" in errors
        monkeypatch.setattr("lenetshift.cli.machine.pick_device", torch.device)
        _, _, errors = run("evaluate", *options[:-2], "--device", "cuda")
        assert "--device: got cuda, but an ONNX file is run on the CPU" in errors
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        assert "onnxruntime is not installed: `pip install onnxruntime`" in refused("net.onnx")

    @pytest.mark.parametrize("fixed", [False, True])
    def test_the_real_one(self, fixed: bool, folder: Path) -> None:
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnx")
        net, images = Net().eval(), torch.rand(3, 1, 28, 28)
        axes = None if fixed else {"x": {0: "N"}}
        torch.onnx.export(
            net, (images,), folder / "real.onnx", dynamo=False, input_names=["x"], dynamic_axes=axes
        )
        network = load("real.onnx")
        assert network.batch_size == (3 if fixed else None)
        torch.testing.assert_close(network.module(images), net(images))


@pytest.mark.parametrize("text", ["{", "3", "[1]", "depth=3", "[" * 9999])
def test_arguments_that_are_no_object(text: str, small: Path) -> None:
    options = ("--model", "net.py:Net", "--data", small, "--model-args", text)
    status, _, errors = run("evaluate", *options)
    assert status == 2
    assert f"--model-args: got {text!r}, expected a JSON object such as" in errors


def test_arguments_of_a_checkpoint(small: Path) -> None:
    options = ("--checkpoint", "a.pt", "--data", small, "--model-args", "{}")
    _, _, errors = run("evaluate", *options)
    assert "--model-args: not with --checkpoint, which has no arguments" in errors
