import importlib.metadata
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

import lenetshift
from lenetshift import Config
from lenetshift.data.load import MNIST_SHA256, load_mnist
from lenetshift.models.table import ARCHITECTURES
from lenetshift.reproduce import __main__ as reproduce
from lenetshift.study import plans
from lenetshift.study.experiments import runs

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "lenetshift.reproduce"]


def command(*options, cwd=ROOT, **how):
    return subprocess.run(
        [*COMMAND, *map(str, options)], cwd=cwd, capture_output=True, text=True, timeout=300, **how
    )


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    out = tmp_path_factory.mktemp("quick") / "results"
    done = command("--quick", "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done


def test_quick_says_everywhere_that_it_is_a_subset(quick):
    out, done = quick
    assert "Subset (--quick), drawn evenly: 6,000 of 60,000 images to train" in done.stdout
    assert "\r" not in done.stdout + done.stderr
    assert json.loads((out / "results.json").read_text())["subset"] is True
    for name in ("table1.csv", "table1.md"):
        assert "Subset" in (out / name).read_text()
    with np.load(out / "predictions.npz") as arrays:
        assert "Subset" in str(arrays["note"])
    pictures = sorted(out.glob("*.png"))
    assert [path.stem for path in pictures] == [
        "accuracy_maps", "figure1", "figure2", "figure3", "figure4"
    ]  # fmt: skip
    for path in pictures:
        with Image.open(path) as png:
            assert png.width > 1000
            assert "Subset" in png.text["Description"]
    for path in (out / "checkpoints").iterdir():
        assert "Subset" in torch.load(path, weights_only=True)["note"]
    assert not list(out.rglob(".*"))


def test_quick_results(quick):
    out, done = quick
    value = json.loads((out / "results.json").read_text())
    assert value["schema"] == 2
    assert list(value["models"]) == list(ARCHITECTURES)
    assert value["config"] == {
        **Config(n_train=6_000, n_test=1_000).to_dict(), "method": "fused"
    }  # fmt: skip
    environment = value["environment"]
    assert environment["lenetshift"] == lenetshift.__version__
    assert environment["torch"] == torch.__version__
    assert environment["isa"] == lenetshift.isa()
    assert environment["data_sha256"] == MNIST_SHA256
    assert value["data"]["drawn"].startswith("evenly: ")
    with np.load(out / "predictions.npz") as arrays:
        test = load_mnist()[1]
        assert arrays["indices"].tolist() == list(range(0, 10_000, 10))
        assert arrays["labels"].tolist() == test.labels[::10].tolist()
        # The predictions are those images': of the weights kept, asked again.
        kept = torch.load(out / "checkpoints" / "pooled_mlp.pt", weights_only=True)
        model = lenetshift.PooledMLP()
        model.load_state_dict(kept["state_dict"])
        again = lenetshift.predict_shifts(model, test.images[::10])
        assert np.array_equal(arrays["pooled_mlp"], again.numpy())
        for name, model in value["models"].items():
            assert arrays[name].shape == (1000, 5, 11)
            correct = int((arrays[name] == arrays["labels"][:, None, None]).sum())
            assert model["moved"]["correct"] == correct
            assert model["unmoved"]["correct"] + model["unmoved"]["wrong"] == 1000
            accuracy_map = np.array(model["accuracy_map"])
            assert accuracy_map.shape == (5, 11)
            assert accuracy_map.mean() == pytest.approx(model["moved"]["accuracy"])
            assert accuracy_map[2, 5] == model["unmoved"]["accuracy"]
            assert model["training_seconds"] > 0
            assert model["evaluation_seconds"] > 0
            assert [epoch["steps"] for epoch in model["loss"]] == [94, 94]
        assert json.loads(str(arrays["config"])) == value["config"]
    assert [figure["label"] for figure in value["figures"]] == [4, 5, 2, 3]
    assert "8733 + 1217 = 9950" in done.stdout


def test_quick_takes_a_small_set_whole(small, tmp_path, capsys):
    options = ["--data", str(small), "--out", str(tmp_path), "--models", "pooled_mlp", "--quick"]
    assert reproduce.main(options) == 0
    assert "Subset" not in capsys.readouterr().out
    assert json.loads((tmp_path / "results.json").read_text())["subset"] is False


def test_another_grid_and_another_rule(small, tmp_path, capsys):
    options = ["--data", str(small), "--out", str(tmp_path), "--models", "mlp,biased_lenet5"]
    options += ["--epochs", "1", "--dx", "-1", "2", "--dy", "0", "0", "--bias", "4:-2,+1", "0:0,3"]
    assert reproduce.main(options) == 0
    value = json.loads((tmp_path / "results.json").read_text())
    assert value["config"]["grid"] == {"dx": [-1, 2], "dy": [0, 0]}
    assert value["config"]["bias_rule"] == {"4": [-2, 1], "0": [0, 3]}
    arrays = np.load(tmp_path / "predictions.npz")
    assert arrays["mlp"].shape == (40, 1, 4)
    train_set, test_set = load_mnist(small)
    biased = lenetshift.position_biased(train_set, {4: (-2, 1), 0: (0, 3)})
    model = lenetshift.build_model("lenet5", seed=0)
    lenetshift.train(model, biased, epochs=1, learning_rate=0.1, batch_size=64, seed=0)
    grid = lenetshift.ShiftGrid(range(-1, 3), range(1))
    expected = lenetshift.predict_shifts(model, test_set.images, grid)
    assert np.array_equal(arrays["biased_lenet5"], expected)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--models", "lenet6"], "lenet6"),
        (["--epochs", "two"], "--epochs"),
        (["--learning-rate", "-1"], "--learning-rate"),
        (["--threads", "0"], "--threads"),
        (["--threads", "2147483648"], "--threads: got '2147483648', expected a whole number in"),
        (["--batch-size", "99999999999999999999"], "--batch-size: got 99999999999999999999, exp"),
        (["--device", "tpu"], "--device"),
        (["--data", "/no/such/folder"], "/no/such/folder"),
        (["--data", "~no-such-user/mnist"], "--data: got '~no-such-user/mnist'"),
        (["--out", "~no-such-user/results"], "--out: got '~no-such-user/results'"),
        (["--out", "/dev/null/results"], "/dev/null/results"),
        (["--frobnicate"], "--frobnicate"),
        (["--dx", "1", "3"], "argument --dx, --dy: got ShiftGrid(dx=range(1, 4), "),
        (["--dx", "3", "-3"], "argument --dx: got 3 -3, expected the first shift, then the last"),
        (["--dy", "-28", "2"], "argument --dy: got shifts -28..2, expected them within -27..27"),
        (["--dy", "0", "0.5"], "argument --dy: invalid int value: '0.5'"),
        (
            ["--bias", "3:+3"],
            "argument --bias: got '3:+3', expected a digit and its shift in pixels",
        ),
        (["--bias", "13:1,1"], "argument --bias: got '13:1,1', expected a digit and its shift"),
        (["--bias", "3:28,0"], "argument --bias: got (28, 0), expected (dx, dy), two ints within"),
        (["--bias", "3:1,0", "2:1,0", "3:0,1"], "argument --bias: got digit 3 more than once"),
    ],
)
def test_bad_input_is_one_line(options, named, tmp_path, capsys):
    try:
        status = reproduce.main(["--out", str(tmp_path / "out"), *options])
    except SystemExit as stop:
        status = stop.code
    output = capsys.readouterr()
    assert status == 2
    assert named in output.err
    assert output.err.count("\n") == 1
    assert not output.out
    assert not (tmp_path / "out").exists()


def test_bad_input_in_a_process(tmp_path):
    done = command("--out", tmp_path, "--data", "/no/such/folder")
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")


def test_the_home_folder_is_found_where_the_shell_left_its_sign(
    small, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mnist").symlink_to(small)
    options = ["--models", "pooled_mlp", "--epochs", "0"]
    assert reproduce.main(["--data", "~/mnist", "--out", "~/results", *options]) == 0
    assert (tmp_path / "results" / "results.json").exists()


def test_packages_without_metadata(small, tmp_path, monkeypatch):
    def hidden(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", hidden)
    options = ["--models", "pooled_mlp", "--epochs", "0"]
    assert reproduce.main(["--data", str(small), "--out", str(tmp_path), *options]) == 0
    environment = json.loads((tmp_path / "results.json").read_text())["environment"]
    assert environment["matplotlib"] == matplotlib.__version__


@pytest.mark.parametrize("options", [["--threads", "2"], []])
def test_no_more_threads_than_cpus(small, tmp_path, monkeypatch, capsys, options):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    try:
        options += ["--data", str(small), "--out", str(tmp_path), "--models", "pooled_mlp"]
        assert reproduce.main([*options, "--epochs", "0"]) == 0
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert json.loads((tmp_path / "results.json").read_text())["environment"]["threads"] == 1
    line = capsys.readouterr().err.splitlines()[0]
    assert line.endswith(": got 2, expected at most 1, the CPUs that this process may use: 1 used")


def test_diverged_training_is_told_everywhere(small, tmp_path, capsys):
    options = ["--data", str(small), "--out", str(tmp_path), "--epochs", "1"]
    options += ["--learning-rate", "1e30", "--models", "pooled_mlp", "biased_lenet5"]
    assert reproduce.main(options) == 0
    said = capsys.readouterr()
    warnings = [line for line in said.err.splitlines() if line.startswith("warning: ")]
    assert [line.split(",")[0] for line in warnings] == [
        "warning: pooled_mlp: training diverged",
        "warning: biased_lenet5: training diverged",
    ]
    assert warnings[0].endswith("so its answers mean nothing: learning rate 1e+30 is too large")
    note = (
        "Training diverged, so the answers mean nothing: Model 3 pooled MLP, LeNet-5, "
        "position-biased."
    )
    assert note in " ".join(said.out.split())
    for name in ("table1.csv", "table1.md"):
        assert note in (tmp_path / name).read_text()
    value = json.loads((tmp_path / "results.json").read_text())
    assert {name: model["diverged"] for name, model in value["models"].items()} == {
        "pooled_mlp": True, "biased_lenet5": True
    }  # fmt: skip
    # A run that keeps the models says so again; one with a fair learning rate does not.
    assert reproduce.main([*options, "--resume"]) == 0
    assert capsys.readouterr().err.count("warning: ") == 2
    assert reproduce.main([*options, "--learning-rate", "0.1"]) == 0
    said = capsys.readouterr()
    assert "training diverged" not in (said.err + said.out).lower()
    value = json.loads((tmp_path / "results.json").read_text())
    assert not any(model["diverged"] for model in value["models"].values())


def test_interrupt_says_how_to_go_on(small, tmp_path, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train", interrupted)
    assert reproduce.main(["--data", str(small), "--out", str(tmp_path)]) == 130
    assert "--resume" in capsys.readouterr().err.splitlines()[-1]


def test_the_matplotlib_settings_of_a_person_do_not_end_a_run(small, tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.family: No Such Font\n")
    settings = {
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # a notebook passes this on
    }
    out = tmp_path / "out"
    done = command("--data", small, "--models", "mlp", "--out", out, env={**os.environ, **settings})
    assert done.returncode == 0, done.stderr
    assert (out / "accuracy_maps.png").exists()
    assert "findfont" not in done.stderr


def test_settings_that_matplotlib_cannot_read_are_told_before_the_training(small, tmp_path):
    (tmp_path / "matplotlibrc").write_bytes("font.family: Ärial\n".encode("latin-1"))
    out = tmp_path / "out"
    options = ("--data", small, "--models", "mlp", "--out", out)
    done = command(*options, env={**os.environ, "MATPLOTLIBRC": str(tmp_path / "matplotlibrc")})
    assert done.returncode == 2
    # Matplotlib's own line names the file.
    whose, ours = done.stderr.splitlines()
    assert str(tmp_path / "matplotlibrc") in whose
    assert "error: Matplotlib, which draws the figures, cannot be used: 'utf-8'" in ours
    assert not out.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is available")
def test_cuda_unavailable(tmp_path):
    done = command("--out", tmp_path, "--device", "cuda")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--device" in done.stderr


def test_damaged_data(small, tmp_path):
    for path in small.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    images = tmp_path / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-1])
    done = command("--data", tmp_path, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert images.name in done.stderr


def _without_seconds(value):
    if isinstance(value, dict):
        return {k: _without_seconds(v) for k, v in value.items() if not k.endswith("seconds")}
    return value


@pytest.mark.slow
def test_killed_run_resumes_to_the_same_results(small, tmp_path):
    options = ["--data", small, "--models", "pooled_mlp,mlp", "--epochs", "3"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert command(*options, "--out", whole).returncode == 0

    process = subprocess.Popen(
        [*COMMAND, *map(str, options), "--out", str(killed)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    first = killed / "checkpoints" / "mlp.pt"
    deadline = time.monotonic() + 120
    while not first.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert first.exists()

    other = command(*options, "--out", killed, "--resume", "--seed", "1")
    assert other.returncode == 2
    assert "settings.seed: was written with 0, now it is 1" in other.stderr
    resumed = command(*options, "--out", killed, "--resume", cwd=ROOT)
    assert resumed.returncode == 0, resumed.stderr
    assert "kept" in resumed.stderr
    a, b = (json.loads((out / "results.json").read_text()) for out in (whole, killed))
    assert _without_seconds(a) == _without_seconds(b)
    with np.load(whole / "predictions.npz") as x, np.load(killed / "predictions.npz") as y:
        for name in x.files:
            np.testing.assert_array_equal(x[name], y[name])
    assert not list(killed.rglob(".*"))


def test_resume_keeps_a_folder_to_one_run(small, tmp_path, capsys, monkeypatch):
    """All checkpoints must be of this run, and no product of an earlier one outlives the start."""
    options = ["--data", str(small), "--out", str(tmp_path), "--epochs", "1", "--models"]
    assert reproduce.main([*options, "pooled_mlp"]) == 0

    def refused(*others):
        capsys.readouterr()
        assert reproduce.main([*options, "mlp", "--resume", *others]) == 2
        assert (tmp_path / "results.json").exists()
        return capsys.readouterr().err

    assert "pooled_mlp.pt: settings.seed: was written with 0, now it is 1" in refused("--seed", "1")
    with monkeypatch.context() as other:
        other.setattr(plans, "__version__", "0.0.9")
        assert (
            f"lenetshift: was written with {lenetshift.__version__}, now it is 0.0.9" in refused()
        )
    with monkeypatch.context() as other:
        other.setattr(torch, "__version__", "2.5.0")
        assert "now it is 2.5.0" in refused()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train", interrupted)
    assert reproduce.main([*options, "mlp", "--resume"]) == 130
    left = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert left == ["checkpoints/pooled_mlp.pt"]


def test_full_disk_is_one_line(small, tmp_path):
    """Where the checkpoint is written; then, with it in place, where the pictures are."""
    options = ["--data", small, "--models", "pooled_mlp", "--epochs", "1", "--out", tmp_path]

    def fill_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    def check_failure(file, n_checkpoints, *others):
        done = command(*options, *others, preexec_fn=fill_disk)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == (
            f"python -m lenetshift.reproduce: error: {tmp_path / file}: File too large"
        )
        assert ("Table 1" in done.stdout) == (n_checkpoints > 0)  # no disk takes it away
        assert "Traceback" not in done.stderr
        assert not list(tmp_path.rglob(".*"))
        assert len(list(tmp_path.rglob("*.pt"))) == n_checkpoints
        assert not list(tmp_path.glob("*.png"))
        assert not (tmp_path / "results.json").exists()

    check_failure("checkpoints/pooled_mlp.pt", 0)
    assert command(*options).returncode == 0
    check_failure("accuracy_maps.png", 1, "--resume")


def test_any_terminal_and_any_folder_name(small, tmp_path):
    options = ["--data", small, "--models", "biased_lenet5", "--epochs", "0"]
    out = tmp_path / "r\u00e9sultats"
    done = command(*options, "--out", out, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "moved by dx -3, dy 0" in done.stdout
    assert "r\\xe9sultats" in done.stdout


def test_from_another_folder(small, tmp_path):
    done = command("--data", small, "--models", "pooled_mlp", "--epochs", "1", cwd=tmp_path)
    if "No module named 'lenetshift'" in done.stderr:
        pytest.skip("lenetshift is not installed")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "results.json").exists()
    assert "not MNIST" in done.stdout
    assert "not MNIST" in (tmp_path / "results" / "table1.csv").read_text()
