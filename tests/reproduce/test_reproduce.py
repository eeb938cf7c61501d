import importlib.metadata
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

import matplotlib
import numpy as np
import pytest
import torch
from command_line import ROOT, python, run
from PIL import Image

import lenetshift
from lenetshift import Config
from lenetshift.data.load import MNIST_SHA256, load_mnist
from lenetshift.models.table import ARCHITECTURES
from lenetshift.study.experiments import ground, runs

COMMAND = [sys.executable, "-m", "lenetshift.reproduce"]


def command(*options, **how):
    """A run in a process of its own."""
    return python("-m", "lenetshift.reproduce", *options, **how)


def results(out):
    return json.loads((out / "results.json").read_text())


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
    assert results(out)["subset"] is True
    for name in ("table1.csv", "table1.md"):
        assert "Subset" in (out / name).read_text()
    with np.load(out / "predictions.npz") as arrays:
        assert "Subset" in str(arrays["note"])
    pictures = sorted(out.glob("*.png"))
    names = ["accuracy_maps", "figure1", "figure2", "figure3", "figure4"]
    assert [path.stem for path in pictures] == names
    for path in pictures:
        with Image.open(path) as png:
            assert png.width > 1000
            assert "Subset" in png.text["Description"]
    for path in (out / "checkpoints").iterdir():
        assert "Subset" in torch.load(path, weights_only=True)["note"]
    assert not list(out.rglob(".*"))


def test_quick_names_one_number_of_patterns(quick):
    """The figures' images, which are evaluated too, do not count: the table is not about them."""
    _, done = quick
    counted = re.findall(r"([\d,]+) patterns", done.stdout + done.stderr)
    assert set(counted) == {"55,000"}


def test_the_last_line_names_the_page(quick, small, tmp_path):
    out, done = quick
    last = done.stdout.splitlines()[-1]
    assert last.endswith(f" s in all; the files are in {out}{os.sep}; open {out / 'report.html'}")
    options = ("--models", "pooled_mlp", "--epochs", 0, "--no-page")
    _, text, _ = run("reproduce", "--data", small, "--out", tmp_path / "a", *options)
    assert text.splitlines()[-1].endswith(f" s in all; the files are in {tmp_path / 'a'}{os.sep}")


def test_quick_results(quick):
    out, done = quick
    value = results(out)
    assert value["schema"] == 2
    assert list(value["models"]) == list(ARCHITECTURES)
    config = Config(n_train=6_000, n_test=1_000).to_dict()
    assert value["config"] == {**config, "method": "fused"}
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


def test_quick_takes_all_of_a_small_set(small, tmp_path):
    options = ("--data", small, "--out", tmp_path, "--models", "pooled_mlp")
    status, text, _ = run("reproduce", *options, "--quick")
    assert status == 0
    assert "Subset" not in text
    assert results(tmp_path)["subset"] is False


def test_another_grid_and_another_rule(small, tmp_path):
    options = ("--data", small, "--out", tmp_path, "--models", "mlp,biased_lenet5", "--epochs", 1)
    options += ("--dx", -1, 2, "--dy", 0, 0, "--bias", "4:-2,+1", "0:0,3")
    assert run("reproduce", *options)[0] == 0
    value = results(tmp_path)
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
    ("options", "error"),
    [
        ("--models lenet6", "argument --models: unknown model 'lenet6'"),
        ("--epochs two", "argument --epochs: invalid int value: 'two'"),
        ("--learning-rate -1", "argument --learning-rate: got -1"),
        ("--threads 0", "argument --threads: got '0', expected a whole number in"),
        (
            "--threads 2147483648",
            "argument --threads: got '2147483648', expected a whole number in",
        ),
        (
            "--batch-size 99999999999999999999",
            "argument --batch-size: got 99999999999999999999, exp",
        ),
        ("--device tpu", "argument --device: invalid choice: 'tpu'"),
        ("--data /no/such/folder", "/no/such/folder: no such folder"),
        ("--data ~no-such-user/mnist", "argument --data: got '~no-such-user/mnist'"),
        ("--out ~no-such-user/results", "argument --out: got '~no-such-user/results'"),
        ("--out /dev/null/results", "/dev/null/results"),
        ("--frobnicate", "unrecognized arguments: --frobnicate"),
        ("--dx 1 3", "argument --dx, --dy: got ShiftGrid(dx=range(1, 4), "),
        ("--dx 3 -3", "argument --dx: got 3 -3, expected the first shift, then the last"),
        ("--dy -28 2", "argument --dy: got shifts -28..2, expected them within -27..27"),
        ("--dy 0 0.5", "argument --dy: invalid int value: '0.5'"),
        ("--bias 3:+3", "argument --bias: got '3:+3', expected a digit and its shift in pixels"),
        ("--bias 13:1,1", "argument --bias: got '13:1,1', expected a digit and its shift"),
        ("--bias 3:28,0", "argument --bias: got (28, 0), expected (dx, dy), two ints within"),
        ("--bias 3:1,0 2:1,0 3:0,1", "argument --bias: got digit 3 more than once"),
        ("--settings best", "argument --settings: invalid choice: 'best'"),
        (
            "--settings report --epochs 2",
            "argument --settings: got report together with --epochs, exp",
        ),
        (
            "--settings report --learning-rate 0.1",
            "got report together with --learning-rate, expected",
        ),
        (
            "--settings report --batch-size 64",
            "got report together with --batch-size, expected one or",
        ),
        (
            "--settings report --activation tanh",
            "got report together with --activation, expected one or",
        ),
        (
            "--epochs 0 --activation relu --settings report",
            "got report together with --epochs and --activation, expected",
        ),
    ],
)
def test_bad_input_is_one_line(options, error, tmp_path):
    status, text, errors = run("reproduce", "--out", tmp_path / "out", *options.split())
    assert (status, text) == (2, "")
    assert error in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_tilde_in_a_path_is_the_home_folder(small, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mnist").symlink_to(small)
    options = ("--models", "pooled_mlp", "--epochs", 0)
    assert run("reproduce", "--data", "~/mnist", "--out", "~/results", *options)[0] == 0
    assert (tmp_path / "results" / "results.json").exists()


def test_packages_without_metadata(small, tmp_path, monkeypatch):
    def hidden(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", hidden)
    options = ("--data", small, "--out", tmp_path, "--models", "pooled_mlp", "--epochs", 0)
    assert run("reproduce", *options)[0] == 0
    environment = results(tmp_path)["environment"]
    assert environment["matplotlib"] == matplotlib.__version__


@pytest.mark.parametrize("threads", [("--threads", 2), ()])
def test_no_more_threads_than_cpus(small, tmp_path, monkeypatch, threads):
    options = ("--data", small, "--out", tmp_path, "--models", "pooled_mlp", "--epochs", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    try:
        status, _, errors = run("reproduce", *options, *threads)
        assert status == 0
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert results(tmp_path)["environment"]["threads"] == 1
    line = errors.splitlines()[0]
    assert line.endswith(": got 2, expected at most 1, the CPUs that this process may use: 1 used")


def test_diverged_training_is_reported_everywhere(small, tmp_path):
    options = ("--data", small, "--out", tmp_path, "--epochs", 1)
    options += ("--learning-rate", 1e30, "--models", "pooled_mlp", "biased_lenet5")
    status, text, errors = run("reproduce", *options)
    assert status == 0
    warnings = [line for line in errors.splitlines() if line.startswith("warning: ")]
    assert [line.split(",")[0] for line in warnings] == [
        "warning: pooled_mlp: training diverged",
        "warning: biased_lenet5: training diverged",
    ]
    assert warnings[0].endswith("so its answers mean nothing: learning rate 1e+30 is too large")
    note = "Training diverged, so the answers mean nothing: Model 3 pooled MLP, LeNet-5, position-biased."
    assert note in " ".join(text.split())
    for name in ("table1.csv", "table1.md"):
        assert note in (tmp_path / name).read_text()
    diverged = {name: model["diverged"] for name, model in results(tmp_path)["models"].items()}
    assert diverged == {"pooled_mlp": True, "biased_lenet5": True}
    # A resumed run that keeps the models warns again; one with a small learning rate does not.
    status, _, errors = run("reproduce", *options, "--resume")
    assert (status, errors.count("warning: ")) == (0, 2)
    status, text, errors = run("reproduce", *options, "--learning-rate", 0.1)
    assert status == 0
    assert "training diverged" not in (errors + text).lower()
    assert not any(model["diverged"] for model in results(tmp_path)["models"].values())


def interrupted(*_, **__):
    raise KeyboardInterrupt


def test_interrupt_says_how_to_go_on(small, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "train", interrupted)
    status, _, errors = run("reproduce", "--data", small, "--out", tmp_path)
    assert status == 130
    assert "--resume" in errors.splitlines()[-1]


def test_the_matplotlib_settings_of_a_person_do_not_end_a_run(small, tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.family: No Such Font\n")
    settings = {
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # a notebook passes this on
    }
    out = tmp_path / "out"
    done = command("--data", small, "--models", "mlp", "--out", out, env=settings)
    assert done.returncode == 0, done.stderr
    assert (out / "accuracy_maps.png").exists()
    assert "findfont" not in done.stderr


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
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
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
    resumed = command(*options, "--out", killed, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "kept" in resumed.stderr
    a, b = (_without_seconds(results(out)) for out in (whole, killed))
    assert a == b
    with np.load(whole / "predictions.npz") as x, np.load(killed / "predictions.npz") as y:
        for name in x.files:
            np.testing.assert_array_equal(x[name], y[name])
    assert not list(killed.rglob(".*"))


def test_resume_keeps_a_folder_to_one_run(small, tmp_path, monkeypatch):
    """All checkpoints must be of this run, and no product of an earlier one outlives the start."""
    options = ("--data", small, "--out", tmp_path, "--epochs", 1, "--models")
    assert run("reproduce", *options, "pooled_mlp")[0] == 0

    def refused(*others):
        status, _, errors = run("reproduce", *options, "mlp", "--resume", *others)
        assert status == 2
        assert (tmp_path / "results.json").exists()
        return errors

    assert "pooled_mlp.pt: settings.seed: was written with 0, now it is 1" in refused("--seed", 1)
    with monkeypatch.context() as other:
        other.setattr(ground, "__version__", "0.0.9")
        written = f"lenetshift: was written with {lenetshift.__version__}, now it is 0.0.9"
        assert written in refused()
    with monkeypatch.context() as other:
        other.setattr(torch, "__version__", "2.5.0")
        assert "now it is 2.5.0" in refused()
    monkeypatch.setattr(runs, "train", interrupted)
    assert run("reproduce", *options, "mlp", "--resume")[0] == 130
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
        line = f"python -m lenetshift.reproduce: error: {tmp_path / file}: File too large"
        assert done.stderr.splitlines()[-1] == line
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
    done = command(*options, "--out", out, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "moved by dx -3, dy 0" in done.stdout
    assert "r\\xe9sultats" in done.stdout


def test_from_another_folder(small, tmp_path):
    done = command("--data", small, "--models", "pooled_mlp", "--epochs", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "results.json").exists()
    assert "not MNIST" in done.stdout
    assert "not MNIST" in (tmp_path / "results" / "table1.csv").read_text()


@pytest.mark.parametrize("options", [(), ("--resume",)])
def test_half_written_checkpoints_are_removed_but_not_those_of_others(small, tmp_path, options):
    own, foreign = (tmp_path / "checkpoints" / f".{name}.pt.partial" for name in ("mlp", "mine"))
    own.parent.mkdir()
    own.write_text("half")
    foreign.write_text("mine")
    folders = ("--data", small, "--out", tmp_path)
    run_options = ("--models", "pooled_mlp", "--epochs", 0, "--no-page", *options)
    assert run("reproduce", *folders, *run_options)[0] == 0
    assert foreign.read_text() == "mine"
    assert not own.exists()
