"""``lenetshift evaluate``: networks of one's own, and files that hold none."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import pickled, python, run, write_checkpoint
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import lenetshift
from lenetshift.metrics import saved
from lenetshift.metrics.registry import METRICS
from lenetshift.predict.shared.runtimes import RUNTIMES, Runtime

NET = """
import sys

import torch
from torch import nn

import sibling


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        print("made")
        self.conv = nn.Conv2d(1, 3, 5)
        self.dense = nn.Linear(sibling.N, 10)

    def forward(self, x):
        return self.dense(torch.relu(self.conv(x)).amax((2, 3)))


class Wide(Net):
    def __init__(self, width):
        super().__init__()


class Quits(Net):
    def forward(self, x):
        sys.exit("enough")


class Raises(Net):
    def forward(self, x):
        raise RuntimeError("no\\nluck")


class Pair(Net):
    def forward(self, x):
        return super().forward(x), x


class Loud(Net):
    def forward(self, x):
        print("asked")
        return super().forward(x)


class NaN(Net):
    def forward(self, x):
        return super().forward(x) * float("nan")


class Two(Net):
    def forward(self, x):
        return super().forward(x)[:, :2]


class Once(Net):
    n_images = 0

    def forward(self, x):
        Once.n_images += len(x)
        assert Once.n_images < 4000
        return super().forward(x)


class Deep(Net):
    def forward(self, x):
        return self.forward(x)


def make():
    return Net().eval()


def number():
    return 1


def quits():
    sys.exit(3)


def needs(what):
    return what


ready, letters = Net(), "Net"
"""


class Net(nn.Module):
    """The same network, for the expected values."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 5)
        self.dense = nn.Linear(3, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.dense(torch.relu(self.conv(x)).amax((2, 3)))
        return logits


@pytest.fixture(autouse=True)
def paths() -> Iterator[None]:
    """Removes a model's folder from sys.path after its test."""
    before = list(sys.path)
    yield
    sys.path[:] = before
    sys.modules.pop("sibling", None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a model and its weights."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "sibling.py").write_text("N = 3\n")
    torch.manual_seed(5)
    weights = Net().state_dict()
    torch.save(weights, tmp_path / "net.pt")
    torch.save({"epoch": 3, "state_dict": weights}, tmp_path / "within.pt")
    save_file(weights, tmp_path / "net.safetensors")
    return tmp_path


def network(folder: Path) -> Net:
    net = Net()
    net.load_state_dict(torch.load(folder / "net.pt", weights_only=True))
    return net


def evaluated(small: Path, *options: object) -> dict[str, Any]:
    status, text, errors = run("evaluate", "--data", small, *options, "--json")
    assert status == 0, errors
    value: dict[str, Any] = json.loads(text)
    return value


def check_same(value: dict[str, Any], expected: lenetshift.Evaluation) -> None:
    """The command's values are those of ``evaluate_shifts``, and it names the network."""
    assert value["name"] == value["model"].rpartition(":")[2]
    for name, item in expected.to_dict().items():
        if name not in ("seconds", "name"):
            assert value[name] == item, name


@pytest.mark.parametrize("weights", ["net.pt", "within.pt", "net.safetensors"])
def test_a_network_of_one_s_own(weights, folder, small) -> None:
    value = evaluated(small, "--model", "net.py:Net", "--weights", weights)
    expected = lenetshift.evaluate_shifts(network(folder), lenetshift.load_mnist(small)[1])
    check_same(value, expected)
    assert (value["model"], value["weights"]) == ("net.py:Net", weights)
    assert value["level"] == 0.95
    assert list(value["intervals"]) == list(METRICS)
    for name, interval in value["intervals"].items():
        if name == "score_change":
            assert interval is None
        elif value["metrics"][name] is not None:
            assert interval == list(expected.interval(name)), name


def test_every_option_is_that_of_evaluate_shifts(folder, small) -> None:
    net, test = network(folder), lenetshift.load_mnist(small)[1]
    own = ("--model", "net.py:make", "--weights", "net.pt", "--no-intervals")
    options = ("--dx", -6, 6, 3, "--dy", 0, 1, "--fill", "circular", "--images", 20, "--scores")
    options += ("--mean", 0.13, "--std", 0.31, "--method", "plain", "--batch-size", 7)
    value = evaluated(small, *own, *options)
    how = {"fill": "circular", "method": "plain", "batch_size": 7, "return_logits": True}
    how |= {"transform": lenetshift.Normalize(0.13, 0.31)}
    grid = lenetshift.ShiftGrid(range(-6, 7, 3), range(2))
    check_same(value, lenetshift.evaluate_shifts(net, test.subset(20), grid=grid, **how))
    assert value["metrics"]["score_change"] > 0
    darker = evaluated(small, *own, "--mean", "-1.3e-1", "--std", "31e-2", "--fill", "5e-1")
    normalize = lenetshift.Normalize(-0.13, 0.31)
    expected = lenetshift.evaluate_shifts(net, test, fill=0.5, transform=normalize)
    assert darker["accuracy_map"] == expected.accuracy_map().tolist()
    assert not any(value["intervals"].values())
    options = ("--crop", 20, 22, "--dx", -2, 2, "--dy", -3, 4, "--fill", 12.5)
    value = evaluated(small, *own, *options, "--method", "shared")
    how = {"crop": (20, 22), "fill": 12.5, "method": "shared"}
    grid = lenetshift.ShiftGrid(range(-2, 3), range(-3, 5))
    check_same(value, lenetshift.evaluate_shifts(net, test, grid=grid, **how))


def test_executor_and_tuning(folder, small, monkeypatch) -> None:
    def by_pytorch(program: Any, example: Tensor) -> Any:
        return program.module()

    monkeypatch.setitem(RUNTIMES, "openvino", Runtime("Stand-in", (), by_pytorch))
    own = ("--model", "net.py:make", "--no-intervals", "--images", 2)
    value = evaluated(small, *own, "--executor", "openvino")
    assert value["reason"] == "rewritten: as requested; run by Stand-in"
    value = evaluated(small, *own, "--method", "rewritten", "--tune")
    assert value["reason"].startswith("rewritten: fastest of two as timed: ")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NaN", "warning: model: got NaN or infinity for 2200 of the 2200 patterns, expected"),
        ("Two", "warning: labels: got the values 2, 3, 4, 5, 6 and 2 more, expected 0..1: the "),
        ("Net", ""),
    ],
)
@pytest.mark.usefixtures("folder")
def test_warnings_about_meaningless_results(name, said, small) -> None:
    options = ("--model", f"net.py:{name}", "--weights", "net.pt", "--data", small)
    status, text, errors = run("evaluate", *options, "--no-intervals")
    assert status == 0, errors
    assert "moved accuracy" in text
    warnings = [line for line in errors.splitlines() if line.startswith(("note:", "warning:"))]
    assert [line[: len(said)] for line in warnings] == ([said] if said else [])


@pytest.mark.usefixtures("folder")
def test_the_network_is_not_run_again_after_the_evaluation(small) -> None:
    """A network that fails in its second evaluation loses nothing."""
    options = ("--model", "net.py:Once", "--weights", "net.pt", "--data", small)
    how = ("--no-intervals", "--method", "plain", "--json", "a.json", "--plot", "a.png")
    status, text, errors = run("evaluate", *options, *how)
    assert status == 0, errors
    assert "moved accuracy" in text
    assert json.loads(Path("a.json").read_text())["metrics"]["moved_accuracy"] > 0
    assert Path("a.png").exists()


OWN = ("--model", "net.py:Net", "--weights", "net.pt")


@pytest.mark.usefixtures("folder")
def test_an_interval_that_cannot_be_computed(small, monkeypatch) -> None:
    interval = lenetshift.Evaluation.interval

    def fail(self: Any, metric: str, level: float) -> Any:
        if metric == "flip_rate":
            raise MemoryError
        return interval(self, metric, level)

    monkeypatch.setattr(lenetshift.Evaluation, "interval", fail)
    status, text, errors = run("evaluate", *OWN, "--data", small, "--json")
    assert status == 0
    value = json.loads(text)
    assert value["intervals"]["flip_rate"] is None
    assert value["intervals"]["moved_accuracy"] is not None
    assert "note: no interval of flip_rate: MemoryError" in errors.splitlines()


@pytest.mark.usefixtures("folder")
def test_ctrl_c_during_the_intervals(small, monkeypatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lenetshift.Evaluation, "interval", interrupted)
    status, text, errors = run("evaluate", *OWN, "--data", small, "--json", "a.json")
    assert status == 130
    assert "moved accuracy" in text
    assert json.loads(Path("a.json").read_text())["metrics"]["moved_accuracy"] > 0
    assert errors.splitlines()[-1] == "interrupted: without intervals"


def test_a_full_disk_loses_no_text(folder, small) -> None:
    options = (*OWN, "--data", small, "--no-intervals", "--json", "a.json", "--plot", "a.png")

    def fill_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    done = python("-m", "lenetshift", "evaluate", *options, cwd=folder, preexec_fn=fill_disk)
    assert done.returncode == 2
    assert "moved accuracy" in done.stdout
    assert done.stderr.splitlines()[-1] == (
        "python -m lenetshift evaluate: error: cannot write a.json: File too large; "
        "cannot write a.png: File too large"
    )
    assert not list(folder.glob("*a.*"))


def test_in_text_with_another_level_and_a_map(folder, small) -> None:
    options = ("--model", "net.py:Loud", "--weights", "net.pt", "--plot", "map.png")
    options += ("--json", "result.json", "--level", 0.5, "--data", small)
    status, text, errors = run("evaluate", *options)
    assert status == 0, errors
    value = json.loads(Path("result.json").read_text())
    low, high = value["intervals"]["moved_accuracy"]
    expected = lenetshift.evaluate_shifts(network(folder), lenetshift.load_mnist(small)[1])
    assert (low, high) == expected.interval("moved_accuracy", 0.5)
    moved = 100 * value["metrics"]["moved_accuracy"]
    row = f"  {'moved accuracy':30}{moved:6.1f} %  [{100 * low:.1f}, {100 * high:.1f}]"
    assert row in text.splitlines()
    assert text.splitlines()[0] == "Loud"
    heading, given, rows = text.splitlines()[1:3], text.splitlines()[3:5], text.splitlines()[5:]
    expected_lines = str(expected).splitlines()
    assert heading == expected_lines[:2]
    assert heading[0].endswith(", fill 0")
    assert given == [
        f"data: {small} (IDX files), grey 28 x 28",
        "normalization: none, pixels in 0..1",
    ]
    for line, shown in zip(expected_lines[2:], rows, strict=False):
        assert shown.startswith(line.replace("return_logits=True", "--scores"))
    assert "In brackets: 50 % intervals of this one network, over images." in text
    assert text.splitlines()[-3:-1] == ["written: result.json", "written: map.png"]
    # What the network's code prints is not part of the output.
    assert "made" in errors.splitlines()
    assert "asked" in errors.splitlines()
    with Image.open("map.png") as png:
        assert png.text["Title"] == "Accuracy at every shift"


def test_answers_too_large_for_json_are_left_out(folder, small, monkeypatch) -> None:
    monkeypatch.setattr(saved, "MOST_ARRAY_BYTES", 1 << 20)
    options = ("--model", "net.py:Loud", "--weights", "net.pt", "--data", small)
    status, text, errors = run("evaluate", *options, "--json", "a.json", "--no-intervals")
    assert status == 0
    assert "a.json: has no answers for `lenetshift compare`: predictions: got " in errors
    assert "moved accuracy" in text
    value = json.loads(Path("a.json").read_text())
    assert "evaluation" not in value
    assert "moved_accuracy" in value["metrics"]


def test_a_ready_module_keeps_its_weights(folder, small) -> None:
    torch.manual_seed(1)
    value = evaluated(small, "--model", "net.py:ready", "--no-intervals")
    torch.manual_seed(1)
    test = lenetshift.load_mnist(small)[1]
    expected = lenetshift.evaluate_shifts(Net(), test)
    assert value["accuracy_map"] == expected.accuracy_map().tolist()


@pytest.mark.parametrize("model", ["lenet5", "mlp", "symmetric_lenet5", "pooled_mlp"])
def test_a_checkpoint(model, tmp_path, small) -> None:
    checkpoint = write_checkpoint(tmp_path, model)
    value = evaluated(small, "--checkpoint", checkpoint, "--no-intervals")
    test = lenetshift.load_mnist(small)[1]
    check_same(value, lenetshift.evaluate_shifts(lenetshift.build_model(model, seed=3), test))
    assert (value["model"], value["method"]) == (model, "fused")


def test_in_a_process_the_json_alone_is_on_standard_output(folder, small) -> None:
    options = ("--model", "net.py:Loud", "--data", small, "--json", "-", "--no-intervals")
    done = python("-m", "lenetshift", "evaluate", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert np.shape(json.loads(done.stdout)["accuracy_map"]) == (5, 11)


def test_a_network_for_colour_learns_that_the_images_are_mnists(folder) -> None:
    code = (
        "from torch import nn\ndef net(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())\n"
    )
    (folder / "colour.py").write_text(code)
    done = python("-m", "lenetshift", "evaluate", "--model", "colour.py:net", cwd=folder)
    assert done.returncode == 2
    start = "--model: net fails on MNIST's images, [1, 28, 28] (others with --data): RuntimeError"
    assert start in done.stderr
    assert done.stderr.count("\n") == 1


OWN_WITH_OPS = """
import lenetshift, torch
assert torch.ops.lenetshift.c3_conv and callable(lenetshift.train)
Net = lenetshift.LeNet5
"""


def test_a_model_may_use_the_package(folder, small) -> None:
    """Including its ops, which a command imports late."""
    (folder / "own.py").write_text(OWN_WITH_OPS)
    options = ("--model", "own.py:Net", "--data", small, "--no-intervals")
    done = python("-m", "lenetshift", "evaluate", *options, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fused: LeNet5 has its own op" in done.stdout


BAD_MODELS = {
    "syntax.py": b"x = 1\ndef f(:\n",
    "null.py": b"x = 1\0\n",
    "latin.py": "x = 'Ä'\n".encode("latin-1"),
    "raises.py": b"raise KeyError('gone')\n",
    "quits.py": b"import sys\nsys.exit(0)\n",
    "imports.py": b"import no_such_package\n",
    "empty.py": b"",
    "nested.py": b"x = " + b"(" * 5000 + b")" * 5000,
    "odd.py": b"def __getattr__(name):\n    raise ZeroDivisionError(name)\n",
}

MODEL = ["--model", "net.py:Net"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ([], "expected --model or --checkpoint"),
        ([*MODEL, "--checkpoint", "x.pt"], "--checkpoint: not allowed with argument --model"),
        (["--model", "net.py"], "--model: got 'net.py', expected a file and a name in it"),
        (["--model", "net.py:"], "--model: got 'net.py:', expected a file and a name in it"),
        (["--model", ":Net"], "--model: got ':Net', expected a file and a name in it"),
        (["--model", "net.py:a b"], "--model: got 'net.py:a b', expected a file and a name"),
        (["--model", "gone.py:Net"], "--model: gone.py: cannot be read: No such file"),
        (["--model", ".:Net"], "--model: .: cannot be read: not a file"),
        (["--model", "/dev/null:Net"], "--model: /dev/null: cannot be read: not a file"),
        (["--model", "net.py:Nett"], "net.py: has no Nett, only Net, Wide, Quits, Raises, Pair"),
        (["--model", "empty.py:Net"], "--model: empty.py: has no Net\n"),
        (["--model", "syntax.py:Net"], "--model: syntax.py: line 2: invalid syntax"),
        (["--model", "null.py:Net"], "--model: null.py: "),
        (["--model", "latin.py:Net"], "--model: latin.py: "),
        (["--model", "nested.py:Net"], "--model: nested.py: "),
        (["--model", "raises.py:Net"], "raises.py: raises on import: KeyError: 'gone'"),
        (["--model", "quits.py:Net"], "quits.py: raises on import: SystemExit: 0"),
        (["--model", "imports.py:Net"], "imports.py: raises on import: ModuleNotFoundError: No mo"),
        (["--model", "odd.py:Net"], "odd.py: raises on import: ZeroDivisionError: Net"),
        (["--model", "net.py:Wide"], "net.py:Wide: cannot be made without arguments: TypeError: "),
        (["--model", "net.py:needs"], "net.py:needs: cannot be made without arguments: TypeError"),
        (["--model", "net.py:quits"], "net.py:quits: cannot be made without arguments: SystemExit"),
        (["--model", "net.py:number"], "net.py:number: made int, expected a torch.nn.Module"),
        (["--model", "net.py:letters"], "net.py:letters: got str, expected a class or a function"),
        (["--model", "net.py:Pair"], "--model: got output tuple for 64 images, expected [64, K]"),
        (["--model", "net.py:Raises"], "--model: Raises fails: RuntimeError: no luck"),
        (["--model", "net.py:Quits"], "--model: Quits fails: SystemExit: enough"),
        (["--model", "net.py:Deep"], "--model: Deep fails: RecursionError: "),
        ([*MODEL, "--weights", "gone.pt"], "--weights: gone.pt: cannot be read: No such file"),
        ([*MODEL, "--weights", "."], "--weights: .: cannot be read: not a file"),
        ([*MODEL, "--weights", "/dev/null"], "--weights: /dev/null: cannot be read: not a file"),
        ([*MODEL, "--weights", "net.py"], "--weights: net.py: got contents that torch.load(..., we"),
        ([*MODEL, "--weights", "cut.pt"], "--weights: cut.pt: got contents that torch.load(..., we"),
        ([*MODEL, "--weights", "code.pt"], "--weights: code.pt: got contents that torch.load(..., "),
        ([*MODEL, "--weights", "code.pkl"], "--weights: code.pkl: got contents that torch.load(..."),
        ([*MODEL, "--weights", "list.pt"], "--weights: list.pt: got list, expected a state dict"),
        ([*MODEL, "--weights", "other.pt"], "other.pt: does not fit the model: missing conv.weight, conv"),
        ([*MODEL, "--weights", "names.pt"], "names.pt: got dict with conv.weight, expected a state dict"),
        ([*MODEL, "--weights", "code.safetensors"], "code.safetensors: not a safetensors file: "),
        ([*MODEL, "--weights", "cut.safetensors"], "cut.safetensors: not a safetensors file: "),
        (["--checkpoint", "code.pt"], "code.pt: got contents that torch.load(..., weights_only=True"),
        (["--checkpoint", "net.pt"], "net.pt: damaged, of another version, or another kind"),
        (["--checkpoint", "checkpoints/mlp.pt", "--weights", "net.pt"], "--weights: not with --chec"),
        ([*MODEL, "--dx", "3", "1"], "--dx: got 3 1, expected the first shift, then the last"),
        ([*MODEL, "--dx", "1"], "--dx: got 1, expected the first shift, then the last"),
        ([*MODEL, "--dy", "0", "4", "0"], "--dy: got 0 4 0, expected the first shift, then the last"),
        ([*MODEL, "--dy", "0", "4", "1", "1"], "--dy: got 0 4 1 1, expected the first shift"),
        ([*MODEL, "--dx", "0", "99999999999"], "--dx, --dy: got dx 0..99999999999, expected it"),
        ([*MODEL, "--dx", "0", "9" * 30], "--dx: got 0..999999999999999999999999999999, expected sh"),
        ([*MODEL, "--dx", "0", "half"], "--dx: invalid int value: 'half'"),
        ([*MODEL, "--fill", "1", "2"], "--fill: got (1.0, 2.0), expected a finite number, or one"),
        ([*MODEL, "--fill", "nan"], "--fill: got 'nan', expected a finite number"),
        ([*MODEL, "--fill", "1", "circular"], "--fill: got circular and a number, expected one"),
        ([*MODEL, "--crop", "0", "5"], "--crop: got (0, 5), expected (height, width) within"),
        ([*MODEL, "--crop", "20", "20"], "--dx, --dy: got dx -5..5, expected it within -4..4"),
        ([*MODEL, "--mean", "0.1"], "--mean: got no --std, expected both or neither"),
        ([*MODEL, "--std", "0.1"], "--std: got no --mean, expected both or neither"),
        ([*MODEL, "--mean", "0", "--std", "0"], "--std: got [0.0], expected a positive, finite num"),
        ([*MODEL, "--mean", "125", "--std", "63"], "--mean: got 125, expected numbers in the units of pix"),
        ([*MODEL, "--mean", "0", "1", "--std", "1"], "--std: got 1, expected 2, one for each"),
        ([*MODEL, "--mean", "0", "0", "--std", "1", "1"], "--mean: got 2 numbers, expected one, or 1"),
        ([*MODEL, "--mean", "inf", "--std", "1"], "--mean: got 'inf', expected a finite number"),
        ([*MODEL, "--method", "quick"], "--method: invalid choice: 'quick'"),
        ([*MODEL, "--method", "fused"], "--method: got 'fused', but only an unchanged float32 LeNet5"),
        ([*MODEL, "--executor", "tensorrt"], "--executor: invalid choice: 'tensorrt'"),
        (
            [*MODEL, "--executor", "openvino", "--method", "plain"],
            "--executor: got 'openvino' with method='plain', expected 'torch', unless the method is",
        ),
        (
            [*MODEL, "--tune", "--method", "shared"],
            "--tune: got True with method='shared', expected False, unless the method is",
        ),
        ([*MODEL, "--batch-size", "0"], "--batch-size: got 0, expected an int in 1..2147483647"),
        ([*MODEL, "--images", "0"], "--images: got 0, expected 1..40"),
        ([*MODEL, "--images", "41"], "--images: got 41, expected 1..40"),
        ([*MODEL, "--level", "1"], "--level: got 1, expected a number between 0 and 1"),
        ([*MODEL, "--level", "95%"], "--level: got '95%', expected a finite number"),
        ([*MODEL, "--threads", "0"], "--threads: got '0', expected a whole number in 1..1024"),
        ([*MODEL, "--plot", "map.jpg"], "--plot: got 'map.jpg', expected a name ending with .png"),
        ([*MODEL, "--plot", "gone/map.png"], "--plot: cannot write to gone: No such file"),
        ([*MODEL, "--json", "net.py/x"], "--json: cannot write to net.py: Not a directory"),
        ([*MODEL, "--plot", "a.png", "--json", "./a.png"], "--plot: a.png: got the file of --json"),
        ([*MODEL, "--json", "pipe"], "--json: pipe: not a file"),
        ([*MODEL, "--data", "gone"], "gone: no such file or folder"),
        ([*MODEL, "--data", "net.py"], "net.py: got a file of another format, expected IDX files, a .npz"),
        ([*MODEL, "--data", "damaged"], "t10k-images-idx3-ubyte: truncated: got 31359 bytes"),
        ([*MODEL, "--weight", "net.pt"], "unrecognized arguments: --weight; did you mean --weights?"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(options, named, folder, small) -> None:
    for name, contents in BAD_MODELS.items():
        (folder / name).write_bytes(contents)
    executed = folder / "executed"
    code = pickled(folder / "code.pt", executed).read_bytes()
    (folder / "code.safetensors").write_bytes(code)
    (folder / "code.pkl").write_bytes(f"cposix\nsystem\n(Vtouch {executed}\ntR.".encode())
    for name in ("net.pt", "net.safetensors"):
        (folder / name.replace("net", "cut")).write_bytes((folder / name).read_bytes()[:200])
    torch.save([1, 2], folder / "list.pt")
    torch.save({"conv.weight": 3}, folder / "names.pt")
    torch.save(lenetshift.LeNet5().state_dict(), folder / "other.pt")
    write_checkpoint(folder, "mlp")
    (folder / "damaged").mkdir()
    for path in small.iterdir():
        cut = -1 if path.name.startswith("t10k-images") else None
        (folder / "damaged" / path.name).write_bytes(path.read_bytes()[:cut])
    os.mkfifo(folder / "pipe")  # not a device, which a fault would replace for the whole machine
    before = set(folder.rglob("*"))
    data = [] if "--data" in options else ["--data", small]
    status, text, errors = run("evaluate", *data, *options)
    errors = errors.replace("made\n", "")  # by the network
    assert (status, text) == (2, "")
    assert errors.startswith("lenetshift evaluate: error: ")
    assert named in errors
    assert "UsageError" not in errors  # of an option, not the network's
    assert errors.count("\n") == 1
    assert len(errors) < 700
    assert not executed.exists()
    left = {path for path in set(folder.rglob("*")) - before if "__pycache__" not in path.parts}
    assert not left


def test_the_pickles_of_these_tests_do_run_code(tmp_path) -> None:
    torch.load(pickled(tmp_path / "code.pt", tmp_path / "executed"), weights_only=False)
    assert (tmp_path / "executed").exists()


def test_a_warning_is_one_line(folder, small) -> None:
    text = "import warnings\nwarnings.warn('two\\nlines')\nfrom net import Net\n"
    (folder / "warns.py").write_text(text)
    options = ("--model", "warns.py:Net", "--data", small, "--no-intervals")
    status, _, errors = run("evaluate", *options)
    assert status == 0
    assert "warning: two lines" in errors.splitlines()


@pytest.mark.usefixtures("folder")
def test_a_metric_without_a_value_names_the_option_that_gives_it(small) -> None:
    own = ("--model", "net.py:make", "--weights", "net.pt", "--no-intervals", "--data", small)
    why = "No score change: it needs labels, two shifts or more, logits (--scores keeps them)."
    status, text, errors = run("evaluate", *own)
    assert status == 0, errors
    assert why in text.splitlines()
    status, text, errors = run("evaluate", *own, "--scores")
    assert status == 0, errors
    assert "No score change" not in text
