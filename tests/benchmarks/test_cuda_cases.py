"""The benchmarks for a card, as far as a CPU can run them: what is chosen, the code around the captures with
a stand-in for them, and the tables of made-up results."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

import lenetshift

Script = Callable[[str], ModuleType]


@pytest.fixture
def run(script: Script) -> ModuleType:
    return script("benchmarks/run.py")


def chosen(run: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    """What a command would measure, on a machine that has a card."""
    names: list[str] = []

    def measure(args: argparse.Namespace, cases: list[str]) -> dict[str, Any]:
        names.extend(cases)
        return {"failed": {}}

    monkeypatch.setattr(run, "measure", measure)
    monkeypatch.setattr(run.report, "tables", lambda _: "")
    monkeypatch.setattr(run.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(run, "core", argparse.Namespace(has_cuda=True, isas=run.core.isas))
    assert run.main(arguments) == 0
    return names


def test_graphs_are_chosen_on_a_card_alone(run, monkeypatch, capsys) -> None:
    graph = "c3_conv/forward/64/graph"
    on_card = chosen(run, monkeypatch, "--device", "cuda", "--only", "c3_conv", "train_epoch/mlp")
    assert [name for name in on_card if "64" in name] == [
        "c3_conv/forward/64", "c3_conv/forward_backward/64", graph, "c3_conv/forward_backward/64/graph",
    ]  # fmt: skip
    assert "train_epoch/mlp" in on_card
    assert not {"isas", "scaling"} & set(chosen(run, monkeypatch, "--device", "cuda"))
    every = chosen(run, monkeypatch)
    assert {"isas", "scaling", "own/resnet20"} < set(every)
    assert not [name for name in every if name.endswith("/graph")]
    with pytest.raises(SystemExit, match="2"):
        run.main(["--only", graph])
    assert f"argument --only: '{graph}' is not a prefix of any of " in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_without_a_card_one_line_says_so(run, capsys) -> None:
    assert run.main(["--device", "cuda"]) == 2
    assert capsys.readouterr().err == (
        "argument --device: cuda is not available: PyTorch finds no device\n"
    )


def once(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Candidates are called once instead of timed; returns their names. A capture is a call."""
    names: list[str] = []

    def interleave(runs: dict[str, Callable[[], Any]], repetitions: int, clock: Any) -> Any:
        names.extend(runs)
        for call in runs.values():
            call()
        return {name: timing.Timing((1e-3 * (i + 1), 1e-3)) for i, name in enumerate(runs)}

    import timing

    monkeypatch.setattr(module, "interleave", interleave)
    monkeypatch.setattr(module, "capture", lambda call: call, raising=False)
    monkeypatch.setattr(module.torch, "compile", lambda function, **_: function)
    return names


class Card:
    """A context as on a card, but its tensors are on the CPU."""

    quick, threads, peak_gflops, copy_gb_s = True, 1, 100.0, 10.0
    clock = staticmethod(lambda call, n: call() is None or 1e-3)

    def __init__(self) -> None:
        self.unavailable: dict[str, str] = {}
        train, test = lenetshift.load_mnist()
        self.mnist = train.subset(700), test.subset(10)
        self.said: list[str] = []
        self.say = self.said.append
        self.device = Device()

    def trained(self, name: str) -> torch.nn.Module:
        return lenetshift.build_model(name, seed=0).eval()


class Device(str):
    """Says that it is a card; ``to`` takes it for the CPU."""

    type = "cuda"

    def __new__(cls) -> Device:
        return super().__new__(cls, "cpu")


@pytest.mark.parametrize("direction", ["forward", "forward_backward"])
def test_c3_conv_as_graphs(script, monkeypatch, direction: str) -> None:
    module = script("benchmarks/c3_conv.py")
    names, card = once(module, monkeypatch), Card()
    case = module.run(card, direction, 2, graph=True)
    assert card.unavailable == {}
    assert case["case"] == f"c3_conv/{direction}/2/graph"
    assert names == [
        "ours", "CUDA graph", "CUDA graph, channels_last", "CUDA graph of torch.compile",
        "CUDA graph of torch.compile, channels_last",
    ]  # fmt: skip
    assert case["best_peer"].startswith("CUDA graph")


@pytest.mark.parametrize("name", ["lenet5", "mlp"])
def test_train_epoch_with_graphs(script, monkeypatch, name: str) -> None:
    module = script("benchmarks/train_epoch.py")
    names, card = once(module, monkeypatch), Card()
    case = module.run(card, name)
    assert card.unavailable == {}
    assert {"CUDA graph, foreach SGD", "CUDA graph, fused SGD", module.CAPTURED} < set(names)
    assert case["captured_s"] > 0
    assert module.CAPTURED not in case["peers"]
    assert (case["n_images"], case["timed_images"]) == (700, 140)


@torch.no_grad()
def test_another_training_as_a_graph_is_noticed(script, monkeypatch) -> None:
    module = script("benchmarks/train_epoch.py")
    once(module, monkeypatch)
    monkeypatch.setattr(module, "peers", lambda _: {})
    monkeypatch.setattr(module, "packed_parameters", lambda m: [p * 1.1 for p in m.parameters()])
    with pytest.raises(module.NotEqualError, match=r"^train_epoch/mlp, ours as a CUDA graph: los"):
        module.run(Card(), "mlp")


def test_predict_shifts_with_our_graph(script, monkeypatch) -> None:
    module = script("benchmarks/predict_shifts.py")
    names, card = once(module, monkeypatch), Card()
    monkeypatch.setattr(module, "CUDA_PEERS", {"PyTorch eager": module.CUDA_PEERS["PyTorch eager"]})
    monkeypatch.setattr(module, "CUDA_BATCH_SIZES", (55,))
    monkeypatch.setattr(module, "extra_mb", lambda *_: 1.0)
    case = module.run(card, "pooled_mlp")
    assert names == ["ours", "PyTorch eager", module.CAPTURED]
    assert case["captured_s"] > 0
    assert list(case["peers"]) == ["PyTorch eager"]
    model, images = card.trained("pooled_mlp"), card.mnist[1].images
    wrong = lenetshift.predict_shifts(model, images) + 1
    with pytest.raises(module.NotEqualError, match="other predictions"):
        module.our_graph(model, images, wrong)


def test_own_networks_on_a_card(script, monkeypatch) -> None:
    module = script("benchmarks/own.py")
    names, card = once(module, monkeypatch), Card()
    monkeypatch.setattr(module, "CUDA_IMAGES", {28: 4})
    monkeypatch.setattr(module, "CUDA_BATCH_SIZES", {28: (55, 110)})
    case = module.run(card, "lenet5_global_average")
    assert names == ["ours", "plain method", "loop by hand", module.REWRITTEN]
    assert case["reason"].startswith("shared")
    assert (case["timed_images"], case["peers_timed_images"]) == (4, 4)
    assert case["least_ratio"] is case["least_by_sharing"] is case["rss_mb"] is None


def test_the_amounts_of_own_networks(script) -> None:
    module = script("benchmarks/own.py")
    for own in module.NETWORKS.values():
        ours, peers, sizes = module.amounts(own, True)
        assert (ours, peers) == (own.images, max(1, own.images // 12))
        assert sizes == module.BATCH_SIZES[own.size]
        ours, peers, sizes = module.amounts(own, False)
        assert ours == peers
        assert max(sizes) <= ours * len(module.GRID)  # no batch is filled up


def test_only_a_cpu_rests(script, monkeypatch) -> None:
    timing = script("benchmarks/timing.py")
    rests: list[float] = []
    monkeypatch.setattr(timing, "rest", rests.append)
    monkeypatch.setattr(timing, "settle", lambda: None)

    def clock(_: Any, n: int) -> float:
        return float(n)

    timing.interleave({"ours": None}, 2, clock)
    assert rests == []
    monkeypatch.setattr(timing, "cpu_clock", clock)
    timing.interleave({"ours": None}, 2, clock)
    assert rests == [2.0, 1.0, 1.0]


def made_up(*names: str, **more: Any) -> dict[str, Any]:
    """Results of a card that has measured some cases."""
    cases = [
        {
            "case": name, "ours_s": 2e-3, "ours_fastest_s": 2e-3, "ours_spread": 0.1,
            "peers": {"CUDA graph": 3e-3}, "peers_fastest_s": {"CUDA graph": 3e-3},
            "peers_spread": {"CUDA graph": 0.0}, "best_peer": "CUDA graph", "ratio": 1.5,
            "ratio_of_fastest": 1.5, "gflops": 10.0, "fraction_of_peak": 0.1, "gb_s": 1.0,
            "fraction_of_copy": 0.1, "multiply_adds": 1, "counted": "", "rss_mb": None,
        } | more
        for name in names
    ]  # fmt: skip
    return {
        "schema": 1,
        "machine": {"cpu": "a CPU", "cores": 16, "memory_gb": 126, "gpu": "a card"},
        "load_before": 0.1,
        "versions": {"python": "3.12", "lenetshift": "0.3.0", "torch": "2.13.0"},
        "device": "cuda", "isa": "avx512", "threads": 16, "quick": False, "peak_gflops": 1.0,
        "device_limits": {"matmul_gflops": 1.0, "copy_gb_s": 1.0}, "cases": cases,
        "failed": {}, "unavailable": {}, "wall_s": 60.0,
    }  # fmt: skip


def test_the_tables_show_graphs(script, tmp_path) -> None:
    report = script("benchmarks/report.py")
    results = made_up("train_epoch/lenet5", "c3_conv/forward/64/graph", captured_s=5e-4)
    tables = report.tables(results)
    assert "| `train_epoch/lenet5` | ours as a CUDA graph | 500 µs |  | 0.25 x |  |" in tables
    assert (
        "| `c3_conv/forward/64/graph` | 2.00 ms | 10% | 3.00 ms | CUDA graph | 1.50 x |" in tables
    )
    assert "ours as a CUDA graph 500 µs" in report.line(results["cases"][0])
    front = report.front_table([results])
    assert (
        "| `c3_conv`, 64 images, CUDA graphs | a card | 2.00 ms | 10% | 1.5 x CUDA graph |" in front
    )
    page = tmp_path / "README.md"
    page.write_text("<!-- cuda: begin -->\n<!-- cuda: end -->\n")
    report.update_readme(results, page)
    assert "ours as a CUDA graph" in page.read_text()


def test_result_files_are_joined(script, tmp_path, capsys) -> None:
    joined = script("benchmarks/joined.py")
    own, c3 = tmp_path / "own.json", tmp_path / "c3.json"
    first = made_up("own/resnet20", "c3_conv/forward/64")
    first["failed"] = {"c3_conv/forward/1000": "stopped"}
    own.write_text(json.dumps(first))
    c3.write_text(json.dumps(made_up("c3_conv/forward/64", "c3_conv/forward/1000", ours_s=1.0)))
    out = tmp_path / "all.json"
    assert joined.main([str(out), str(own), str(c3)]) == 0
    results = json.loads(out.read_text())
    assert [(case["case"], case["ours_s"]) for case in results["cases"]] == [
        ("c3_conv/forward/64", 1.0), ("c3_conv/forward/1000", 1.0), ("own/resnet20", 2e-3),
    ]  # fmt: skip
    assert (results["wall_s"], results["failed"]) == (120.0, {})
    assert "kept" not in results
    tables = out.with_suffix(".md").read_text()
    assert "| `own/resnet20` | 2.00 ms |" in tables
    assert tables.endswith("The whole run took 2.0 minutes.\n")
    assert joined.main([str(out), str(own), str(tmp_path / "absent.json")]) == 1
    assert "absent.json: no such file" in capsys.readouterr().err
    assert joined.main([str(out), str(tmp_path / "absent.json")]) == 2


def test_files_of_two_machines_are_not_joined(script, tmp_path) -> None:
    joined = script("benchmarks/joined.py")
    other = made_up("own/resnet20")
    other["machine"]["cpu"] = "another CPU"
    with pytest.raises(ValueError, match="machine: the file has "):
        joined.joined([made_up("own/resnet20"), other])
