"""docs/networks.md: sixty networks of torchvision and timm under a grid of shifts, by ``auto`` and by a loop.

    pip install '.[zoo]'
    python tools/generate/networks.py                     # all of them, in the better part of an hour
    python tools/generate/networks.py --keep              # only those that docs/networks.json does not have
    python tools/generate/networks.py --only resnet18 vit_b_32  # these again, all others as they are
    python tools/generate/networks.py --quick --out /tmp/networks.md  # six networks, two turns
    python tools/generate/networks.py --write             # the page again, from docs/networks.json

For each network the answers of ``method="auto"`` are compared with those of a loop written by hand; then
``auto``, ``method="plain"`` and the loop are timed in turn. Results are kept after each network, so that the
command may be stopped and started again with ``--keep``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from zoo import ENTRIES, QUICK, Entry, images_of, made

from lenetshift import ShiftGrid
from lenetshift.checks.text import in_a_line
from lenetshift.predict.evaluator import ShiftEvaluator

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

from machine import load, machine, versions  # noqa: E402

PAGE = ROOT / "docs" / "networks.md"

GRID = ShiftGrid(range(-2, 2), range(-2, 2))
"""Its 16 shifts fill whole batches of every method, whatever the number of images."""

BATCH_SIZES = (2, 4, 8, 16)
"""Patterns at once, of which the loop takes the fastest."""

TURNS, QUICK_TURNS = 5, 2

SAMPLE_S = 0.25
"""About how long the loop takes in each turn, with as many images as that needs."""

MOST_IMAGES = 8

TIE = 1e-4
"""Logits this near to each other, as a part of the largest, are a tie: either answer is right."""

LEAST = 0.97
"""Of the speed of the faster of loop and plain method, which ``auto`` must have: a target, and the spread of
such measurements."""


@dataclass(frozen=True)
class Measured:
    """A row of the table.

    Attributes:
        name, library, size: of the network.
        method: the one that ``auto`` takes; "failed" if it raises.
        reason: why; the error if it raises.
        difference: the largest of logits from the loop's, as a part of the pattern's largest logit.
        other_answers: patterns that are answered otherwise than by the loop, without a tie.
        patterns: those that are compared and timed.
        seconds: CPU time of all patterns, ``auto``, ``plain`` and ``loop``: the median of the turns.
        batch_size: the loop's.
        first_s: CPU time of the first call, with one image: in it the method is chosen and compared.
        turns: their number.
        set_up: versions, machine and its load.
    """

    name: str
    library: str
    size: int
    method: str
    reason: str
    difference: float
    other_answers: int
    patterns: int
    seconds: dict[str, float]
    batch_size: int
    first_s: float
    turns: int
    set_up: dict[str, Any]

    @property
    def ratio(self) -> float:
        """How many times faster ``auto`` is than the faster of plain method and loop."""
        return min(self.seconds["plain"], self.seconds["loop"]) / self.seconds["auto"]


def measure(entry: Entry, turns: int) -> Measured:
    """Compare and time one network."""
    model = made(entry)
    loops = {n: loop(model, n) for n in BATCH_SIZES}
    one = images_of(entry.size, 1)
    loops[BATCH_SIZES[-1]](one)  # warms up
    tried = {n: min(cpu_s(lambda run=run: run(one)) for _ in range(2)) for n, run in loops.items()}
    best = min(tried, key=lambda n: tried[n])
    images = images_of(entry.size, max(1, min(MOST_IMAGES, round(SAMPLE_S / tried[best]))))
    auto, plain = ShiftEvaluator(model, GRID), ShiftEvaluator(model, GRID, method="plain")
    first_s = cpu_s(lambda: auto.answer(one))
    answers = auto.answer(images, return_logits=True)
    assert answers.logits is not None
    difference, others = compared(answers.logits.flatten(0, 2), loops[best](images))
    runs = {
        "auto": lambda: auto.answer(images),
        "plain": lambda: plain.answer(images),
        "loop": lambda: loops[best](images),
    }
    for run in runs.values():
        run()
    return Measured(
        *(entry.name, entry.library, entry.size, answers.method),
        answers.reason.split(": ", 1)[1],
        *(difference, others, len(images) * len(GRID), in_turn(runs, turns)),
        *(best, first_s, turns, set_up()),
    )


def loop(model: nn.Module, batch_size: int) -> Callable[[Tensor], Tensor]:
    """A loop over batches of patterns, which are moved in advance as bytes: the logits ``[patterns, K]``."""

    @torch.inference_mode()
    def run(images: Tensor) -> Tensor:
        moved = torch.ops.lenetshift.translate(images, GRID.shifts()).flatten(0, 1)
        return torch.cat([model(batch / 255) for batch in moved.split(batch_size)])

    return run


def cpu_s(run: Callable[[], object]) -> float:
    """CPU time of a call: on a busy machine, too, it says what the call costs."""
    start = time.process_time()
    run()
    return time.process_time() - start


def in_turn(runs: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """The median CPU time of each, of so many turns; every second turn goes the other way round."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(turns):
        for name in list(runs)[:: -1 if turn % 2 else 1]:
            times[name].append(cpu_s(runs[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def compared(ours: Tensor, expected: Tensor) -> tuple[float, int]:
    """The largest difference of logits ``[patterns, K]`` as a part of the pattern's largest logit, and the
    number of patterns whose answer is another one, without a tie."""
    largest = expected.abs().amax(1)
    difference = ((ours - expected).abs().amax(1) / largest).max().item()
    answered = expected.gather(1, ours.argmax(1, keepdim=True))[:, 0]
    others = expected.amax(1) - answered > TIE * largest
    return difference, int(others.sum())


def set_up() -> dict[str, Any]:
    """Versions and machine."""
    used = {name: versions()[name] for name in ("python", "lenetshift", "torch")}
    used |= {name: version(name) for name in ("torchvision", "timm")}
    return {"machine": machine(), "versions": used, "load": load(), "system": platform.system()}


def failed(entry: Entry, error: Exception, turns: int) -> Measured:
    """The row of a network that raises."""
    nothing = {"auto": float("nan"), "plain": float("nan"), "loop": float("nan")}
    return Measured(
        *(entry.name, entry.library, entry.size, "failed", in_a_line(error)),
        *(float("nan"), 0, 0, nothing, 0, 0.0, turns, set_up()),
    )


def page(rows: list[Measured], n_listed: int = len(ENTRIES)) -> str:
    """The document, of those of so many networks that were measured."""
    answered = [row for row in rows if row.method != "failed"] or rows
    worst = max(answered, key=lambda row: row.difference)
    below = [f"{row.name} ({row.ratio:.2f})" for row in rows if not row.ratio >= LEAST]
    by_method = {name: sum(row.method == name for row in rows) for name in METHODS}
    methods = ", ".join(f"{n} {name}" for name, n in by_method.items() if n)
    others = sum(row.other_answers for row in rows)
    turns = sorted({row.turns for row in rows})
    return "\n".join(
        [
            "# Networks of torchvision and timm",
            "",
            f"{len(rows)} of {n_listed} networks under {len(GRID)} shifts, dx and dy from {GRID.dx[0]} to "
            f'{GRID.dx[-1]}: what `method="auto"` does with each,',
            "whether its answers are those of a loop written by hand, and how fast it is.",
            "",
            "This page is written by `python tools/generate/networks.py`; its numbers are in",
            "[networks.json](networks.json).",
            "",
            *heading(rows),
            "",
            f"- Methods: {methods}.",
            f"- Answers that differ from the loop's, without a tie (logits within {TIE:g} of the "
            f"largest): {others} of {sum(row.patterns for row in rows):,}.",
            f"- Largest difference of logits from the loop's: {worst.difference:.1e} of the pattern's "
            f"largest logit ({worst.name}).",
            f"- Slower than {LEAST} of the faster of plain method and loop: {', '.join(below) or 'none'}.",
            "",
            "The networks have random weights, and batch normalizations that have seen eight images; the",
            "images are smooth random pictures without a blank margin. Times are CPU time in milliseconds",
            "for each pattern, on one thread, of an evaluator that has chosen its method: the median of",
            f"{' or '.join(map(str, turns))} turns. The loop runs at the fastest of batches of "
            f"{', '.join(map(str, BATCH_SIZES))} patterns.",
            "The ratio says how many times faster `auto` is than the faster of plain method and loop.",
            "",
            "| network | size | method | why, or how far | difference | other answers | `auto` | `plain` "
            "| loop | ratio |",
            "|---|---:|---|---|---:|---:|---:|---:|---:|---:|",
            *map(line, rows),
            "",
        ]
    )


METHODS = ("shared", "rewritten", "plain", "failed")


def heading(rows: list[Measured]) -> list[str]:
    """Machines and versions, each with the number of networks unless it is that of all."""
    found: dict[str, int] = {}
    for row in rows:
        at, used = row.set_up["machine"], row.set_up["versions"]
        packages = ", ".join(f"{name} {number}" for name, number in used.items())
        text = f"{at['cpu']}, {at['cores']} cores, {at['memory_gb']} GB; {packages}"
        found[text] = found.get(text, 0) + 1
    loads = [row.set_up["load"] for row in rows]
    return [
        *(text if len(found) == 1 else f"{n} networks: {text}" for text, n in found.items()),
        f"(load of the machine while it ran: {min(loads)} to {max(loads)}).",
    ]


def line(row: Measured) -> str:
    """A network's row of the table."""
    reason = row.reason.replace("|", "\\|")
    times = [row.seconds[name] / max(1, row.patterns) * 1e3 for name in ("auto", "plain", "loop")]
    cells = [
        *(row.name, str(row.size), row.method, reason, f"{row.difference:.0e}"),
        *(str(row.other_answers), *(f"{ms:.3g}" for ms in times), f"{row.ratio:.2f}"),
    ]
    return "| " + " | ".join(cells) + " |"


def kept(file: Path) -> dict[str, Measured]:
    """The rows of a result file, by name."""
    if not file.exists():
        return {}
    return {row["name"]: Measured(**row) for row in json.loads(file.read_text())}


def keep(out: Path, rows: dict[str, Measured], names: list[str]) -> None:
    """Write the page and, beside it, the result file."""
    ordered = [rows[name] for name in names if name in rows]
    if not ordered:
        return
    text = ",\n".join(json.dumps(asdict(row)) for row in ordered)
    out.with_suffix(".json").write_text(f"[\n{text}\n]\n")
    out.write_text(page(ordered, len(names)))


def main(arguments: list[str], entries: tuple[Entry, ...] = ENTRIES) -> None:
    """The command."""
    options = parsed(arguments, [entry.name for entry in entries])
    torch.set_num_threads(1)
    names = [entry.name for entry in entries]
    wanted = options.only or (QUICK if options.quick else names)
    rows = kept(options.out.with_suffix(".json"))
    turns = QUICK_TURNS if options.quick else TURNS
    for entry in entries:
        if options.write or entry.name not in wanted or (options.keep and entry.name in rows):
            continue
        start = time.perf_counter()
        try:
            rows[entry.name] = row = measure(entry, options.turns or turns)
        except Exception as error:
            rows[entry.name] = row = failed(entry, error, turns)
        keep(options.out, rows, names)
        took = time.perf_counter() - start
        print(f"{line(row)} [{len(rows)} of {len(names)}, {took:.0f} s]", flush=True)
    keep(options.out, rows, names)


def parsed(arguments: list[str], names: list[str]) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="these networks")
    parser.add_argument("--quick", action="store_true", help="six networks, two turns")
    parser.add_argument("--keep", action="store_true", help="not the networks that have results")
    parser.add_argument("--write", action="store_true", help="only write the page again")
    parser.add_argument("--turns", type=int, help=f"default: {TURNS}")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page; JSON goes beside it")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
