"""``lenetshift bench``."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
from command_line import run

import lenetshift
import lenetshift.reference
from lenetshift.checks.errors import UsageError
from lenetshift.cli import bench
from lenetshift.storage import environment

pytestmark = pytest.mark.usefixtures("short_bench")


@pytest.mark.slow
def test_bench(tmp_path) -> None:
    file = tmp_path / "bench.json"
    status, text, errors = run("bench", "--json", file, "--models", "mlp,lenet5")
    assert status == 0
    value = json.loads(file.read_text())
    assert [result["model"] for result in value["models"]] == ["lenet5", "mlp"]
    for result in value["models"]:
        assert result["pytorch"]["batch_size"] in (11, 55)
        seconds = [result[who]["seconds_a_pattern"] for who in ("ours", "pytorch")]
        assert min(seconds) > 0
        assert result["ratio"] == pytest.approx(seconds[1] / seconds[0])
        assert result["largest_difference"] < bench.TOLERANCE
    assert value["environment"]["isa"] == lenetshift.isa()
    assert "microseconds per pattern" in text
    assert text.endswith(f"written: {file}\n")
    table = re.findall(
        r"^(\S.*?) +[\d.]+ \(\d+ %\) +[\d.]+ \(\d+ %\) +([\d.]+)x$", text, re.MULTILINE
    )
    assert [name for name, _ in table] == ["lenet5", "mlp", *(op["op"] for op in value["ops"])]
    for op in value["ops"]:
        seconds = [op[who]["seconds_a_call"] for who in ("ours", "pytorch")]
        assert op["ratio"] == pytest.approx(seconds[1] / seconds[0])
        assert op["largest_difference"] < bench.TOLERANCE
    assert errors.count("answers equal") == 2
    status, text, _ = run("bench", "--models", "pooled_mlp", "--json")
    assert status == 0
    assert [result["model"] for result in json.loads(text)["models"]] == ["pooled_mlp"]


def test_models_whose_answers_differ_are_not_timed(monkeypatch) -> None:
    other = lenetshift.build_model("mlp", seed=1)
    monkeypatch.setattr(lenetshift.reference, "dense_twin", lambda _: other)
    status, text, errors = run("bench", "--models", "mlp")
    assert (status, text) == (2, "")
    assert errors.startswith("lenetshift bench: error: mlp: answers differ by ")
    assert errors.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("error", [UsageError("no luck"), KeyboardInterrupt(), OSError(5, "EIO")])
def test_results_are_printed_if_a_later_model_fails(error, monkeypatch) -> None:
    measure = bench.measure

    def fail(name: str, images: torch.Tensor) -> dict[str, Any]:
        if name == "mlp":
            raise error
        return measure(name, images)

    monkeypatch.setattr(bench, "measure", fail)
    status, text, _ = run("bench", "--models", "lenet5,mlp")
    assert status == (130 if isinstance(error, KeyboardInterrupt) else 2)
    assert re.search(r"^lenet5 .*x$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("error", "reported"),
    [
        (OSError(5, "Input/output error", "/proc/cpuinfo"), "/proc/cpuinfo: Input/output error"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("odd"), "OSError: odd"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_of_the_system_ends_it_before_the_work(error, reported, monkeypatch) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(environment, "environment", fail)
    monkeypatch.setattr(bench, "measure", lambda *_: pytest.fail("the work has begun"))
    assert run("bench") == (2, "", f"lenetshift bench: error: {reported}\n")


def test_an_interrupt_is_reported(monkeypatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "measure", interrupted)
    assert run("bench") == (130, "", "interrupted\n")


def test_seconds_per_pattern(monkeypatch) -> None:
    """The median of made-up times, divided by each side's own number of patterns."""
    monkeypatch.setattr(bench, "BATCH_SIZES", {"cpu": (55, 11)})
    # The trials of 55 and 11, a warm-up, then ours and PyTorch's in turns.
    calls = iter([5.0, 6.0, 1.0, *(2.2, 4.4), *(2.4, 5.0), *(9.0, 4.4)])
    monkeypatch.setattr(bench, "_seconds", lambda *_, **__: next(calls))
    result = bench.measure("mlp", torch.zeros(4, 28, 28, dtype=torch.uint8))
    assert result["ours"]["seconds_a_pattern"] == pytest.approx(2.4 / 220)
    assert result["pytorch"]["seconds_a_pattern"] == pytest.approx(4.4 / 110)
    assert result["pytorch"]["batch_size"] == 55
    assert result["ratio"] == pytest.approx(4.4 / 110 / (2.4 / 220))
    assert result["ours"]["spread"] == pytest.approx((9.0 - 2.2) / 2.4)


@pytest.mark.parametrize("spread", [0.1, 2.5])
def test_what_is_slower_or_unsteady_is_said(spread, monkeypatch) -> None:
    """Made-up times: our depthwise convolution takes twice as long as PyTorch's, the others a half."""

    def measured(name: str, *_: object) -> dict[str, Any]:
        ratio = 0.5 if "depthwise" in name else 2.0
        ours = {"seconds_a_call": 1e-6, "spread": 0.1}
        theirs = {"seconds_a_call": 1e-6 * ratio, "spread": spread}
        return {"op": name, "ours": ours, "pytorch": theirs, "ratio": ratio}

    monkeypatch.setattr(bench, "measure_op", measured)
    part = {"seconds_a_pattern": 1e-6, "spread": 0.1}
    model = {
        "model": "pooled_mlp",
        "ours": part,
        "pytorch": part,
        "ratio": 1.0,
        "largest_difference": 0.0,
    }
    monkeypatch.setattr(bench, "measure", lambda *_: model)
    status, text, errors = run("bench", "--models", "pooled_mlp")
    assert status == 0, errors
    assert re.search(
        rf"^indirect_conv2d, depthwise +1\.00 \(10 %\) +0\.50 \({100 * spread:.0f} %\) +0\.50x$",
        text,
        re.MULTILINE,
    )
    last = ["Slower than PyTorch here: indirect_conv2d, depthwise."]
    if spread > bench.UNSTEADY:
        last.append(
            "Some times spread by more than 100 %: measure again when nothing else runs here."
        )
    assert text.splitlines()[-len(last) :] == last
    assert ("spread by" in text) == (spread > bench.UNSTEADY)


def test_ops_whose_results_differ_are_not_timed() -> None:
    ours, theirs = torch.ones(3), torch.tensor([1.0, 1.0, 1.1])
    with pytest.raises(
        UsageError, match=r"^an op: answers differ by 9\.1e-02 of the largest value"
    ):
        bench.measure_op("an op", lambda: ours, [lambda: ours, lambda: theirs])
