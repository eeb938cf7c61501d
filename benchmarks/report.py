"""Tables of a result file. ``python benchmarks/report.py FILE ...`` writes them into the README here,
between its markers: a CPU file into the CPU part, with ``scaling.png``, a CUDA file into the CUDA part; and a
summary of all files into the README of the repository."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import scaling
from common import format_seconds
from one_time import with_one_time

README = Path(__file__).with_name("README.md")
FIGURE = Path(__file__).with_name("scaling.png")
FRONT_PAGE = Path(__file__).parents[1] / "README.md"


OURS_TOO = {"core_s": "our bare core call", "captured_s": "ours as a CUDA graph"}
"""Seconds of the same work done by us in another way, in a case that has them, and what they are called."""


def heading(results: dict[str, Any]) -> str:
    """Machine, versions and settings, in a few lines."""
    machine, limits = results["machine"], results["device_limits"]
    packages = ", ".join(
        f"{name} {number or 'missing'}" for name, number in results["versions"].items()
    )
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; "
        f"{results['threads']} threads, {results['isa']}; "
        f"load when it began: {results['load_before']}",
        packages,
    ]
    if limits:
        lines.append(
            f"{machine['gpu']}: measured {limits['matmul_gflops']:,.0f} GFLOP/s "
            f"(float32 matrix product), {limits['copy_gb_s']:,.0f} GB/s (copy)"
        )
    else:
        lines.append(f"measured peak: {results['peak_gflops']:.0f} GFLOP/s of float32 FMA")
    if results["quick"]:
        lines.append("a twentieth of the data (--quick): not for comparison")
    return "\n".join(lines)


def line(case: dict[str, Any]) -> str:
    """A finished case in one line."""
    text = f"  ours {format_seconds(case['ours_s'])} (spread {case['ours_spread']:.0%})"
    if case["best_peer"]:
        text += f"; fastest samples: {case['ratio_of_fastest']:.2f} x"
    for name, seconds in case["peers"].items():
        ratio = seconds / case["ours_s"]
        text += f"\n  {name} {format_seconds(seconds)}"
        text += f" (spread {case['peers_spread'][name]:.0%}), {ratio:.2f} x ours"
    for key, name in OURS_TOO.items():
        if case.get(key):
            text += f"\n  {name} {format_seconds(case[key])}"
    if case["fraction_of_peak"] is not None:
        text += f"\n  {case['gflops']:,.0f} GFLOP/s, {case['fraction_of_peak']:.0%} of the peak"
        text += f" ({case['counted']})"
    if case["gb_s"] is not None:
        text += f"\n  {case['gb_s']:,.1f} GB/s of what must be read and written"
        if case["fraction_of_copy"] is not None:
            text += f", {case['fraction_of_copy']:.0%} of a copy's"
    if case["rss_mb"] is not None:
        text += f"\n  {case['rss_mb']:.0f} MB"
    return text


def tables(results: dict[str, Any]) -> str:
    """All tables, in Markdown."""
    results = with_one_time(results)
    parts = ["\n".join(f"{text}  " for text in heading(results).splitlines())]
    if results["cases"]:
        parts += [summary(results["cases"]), every_peer(results["cases"])]
    if any(case.get("by_sharing") for case in results["cases"]):
        parts.append(by_sharing(results["cases"]))
    if results.get("isas"):
        parts.append(instruction_sets(results["isas"]))
    if results.get("scaling"):
        parts.append(memory(results["scaling"]["images"]))
        parts.append(f"![Time against the number of shifts and of images]({FIGURE.name})")
    for name, reason in (results["unavailable"] | results["failed"]).items():
        parts.append(f"Not measured: {name}, {reason}.")
    if results.get("kept"):
        kept = ", ".join(f"`{name}`" for name in results["kept"])
        parts.append(f"Of an earlier run on this machine: {kept}.")
    minutes = results["wall_s"] / 60
    return "\n\n".join([*parts, f"The whole run took {minutes:.1f} minutes."])


def summary(cases: Sequence[dict[str, Any]]) -> str:
    """Our time and that of the best peer."""
    rows = []
    for case in cases:
        best = case["best_peer"]
        fraction = case["fraction_of_peak"]
        rows.append(
            (
                f"`{case['case']}`",
                format_seconds(case["ours_s"]),
                f"{case['ours_spread']:.0%}",
                format_seconds(case["peers"][best]) if best else "",
                _described(case, best) if best else "no peer",
                f"{case['ratio']:.2f} x" if best else "",
                f"{case['ratio_of_fastest']:.2f} x" if best else "",
                "" if fraction is None else f"{case['gflops']:,.0f} GFLOP/s, {fraction:.0%}",
                _bandwidth(case),
                "" if case["rss_mb"] is None else f"{case['rss_mb']:.0f} MB",
            )
        )
    head = ("case", "ours", "spread", "best peer", "which", "ratio", "of the fastest samples")
    return _table((*head, "of peak", "bytes", "memory"), rows)


def every_peer(cases: Sequence[dict[str, Any]]) -> str:
    """Each peer in each case, the slowest last."""
    rows = []
    for case in cases:
        for name in sorted(case["peers"], key=case["peers"].get):
            seconds = case["peers"][name]
            full = case.get("full_pass", {}).get(name)
            rows.append(
                (
                    f"`{case['case']}`",
                    _described(case, name),
                    format_seconds(seconds),
                    f"{case['peers_spread'][name]:.0%}",
                    f"{seconds / case['ours_s']:.2f} x",
                    format_seconds(full) if full else "",
                )
            )
        for key, name in OURS_TOO.items():
            if case.get(key):
                ratio = f"{case[key] / case['ours_s']:.2f} x"
                seconds = format_seconds(case[key])
                rows.append((f"`{case['case']}`", name, seconds, "", ratio, ""))
    return _table(("case", "peer", "time", "spread", "ratio to ours", "full pass, once"), rows)


def by_sharing(cases: Sequence[dict[str, Any]]) -> str:
    """How much of the ratio comes from shared features, and how much from the rewritten network."""
    rows = [
        (
            f"`{case['case']}`",
            f"{case['by_sharing']:.2f} x{_target(case['least_by_sharing'])}",
            f"{case['ratio']:.2f} x{_target(case['least_ratio'])}",
            format_seconds(case["first_call_s"]),
        )
        for case in cases
        if case.get("by_sharing")
    ]
    head = ("case", "against the rewritten method", "against the best peer", "choice and check")
    return _table(head, rows)


def _target(least: float | None) -> str:
    return "" if least is None else f" (target {least})"


def instruction_sets(rows: Sequence[dict[str, Any]]) -> str:
    """Our time, with a column for each instruction set."""
    names = list(dict.fromkeys(row["isa"] for row in rows))
    seconds = {(row["case"], row["isa"]): row["ours_s"] for row in rows}
    cases = dict.fromkeys(row["case"] for row in rows)
    body = [
        (f"`{case}`", *(format_seconds(seconds[case, name]) for name in names)) for case in cases
    ]
    return _table(("ours, by instruction set", *names), body)


def memory(rows: Sequence[dict[str, Any]]) -> str:
    """Time and memory against the number of images."""
    body = [
        (
            f"`{row['model']}`",
            f"{row['n_images']:,}",
            format_seconds(row["seconds"]),
            f"{row['predictions_mb']:.1f} MB",
            f"{row['extra_mb']:.1f} MB",
        )
        for row in rows
    ]
    return _table(("model", "images", "time", "predictions", "memory beside them"), body)


def update_readme(results: dict[str, Any], readme: Path = README) -> None:
    """Put the tables between the README's markers for this device."""
    _put(readme, results["device"], tables(results))


def draw(results: dict[str, Any], path: Path = FIGURE) -> None:
    """Draw the results of the part ``scaling``, if a run has it."""
    if results.get("scaling"):
        scaling.draw(with_one_time(results)["scaling"], path)


def _put(page: Path, name: str, new: str) -> None:
    """Put a text between the markers of this name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = page.read_text()
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{page}: expected {begin} and {end} once each")
    before, rest = text.split(begin)
    _, after = rest.split(end)
    page.write_text(f"{before}{begin}\n{new}\n{end}{after}")


SHOWN = {
    **{f"predict_shifts/{model}": name for model, name in scaling.NAMES.items()},
    "own/pytorch_example": "PyTorch's MNIST example",
    "own/keras_convnet": "Keras's MNIST convnet",
    "own/padded_convnet": "a convnet that pads",
    "own/resnet20": "ResNet-20, 32 x 32",
    "train_epoch/lenet5": "an epoch of training, LeNet-5",
    "c3_conv/forward/64": "`c3_conv`, 64 images",
    "c3_conv/forward_backward/64": "`c3_conv` and its gradients, 64 images",
    "c3_conv/forward/64/graph": "`c3_conv`, 64 images, CUDA graphs",
    "c3_conv/forward_backward/64/graph": "`c3_conv` and its gradients, 64 images, CUDA graphs",
}
"""Cases on the front page. Of the others those that are slower than their best peer, together."""


def front_table(files: Sequence[dict[str, Any]]) -> str:
    """Which versions, then for each case ours, the best peer and PyTorch eager, machine by machine."""
    versions = dict.fromkeys(_versions(results) for results in files)
    if len(versions) == 1:
        measured = next(iter(versions))
    else:
        measured = "; ".join(f"{_versions(results)} on {_machine(results)}" for results in files)
    rows = [row for results in files for row in (*_shown(results), *_slower(results))]
    head = ("what", "on", "time", "spread", "times as fast as")
    return f"{measured}.\n\n{_table(head, rows)}"


def _versions(results: dict[str, Any]) -> str:
    versions = results["versions"]
    return f"lenetshift {versions['lenetshift']}, PyTorch {versions['torch']}"


def _machine(results: dict[str, Any]) -> str:
    machine = results["machine"]
    return machine.get("gpu") or f"{machine['cpu']}, {machine['cores']} cores"


def _shown(results: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    """The rows of the cases that are shown by name."""
    cases = {case["case"]: case for case in results["cases"] if case["best_peer"]}
    for name, title in SHOWN.items():
        if name not in cases:
            continue
        case = cases[name]
        peers = {case["best_peer"]: case["ratio"]}
        if "PyTorch eager" in case["peers"]:
            peers["PyTorch eager"] = case["peers"]["PyTorch eager"] / case["ours_s"]
        beside = ", ".join(f"{_times(ratio)} {peer}" for peer, ratio in peers.items())
        spread = f"{case['ours_spread']:.0%}"
        yield title, _machine(results), format_seconds(case["ours_s"]), spread, beside


def _slower(results: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    """A row for the cases of each kind that are not shown and slower than their best peer."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for case in results["cases"]:
        if case["best_peer"]:
            kinds.setdefault(case["case"].split("/")[0], []).append(case)
    for kind, cases in kinds.items():
        slow = [case for case in cases if case["ratio"] < 1 and case["case"] not in SHOWN]
        if slow:
            yield (
                f"`{slow[0]['case']}`"
                if len(slow) == 1
                else f"`{kind}`: {len(slow)} of {len(cases)} cases",
                _machine(results),
                _range([case["ours_s"] for case in slow], format_seconds),
                _range([case["ours_spread"] for case in slow], "{:.0%}".format),
                f"{_range([case['ratio'] for case in slow], _times)} the best peer",
            )


def _range(values: Sequence[float], shown: Callable[[float], str]) -> str:
    return " to ".join(dict.fromkeys(map(shown, (min(values), max(values)))))


def _times(ratio: float) -> str:
    """A ratio, in bold if ours is slower."""
    return f"**{ratio:.2g} x**" if ratio < 1 else f"{ratio:.3g} x"


def update_front_page(files: Sequence[dict[str, Any]], page: Path = FRONT_PAGE) -> None:
    """Put the table between the markers of the repository's README."""
    _put(page, "speed", front_table(files))


def _bandwidth(case: dict[str, Any]) -> str:
    if case["gb_s"] is None:
        return ""
    copy = case["fraction_of_copy"]
    return f"{case['gb_s']:,.1f} GB/s" + ("" if copy is None else f", {copy:.0%}")


def _described(case: dict[str, Any], peer: str) -> str:
    setting = case.get("settings", {}).get(peer)
    return f"{peer}, {setting}" if setting else peer


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python benchmarks/report.py FILE ...")
    every = [json.loads(Path(path).read_text()) for path in sys.argv[1:]]
    for one in every:
        update_readme(one)
        draw(one)
    update_front_page(every)
    if len({one["versions"]["lenetshift"] for one in every}) > 1:
        print("The files are of several versions: measure again before a release.", file=sys.stderr)
