"""Measures what the remedies of lenetshift.remedies give and cost, and writes docs/remedies.md.

    python tools/generate/remedies.py

Two networks learn MNIST's centred digits, as they are and with each remedy, from three seeds each; then
every test digit is moved by all 55 shifts. It takes about a quarter of an hour on two idle cores. Finished
runs are kept in docs/remedies/unfinished.json, which becomes results.json in the end: an interrupted
command, called again, does the rest. Other settings, versions or data start anew, as does --again. --quick
and --data need --out, a folder for their own page and results. --write only writes the page from the results.

A run uses one thread, and runs go to as many processes as there are cores. Times are those of the
processor, so that other programs on the machine change them little.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from remedies_text import render
from torch import Tensor, nn

import lenetshift
from lenetshift import Dataset, ShiftGrid, evaluate_shifts, load_mnist, train
from lenetshift.data.dataset import as_input, dataset_sha256
from lenetshift.data.seeds import generator
from lenetshift.models.build import draw_weights
from lenetshift.models.lenet5 import C3Conv
from lenetshift.remedies import AdaptivePolyphaseSample2d, ShiftAveraged, antialiased
from lenetshift.storage.environment import available_cpus, environment
from lenetshift.storage.files import write_json, write_text

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "remedies.md"
RESULTS = DOCS / "remedies" / "results.json"

GRID = ShiftGrid()
"""The shifts of the evaluation, and those that jitter draws from."""

AVERAGED = ShiftGrid(range(-2, 3), range(-2, 3))
"""The shifts that shift averaging averages over."""

PRICED = {"9": ShiftGrid(range(-1, 2), range(-1, 2)), "25": AVERAGED, "55": GRID}
"""The grids whose price is measured for shift averaging."""

AS_IT_IS, JITTER, AVERAGING = "as it is", "jitter", "shift averaging"


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run's outcome besides data and versions."""

    n_train: int = 60_000
    n_test: int = 2_000
    epochs: int = 2
    seeds: int = 3
    learning_rate: float = 0.1
    batch_size: int = 64


QUICK = Settings(n_train=320, n_test=16, epochs=1, seeds=2)


# The networks


@dataclass(frozen=True)
class Network:
    """A convolutional network with two poolings that halve, and a dense layer that sees 5 x 5 places.

    Args:
        first, second: make the two convolutions.
        activation: makes an activation.
        pooling: nn.AvgPool2d or nn.MaxPool2d.
        channels: of the second convolution.
        dense: makes the dense layers after the first one.
        hidden: outputs of the first one.
    """

    first: Callable[[], nn.Module]
    second: Callable[[], nn.Module]
    activation: Callable[[], nn.Module]
    pooling: Callable[..., nn.Module]
    channels: int
    hidden: int
    dense: Callable[[], list[nn.Module]]

    def build(
        self, pool: Callable[[], nn.Module] | None = None, *, slides: bool = False
    ) -> nn.Sequential:
        """The network, with another pooling if one is given.

        ``slides``: its first dense layer, as a convolution, slides over the map with a border of zeros; what
        follows sees the average of its results over all places, and cannot read the digit's place.
        """
        pool = pool or (lambda: self.pooling(2))
        act = self.activation
        layers = [self.first(), act(), pool(), self.second(), act(), pool()]  # [N, channels, 5, 5]
        if slides:
            sliding = nn.Conv2d(self.channels, self.hidden, 5, padding=4)
            layers += [sliding, act(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        else:
            layers += [nn.Flatten(), nn.Linear(25 * self.channels, self.hidden), act()]
        return nn.Sequential(*layers, *self.dense())


NETWORKS = {
    "LeNet-5": Network(
        lambda: nn.Conv2d(1, 6, 5, padding=2), C3Conv, nn.Tanh, nn.AvgPool2d, 16, 120,
        lambda: [nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)],
    ),
    "small CNN": Network(
        lambda: nn.Conv2d(1, 16, 3), lambda: nn.Conv2d(16, 32, 3), nn.ReLU, nn.MaxPool2d, 32, 64,
        lambda: [nn.Linear(64, 10)],
    ),
}  # fmt: skip


def adaptive(pooling: Callable[..., nn.Module]) -> Callable[[], nn.Module]:
    """The pooling at every place, and then an adaptive polyphase sampling."""
    return lambda: nn.Sequential(pooling(2, stride=1), AdaptivePolyphaseSample2d())


REMEDIES: dict[str, Callable[[Network], nn.Module]] = {
    AS_IT_IS: lambda of: of.build(),
    "blur pool": lambda of: antialiased(of.build(lambda: nn.AvgPool2d(2))),
    "max-blur pool": lambda of: antialiased(of.build(lambda: nn.MaxPool2d(2))),
    "adaptive sampling": lambda of: of.build(adaptive(of.pooling)),
    "global average": lambda of: of.build(slides=True),
    "adaptive sampling, global average": lambda of: of.build(adaptive(of.pooling), slides=True),
    JITTER: lambda of: of.build(),
}
"""Those that are trained; shift averaging uses the network that was trained as it is."""


def built(network: str, remedy: str, seed: int) -> nn.Module:
    """A network with a remedy and random weights, which depend on the seed alone."""
    made = REMEDIES[remedy](NETWORKS[network])
    draw_weights(made, generator(seed))
    return made


# The runs


def perform(
    network: str, remedy: str, seed: int, settings: Settings, data: str | None
) -> dict[str, dict[str, Any]]:
    """Train and evaluate in one thread.

    Returns:
        What was measured, by the remedy's name; with shift averaging for the network as it is.
    """
    torch.set_num_threads(1)
    train_set, test = _data(settings, data)
    model = built(network, remedy, seed)
    how: dict[str, Any] = {
        "epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "batch_size": settings.batch_size,
        "seed": seed,
        "method": "autograd",
    }
    train(copy.deepcopy(model), train_set.subset(64), **{**how, "epochs": 1})  # prepares
    start = time.process_time()
    if remedy == JITTER:
        moved = lambda epoch: lenetshift.jitter(train_set, GRID, seed, epoch)  # noqa: E731
        train(model, data=moved, **how)
    else:
        train(model, train_set, **how)
    seconds = time.process_time() - start
    found = {remedy: {"training_seconds": seconds, **measured(model, test)}}
    if remedy == AS_IT_IS:
        averaged = ShiftAveraged(model, AVERAGED)
        found[AVERAGING] = {"training_seconds": seconds, **measured(averaged, test)}
    return found


def measured(model: nn.Module, test: Dataset) -> dict[str, Any]:
    """Metrics of a trained network, as fractions, and the processor's time for answers."""
    start = time.process_time()
    evaluation = evaluate_shifts(model, test, grid=GRID, progress=False)
    seconds = time.process_time() - start
    names = (
        "unmoved_accuracy",
        "moved_accuracy",
        "worst_case_accuracy",
        "flip_rate",
        "consistency",
    )
    return {
        **{name: float(evaluation.metric(name).value) for name in names},
        "evaluation_seconds": seconds,
        "answer_seconds": answer_seconds(model, as_input(test.images)),
        "method": evaluation.method,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def answer_seconds(model: nn.Module, images: Tensor, repeats: int = 5) -> float:
    """The processor's time to answer some images once, in batches of 64: the median of several."""
    model.eval()
    times = []
    with torch.no_grad():
        for _ in range(repeats + 1):
            start = time.process_time()
            for batch in images.split(64):
                model(batch)
            times.append(time.process_time() - start)
    return statistics.median(times[1:])  # the first one prepares


def prices(settings: Settings, data: str | None) -> dict[str, dict[str, float]]:
    """What an answer of shift averaging costs, in answers of the network itself, for each grid."""
    torch.set_num_threads(1)
    images = as_input(_data(settings, data)[1].images)[:512]
    padded = built("small CNN", AS_IT_IS, 0)
    for layer in padded:
        if isinstance(layer, nn.Conv2d):
            layer.padding = (1, 1)
    padded[7] = nn.Linear(32 * 7 * 7, 64)
    networks = {
        "small CNN, no padding": built("small CNN", AS_IT_IS, 0),
        "small CNN, both convolutions padded by 1": padded,
        "LeNet-5, the first convolution padded by 2": built("LeNet-5", AS_IT_IS, 0),
    }
    found: dict[str, dict[str, float]] = {}
    for name, network in networks.items():
        alone = answer_seconds(network, images)
        found[name] = {
            n: answer_seconds(ShiftAveraged(network, grid), images, 3) / alone
            for n, grid in PRICED.items()
        }
    return found


def _data(settings: Settings, data: str | None) -> tuple[Dataset, Dataset]:
    train_set, test = load_mnist(data)
    return (
        train_set.subset(min(settings.n_train, len(train_set))),
        test.subset(min(settings.n_test, len(test))),
    )


# The command


def ground(settings: Settings, data: str | None) -> dict[str, Any]:
    """What all runs of a results file have in common."""
    here = environment(torch.device("cpu"))
    kept = ("lenetshift", "torch", "isa", "processor")
    return {
        "settings": asdict(settings),
        "data": "MNIST" if data is None else Path(data).name,
        "sha256": dataset_sha256(load_mnist(data)[1]),
        **{name: here[name] for name in kept if name in here},
    }


def measure(path: Path, settings: Settings, data: str | None, workers: int, again: bool) -> None:
    """Do the runs that a results file, or one that is not finished, lacks, and write the file."""
    unfinished = path.with_name("unfinished.json")
    results: dict[str, Any] = {**ground(settings, data), "runs": {}, "prices": {}}
    for file in (path, unfinished):
        kept = {} if again else _read(file)
        if {**kept, "runs": {}, "prices": {}} == {**results, "runs": {}, "prices": {}}:
            results = dict(kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    jobs = [
        (network, remedy, seed)
        for seed in range(settings.seeds)
        for network in NETWORKS
        for remedy in REMEDIES
        if _name(network, remedy, seed) not in results["runs"]
    ]
    start = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(perform, *job, settings, data): job for job in jobs}
        for done, future in enumerate(as_completed(waiting), 1):
            network, remedy, seed = waiting[future]
            for name, found in future.result().items():
                results["runs"][_name(network, name, seed)] = found
            write_json(unfinished, results)
            minutes = (time.perf_counter() - start) / 60
            print(
                f"{done} of {len(jobs)} runs, {minutes:.1f} minutes: {network}, {remedy}, seed {seed}"
            )
        if not results["prices"]:  # alone, when all runs are done
            results["prices"] = pool.submit(prices, settings, data).result()
    write_json(path, results)
    unfinished.unlink(missing_ok=True)


def _name(network: str, remedy: str, seed: int) -> str:
    return f"{network}/{remedy}/{seed}"


def _read(path: Path) -> Mapping[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", metavar="DIR", help="a folder of IDX files, as load_mnist takes it"
    )
    parser.add_argument("--quick", action="store_true", help="a small part, to see that it works")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where to write remedies.md")
    parser.add_argument("--again", action="store_true", help="do all runs anew")
    parser.add_argument("--write", action="store_true", help="only write the page from the results")
    parser.add_argument("--workers", type=int, default=available_cpus(), help="processes")
    given = parser.parse_args(arguments)
    if given.out is None and (given.quick or given.data):
        parser.error("--quick and --data need --out: docs/ has the numbers of a whole run on MNIST")
    page, path = PAGE, RESULTS
    if given.out is not None:
        page, path = given.out / PAGE.name, given.out / "remedies" / RESULTS.name
    if not given.write:
        settings = QUICK if given.quick else Settings()
        measure(path, settings, given.data, given.workers, given.again)
    write_text(page, render(PAGE.read_text(encoding="utf-8"), _read(path)))
    print(f"{page} is written")


if __name__ == "__main__":
    sys.exit(main())
