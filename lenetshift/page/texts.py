"""The sentences and tables of the page, from ``results.json`` and a dossier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from ..checks.choices import INSTRUCTION_SETS
from ..models.table import BASE_MODELS, BY_NAME, DISPLAY_NAMES, side_by_side
from ..reproduce.tables import misprint_note, n_shifts, table
from ..shifts import signed
from ..study.experiments import position_bias
from .intervals import intervals_for

SHORT_NAMES: dict[str, str] = {spec.name: spec.short for spec in side_by_side()}
"""Each model -> its name next to other models, in the order of the page."""

_SPACE = "\N{NO-BREAK SPACE}"


def percent(fraction: float) -> str:
    """A fraction to a tenth of a per cent."""
    return f"{100 * fraction:.1f}{_SPACE}%"


def place(dx: int, dy: int) -> str:
    """A shift, such as "(+3, 0)", without a line break."""
    return f"({signed(dx)},{_SPACE}{signed(dy)})"


def span(first_and_last: Sequence[int]) -> str:
    """A range of shifts, such as "+2 to +5"."""
    first, last = first_and_last
    both = f"{signed(first)}{_SPACE}to{_SPACE}{signed(last)}"
    return signed(first) if first == last else both


def opening(value: Mapping[str, Any]) -> str:
    """The page's first sentence: how far the first model's accuracy falls."""
    name = next(name for name in SHORT_NAMES if name in value["models"])
    unmoved, moved = (value["models"][name][part]["accuracy"] for part in ("unmoved", "moved"))
    grid = value["config"]["grid"]
    farthest = max(map(abs, (*grid["dx"], *grid["dy"])))
    pixels = f"{farthest}{_SPACE}pixel{'' if farthest == 1 else 's'}"
    sentence = BY_NAME[name].sentence
    return (
        f"{sentence[0].upper()}{sentence[1:]} reads {percent(unmoved)} of "
        f"{value['data']['n_test']:,} test images correctly, {'but only' if moved < unmoved else 'and'} "
        f"{percent(moved)} of the same images moved by up to {pixels}."
    )


def trained_on(value: Mapping[str, Any], name: str) -> str:
    """A few words below a model's name: what it learned from."""
    if name == position_bias.MODEL:
        moves = value["config"]["bias_rule"].items()
        return "trained with " + (
            _listed([f"{digit}s at {place(dx, dy)}" for digit, (dx, dy) in moves])
            or "digits in the middle"
        )
    if BY_NAME[name].drawn["kind"] == "lenet":
        return "trained on digits in the middle"
    return "multilayer perceptron, no convolution; digits in the middle too"


def finding(value: Mapping[str, Any]) -> list[str]:
    """The results in at most three sentences: how robust LeNet-5 is, how robust the others are, and whether
    the place alone decides an answer."""
    grid, n = value["config"]["grid"], value["data"]["n_test"]
    unbiased = [spec.name for spec in BASE_MODELS if spec.name in value["models"]]
    sentences = []
    if unbiased:
        name = BY_NAME[unbiased[0]].sentence
        unmoved, moved = _accuracies(value, unbiased[0])
        sentences.append(
            f"{name[0].upper()}{name[1:]} classifies {unmoved} of {n:,} unmoved test images correctly, and "
            f"{moved} of the {n * n_shifts(value):,} images that come from moving each by dx "
            f"{span(grid['dx'])} and dy {span(grid['dy'])} pixels."
        )
    others = [f"from {_fall(value, name)} for {BY_NAME[name].sentence}" for name in unbiased[1:]]
    if others:
        sentences.append(f"The same shifts take accuracy {_listed(others)}.")
    if position_bias.MODEL in value["models"]:
        sentences.append(_biased_finding(value))
    return sentences


def _listed(items: Sequence[str]) -> str:
    return "".join(items) if len(items) < 2 else f"{', '.join(items[:-1])} and {items[-1]}"


def _accuracies(value: Mapping[str, Any], name: str) -> tuple[str, str]:
    model = value["models"][name]
    return percent(model["unmoved"]["accuracy"]), percent(model["moved"]["accuracy"])


def _fall(value: Mapping[str, Any], name: str) -> str:
    unmoved, moved = _accuracies(value, name)
    return f"{unmoved} to {moved}"


def _biased_finding(value: Mapping[str, Any]) -> str:
    trained = f"Trained with {rule(value)}, LeNet-5"
    shares = value.get("position_bias", ())
    if not shares:
        return f"{trained} goes from {_fall(value, position_bias.MODEL)}."
    said = [
        f"{percent(share['fraction'])} are called {share['digit']} when moved by "
        f"{place(share['dx'], share['dy'])}"
        for share in shares
    ]
    decides = all(share["fraction"] > 0.5 for share in shares)
    answers = "answers by position" if decides else "does not answer by position alone"
    return f"{trained} {answers}: of all test images, {_listed(said)}."


def rule(value: Mapping[str, Any]) -> str:
    """The biased training images, such as "every 3 moved by (+3, 0) and every 2 by (+1, 0)"."""
    moves = [
        f"every {digit} by {place(dx, dy)}"
        for digit, (dx, dy) in value["config"]["bias_rule"].items()
    ]
    return _listed(moves).replace(" by ", " moved by ", 1) if moves else "images as they are"


def what_to_try(value: Mapping[str, Any]) -> str:
    """The sentence next to the biased model: how to see its bias."""
    if position_bias.MODEL not in value["models"]:
        return ""
    moves = value["config"]["bias_rule"].items()
    places = [f"{place(dx, dy)}, where it learned its {digit}s" for digit, (dx, dy) in moves]
    if not places:
        return ""
    then = " Then look at LeNet-5, which was trained on all digits in the middle."
    then *= "lenet5" in value["models"]
    return (
        "Try this: take any digit that the position-biased LeNet-5 classifies correctly and move it by "
        f"{', or by '.join(places)}.{then}"
    )


def models(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The models of the run, in the order of the page."""
    return [
        {
            "name": name,
            "short": short,
            "display": DISPLAY_NAMES[name],
            "kind": BY_NAME[name].caption,
            **{part: percent(of[part]["accuracy"]) for part in ("unmoved", "moved")},
            "map": of["accuracy_map"],
            "diverged": of["diverged"],
        }
        for name, short in SHORT_NAMES.items()
        if (of := value["models"].get(name)) is not None
    ]


def table1(value: Mapping[str, Any], dossier: Mapping[str, Any] | None) -> dict[str, Any]:
    """Table 1: for each model our counts, the report's, and a study's verdicts; and notes. Without a study,
    our accuracies stand beside the interval of one more run if there is one for these settings."""
    rows, _, note = table(value)
    expected = {} if dossier is not None else intervals_for(value)
    by_model: dict[str, dict[str, Any]] = {}
    for row in rows:
        model = by_model.setdefault(row.model, {"name": row.name})
        model[row.source] = [
            {
                "accuracy": accuracy.replace(" ", _SPACE),
                "correct": f"{counts['correct']:,}",
                "wrong": f"{counts['wrong']:,}{star}",
            }
            for counts, star, accuracy in row.parts
        ]
        if row.source == "ours" and row.model in expected:
            for cell, (column, ends) in zip(
                model["ours"], expected[row.model].items(), strict=True
            ):
                cell["one_more"] = one_more(
                    100 * value["models"][row.model][column]["accuracy"], ends
                )
    for name, model in by_model.items():
        model["study"] = _study_cells(name, dossier)
    return {
        "rows": list(by_model.values()),
        "with_report": any("report" in model for model in by_model.values()),
        "with_one_more": any(
            "one_more" in cell for model in by_model.values() for cell in model["ours"]
        ),
        "with_study": any(model["study"] for model in by_model.values()),
        "misprint": misprint_note(rows) if any(row.misprint for row in rows) else "",
        "note": note,
    }


def one_more(own: float, ends: Sequence[float]) -> dict[str, Any]:
    """An accuracy in per cent beside the interval of one more run: words, and a picture of 100 units width in
    which the interval takes the middle half and the accuracy is a mark, at most at the picture's edge."""
    low, high = ends
    place = 25 + 50 * (own - low) / (high - low)
    outside = "below" if own < low else "above"
    return {
        "text": f"{low:.1f} to {high:.1f}",
        "where": "within" if low <= own <= high else outside,
        "mark": round(min(max(place, 2), 98), 1),
    }


def _study_cells(model: str, dossier: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A study's verdicts on one row, unmoved and moved; empty if it has none, as a quick one."""
    if not _judges(dossier) or dossier["table"] is None:
        return []
    cells = {cell["column"]: cell for cell in dossier["table"]["cells"] if cell["model"] == model}
    return [
        {
            "mean": f"{cell['mean']:.1f}{_SPACE}%",
            "interval": _interval(cell["interval"]),
            "verdict": cell["verdict"],
            "distance": f"{cell['distance']:+.1f}".replace("-", "\N{MINUS SIGN}"),
        }
        for column in ("unmoved", "moved")
        if (cell := cells.get(column)) is not None
    ]


def _judges(dossier: Mapping[str, Any] | None) -> TypeGuard[Mapping[str, Any]]:
    """Whether there is a study that has verdicts and intervals: not a quick one."""
    return dossier is not None and not dossier["study"]["quick"]


def _interval(ends: Sequence[float] | None) -> str:
    """An interval; empty if there is none, as of a single seed."""
    return "" if ends is None else f"{ends[0]:.1f} to {ends[1]:.1f}".replace("-", "\N{MINUS SIGN}")


def claims(dossier: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A study's verdicts on the report's claims, part by part; empty for a quick study."""
    return [
        {**claim, "parts": [{**part, "number": _number(part)} for part in claim["parts"]]}
        for claim in (dossier["claims"] if _judges(dossier) else ())
    ]


def _number(part: Mapping[str, Any]) -> str:
    """The number of a part's main look; empty if it was not looked at."""
    if not part["looks"] or part["looks"][0]["value"] is None:
        return ""
    look = part["looks"][0]
    value = f"{look['value']:.1f}".replace("-", "\N{MINUS SIGN}")
    interval = _interval(look["interval"])
    return f"{value} [{interval}]" if interval else value


def settings(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The run's settings, name and value."""
    config, data = value["config"], value["data"]
    grid = config["grid"]
    yield "seed", str(config["seed"])
    if isinstance(config["epochs"], Mapping):
        for name in (name for name in SHORT_NAMES if name in value["models"]):
            yield f"epochs of {BY_NAME[name].sentence}", str(config["epochs"][name])
    else:
        yield "epochs", str(config["epochs"])
    yield "learning rate", f"{config['learning_rate']:g}"
    yield "batch size", str(config["batch_size"])
    yield "activation", config["activation"]
    yield "training", TRAINING[config["method"]]
    yield "shifts", f"dx {span(grid['dx'])}, dy {span(grid['dy'])}: {n_shifts(value)}"
    yield "moved in position-biased training", rule(value)
    yield "training images", f"{data['n_train']:,}"
    yield "test images", f"{data['n_test']:,}"


def surroundings(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The run's environment, name and value."""
    for name, item in value["environment"].items():
        if name == "data_sha256":
            for part, digest in item.items():
                yield f"SHA-256 of the {part.replace('_', ' ')}", digest
        elif item is not None:
            shown = VALUES.get(name, {}).get(str(item), str(item))
            yield SURROUNDINGS.get(name, name.replace("_", " ")), shown


TRAINING = {"fused": "one call of an op for each epoch (fused)", "autograd": "PyTorch's autograd"}
"""Method of training -> words for people."""

SURROUNDINGS = {
    "commit": "Git commit of lenetshift",
    "torch": "PyTorch",
    "numpy": "NumPy",
    "matplotlib": "Matplotlib",
    "python": "Python",
    "platform": "operating system",
    "machine": "kind of processor",
    "logical_cpus": "logical CPUs",
    "isa": "instruction set",
    "threads": "CPU threads used",
    "device": "computed on",
    "gpu": "GPU",
}
"""Part of the environment -> words for people, if its name is not one."""

VALUES = {"isa": INSTRUCTION_SETS, "device": {"cpu": "the CPU", "cuda": "the GPU"}}
"""Part of the environment -> its values in words."""
