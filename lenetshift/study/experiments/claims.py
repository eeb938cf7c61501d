"""The rules by which the report's numbers and claims are judged, written down before the numbers.

Everything here is a pure function of measures over seeds. A seed is one training; each comparison is
one between two sets of seeds (:mod:`lenetshift.study.experiments.statistics`).

The smallest difference that matters is 1 point of accuracy, :data:`MARGIN`: Table 1 is printed in whole
per cent. Two networks that differ by less are *equivalent*, a finding of its own that takes a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .position_bias import RULE
from .runs import GRID
from .statistics import (
    Interval,
    difference,
    holm,
    interval_of_mean,
    p_of_one_run,
    prediction_interval,
    sample,
)
from .table import MODELS, OUTCOMES

MARGIN = 1.0
"""The smallest difference that matters, in points of accuracy."""

MILD_LOSS = 10.0
"""Points that a network may lose and still be called mildly robust: LeNet-5's lead over the perceptron
in Table 1, 19 points, would be halved by more."""

HALF = 50.0
"""Per cent of images beyond which the position decides the answer more often than all else."""

SUPPORTED, CONTRADICTED, PARTLY, OPEN = "supported", "contradicted", "partly", "left open"
AGREES, DEVIATES = "agrees", "deviates"

Values = Sequence[float]
"""A measure, a value a seed, in per cent."""

Measured = Mapping[tuple[str, str, int], Mapping[str, Values]]
"""(experiment, setting, epochs) -> measure -> values. Beside the measures of
:data:`lenetshift.study.experiments.measures.DEFINITIONS` there are ``dx=-5`` ... ``dx=5`` (accuracy at that
dx, dy = 0) and, of position-biased runs, ``answered 3 at dx=3`` and its like and the names of
:data:`lenetshift.study.experiments.position_bias.FIGURES`."""


@dataclass(frozen=True)
class CellVerdict:
    """One accuracy of Table 1 beside ours, in per cent and points.

    Attributes:
        model, column: which; the column is ``"unmoved"`` or ``"moved"``.
        report: the report's, from its counts.
        n, mean, sd: ours over seeds.
        interval: where one more run's value lies (prediction interval over seeds, 95 %).
        distance: the report's less our mean, in points.
        distance_in_sds: the same in standard deviations over seeds; None where they are 0.
        p, p_corrected: of a run as far from the mean as the report's, and corrected for eight looks.
        verdict: ``"agrees"`` if the report's lies in the interval, else ``"deviates"``.
    """

    model: str
    column: str
    report: float
    n: int
    mean: float
    sd: float
    interval: Interval
    distance: float
    distance_in_sds: float | None
    p: float
    p_corrected: float
    verdict: str


@dataclass(frozen=True)
class Rule:
    """One part of a claim, and how it is judged.

    Attributes:
        claim: the report's number of it, 1 to 4.
        name: of the part.
        hypothesis: what the report says.
        measure: what is compared.
        supports, contradicts: what would; anything else leaves it open.
        judge: measures -> finding; raises KeyError where a run that it needs is not in the study.
    """

    claim: int
    name: str
    hypothesis: str
    measure: str
    supports: str
    contradicts: str
    judge: Callable[[Measured], Finding]


@dataclass(frozen=True)
class Finding:
    """What the seeds say of one part: a verdict, the number that it rests on, its interval over seeds."""

    verdict: str
    value: float | None = None
    interval: Interval | None = None


@dataclass(frozen=True)
class PartVerdict:
    """A rule with its finding."""

    rule: Rule
    finding: Finding


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim: the report's sentence, our verdict, and that of each part."""

    claim: int
    sentence: str
    verdict: str
    parts: tuple[PartVerdict, ...]


SENTENCES: dict[int, str] = {
    1: "Convolution gives mild robustness to translation, for shifts well below the kernel size, and "
    "only because training digits are centred.",
    2: "Pooling gives none by itself: it only removes redundant nodes; 1/6 would do.",
    3: "The asymmetry of C3 affects only how efficiently the model learns, not what it becomes; "
    "Model 2's 49 % comes from too few epochs.",
    4: "Convolution does not recognise shapes: with position-biased training data the answer follows "
    "the position.",
}
"""The report's claims."""


def cells(values: Mapping[tuple[str, str], Values]) -> list[CellVerdict]:
    """The verdicts on Table 1.

    Args:
        values: (model, ``"unmoved"`` or ``"moved"``) -> accuracies over seeds, in per cent; all eight.
    """
    samples = {cell: sample(values[cell]) for cell in _cells()}
    reports = {cell: report_value(*cell) for cell in _cells()}
    p = {cell: p_of_one_run(s, reports[cell]) for cell, s in samples.items()}
    corrected = dict(zip(p, holm(list(p.values())), strict=True))
    verdicts = []
    for cell, s in samples.items():
        interval, distance = prediction_interval(s), reports[cell] - s.mean
        verdicts.append(
            CellVerdict(
                *cell,
                report=reports[cell],
                n=s.n,
                mean=s.mean,
                sd=s.sd,
                interval=interval,
                distance=distance,
                distance_in_sds=distance / s.sd if s.sd else None,
                p=p[cell],
                p_corrected=corrected[cell],
                verdict=AGREES if reports[cell] in interval else DEVIATES,
            )
        )
    return verdicts


def _cells() -> list[tuple[str, str]]:
    return [(model, column) for model in MODELS for column in ("unmoved", "moved")]


def report_value(model: str, column: str) -> float:
    """The report's accuracy from its count of right answers, in per cent: of 10,000 or 550,000 (Model
    3's misprinted count of wrong ones is not used)."""
    outcome = OUTCOMES[model]
    if column == "unmoved":
        return 100 * outcome.unmoved["correct"] / 10_000
    return 100 * outcome.moved["correct"] / (10_000 * len(GRID))


def claims(measured: Measured) -> list[ClaimVerdict]:
    """The verdicts on the report's four claims. A part whose runs are not in the study is left open."""
    verdicts = []
    for claim, sentence in SENTENCES.items():
        parts = tuple(
            PartVerdict(rule, _judge(rule, measured)) for rule in RULES if rule.claim == claim
        )
        together = combine([part.finding.verdict for part in parts])
        verdicts.append(ClaimVerdict(claim, sentence, together, parts))
    return verdicts


def _judge(rule: Rule, measured: Measured) -> Finding:
    try:
        return rule.judge(measured)
    except KeyError:
        return Finding(OPEN)


def combine(verdicts: Sequence[str]) -> str:
    """A claim's verdict from its parts': theirs where all are the same, else ``"partly"``."""
    return verdicts[0] if len(set(verdicts)) == 1 else PARTLY


def is_equal(first: Values, second: Values) -> Finding:
    """*They do not differ*: supported where equivalent, contradicted where one is larger."""
    outcome = {
        "equivalent": SUPPORTED,
        "larger": CONTRADICTED,
        "smaller": CONTRADICTED,
        "open": OPEN,
    }
    return _compare(first, second, outcome)


def is_larger(first: Values, second: Values) -> Finding:
    """*The first is larger*: contradicted where it is smaller, or equivalent."""
    outcome = {
        "larger": SUPPORTED,
        "smaller": CONTRADICTED,
        "equivalent": CONTRADICTED,
        "open": OPEN,
    }
    return _compare(first, second, outcome)


def is_not_larger(first: Values, second: Values) -> Finding:
    """*The first gives nothing*: supported where equivalent or smaller."""
    outcome = {
        "larger": CONTRADICTED,
        "smaller": SUPPORTED,
        "equivalent": SUPPORTED,
        "open": OPEN,
    }
    return _compare(first, second, outcome)


def differs(first: Values, second: Values) -> Finding:
    """*They differ*: contradicted where equivalent."""
    outcome = {
        "larger": SUPPORTED,
        "smaller": SUPPORTED,
        "equivalent": CONTRADICTED,
        "open": OPEN,
    }
    return _compare(first, second, outcome)


def _compare(first: Values, second: Values, outcome: Mapping[str, str]) -> Finding:
    d = difference(first, second, MARGIN)
    return Finding(outcome[d.finding], d.mean, d.interval)


def is_below(values: Values, bound: float) -> Finding:
    """*The mean lies below*: supported where its whole interval over seeds does, contradicted where the
    whole interval lies above."""
    s = sample(values)
    interval = interval_of_mean(s)
    if interval.high < bound:
        return Finding(SUPPORTED, s.mean, interval)
    return Finding(CONTRADICTED if interval.low > bound else OPEN, s.mean, interval)


def is_above(values: Values, bound: float) -> Finding:
    """*The mean lies above*: the other way round."""
    finding = is_below(values, bound)
    opposite = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED, OPEN: OPEN}
    return Finding(opposite[finding.verdict], finding.value, finding.interval)


def _moved(measured: Measured, experiment: str, setting: str, epochs: int = 2) -> Values:
    return measured[experiment, setting, epochs]["moved"]


def _lost_at(measured: Measured, distance: int) -> Values:
    """Points that LeNet-5, trained on centred digits, loses when moved so far left or right."""
    of = measured["table", "lenet5", 2]
    return [
        centre - (left + right) / 2
        for centre, left, right in zip(
            of["dx=0"], of[f"dx={-distance}"], of[f"dx={distance}"], strict=True
        )
    ]


def _follows(measured: Measured, experiment: str, setting: str) -> Values:
    """Per cent of all images answered with the moved digit where the rule put it: per seed the smaller
    of the two digits' shares."""
    of = measured[experiment, setting, 2]
    shares = [of[f"answered {digit} at dx={dx}"] for digit, (dx, _) in RULE.items()]
    return [min(share) for share in zip(*shares, strict=True)]


def _becomes(measured: Measured) -> Finding:
    last = max(
        (epochs for experiment, _, epochs in measured if experiment == "symmetry"), default=0
    )
    first, second = (
        _moved(measured, "symmetry", model, last) for model in ("symmetric_lenet5", "lenet5")
    )
    return is_equal(first, second)


def _row_of_model_2(measured: Measured) -> Finding:
    """Whether some number of epochs gives both numbers of Model 2's row; the distance is that of the
    moved accuracy where it is nearest. If none does it is left open: they are tried at one learning rate
    and batch size, and the report names neither."""
    nearest: tuple[float, Interval] | None = None
    met = False
    report = {column: report_value("symmetric_lenet5", column) for column in ("unmoved", "moved")}
    for (experiment, setting, _), values in measured.items():
        if (experiment, setting) != ("symmetry", "symmetric_lenet5"):
            continue
        met |= all(
            report[column] in prediction_interval(sample(values[column])) for column in report
        )
        s = sample(values["moved"])
        interval, distance = prediction_interval(s), s.mean - report["moved"]
        if nearest is None or abs(distance) < abs(nearest[0]):
            shifted = (interval.low - report["moved"], interval.high - report["moved"])
            nearest = (distance, Interval(*shifted))
    if nearest is None:
        raise KeyError("symmetry")
    return Finding(SUPPORTED if met else OPEN, *nearest)


def _untested(measured: Measured) -> Finding:
    return Finding(OPEN)


_EQUIVALENT = f"equivalent within {MARGIN:g} point"
_LARGER = f"larger, by {MARGIN:g} point or more in the mean"
_SMALLER = f"smaller, by {MARGIN:g} point or more in the mean"

RULES: tuple[Rule, ...] = (
    Rule(
        1,
        "convolution helps",
        "LeNet-5 is more robust to movement than a perceptron.",
        "accuracy over all patterns: LeNet-5 less the perceptron, after 2 epochs",
        _LARGER,
        f"{_SMALLER}, or {_EQUIVALENT}",
        lambda m: is_larger(_moved(m, "table", "lenet5"), _moved(m, "table", "mlp")),
    ),
    Rule(
        1,
        "well below the kernel",
        "Half a kernel's movement is borne.",
        "points that LeNet-5 loses at |dx| = 2, dy = 0, after 2 epochs",
        f"95 % interval of the mean below {MILD_LOSS:g}",
        f"95 % interval of the mean above {MILD_LOSS:g}",
        lambda m: is_below(_lost_at(m, 2), MILD_LOSS),
    ),
    Rule(
        1,
        "not at the kernel's size",
        "A whole kernel's movement is not borne.",
        "points that LeNet-5 loses at |dx| = 5, dy = 0, after 2 epochs",
        f"95 % interval of the mean above {MILD_LOSS:g}",
        f"95 % interval of the mean below {MILD_LOSS:g}",
        lambda m: is_above(_lost_at(m, 5), MILD_LOSS),
    ),
    Rule(
        1,
        "only centred digits",
        "The lead over the perceptron is there only because training digits are centred.",
        "accuracy over all patterns, both trained on jittered digits: LeNet-5 less the perceptron, "
        "after 2 epochs",
        f"{_SMALLER}, or {_EQUIVALENT}",
        _LARGER,
        lambda m: is_not_larger(
            _moved(m, "convolution", "lenet5_jittered"), _moved(m, "convolution", "mlp_jittered")
        ),
    ),
    Rule(
        2,
        "Model 3",
        "A perceptron behind 4-fold pooling is no more robust than one without.",
        "accuracy over all patterns: Model 3 less Model 1, after 2 epochs",
        f"{_SMALLER}, or {_EQUIVALENT}",
        _LARGER,
        lambda m: is_not_larger(_moved(m, "table", "pooled_mlp"), _moved(m, "table", "mlp")),
    ),
    *(
        Rule(
            2,
            f"perceptron, {k}-fold",
            f"A perceptron behind {k}-fold average pooling is no more robust than one without.",
            f"accuracy over all patterns: {k}-fold average pooling less none, after 2 epochs",
            f"{_SMALLER}, or {_EQUIVALENT}",
            _LARGER,
            lambda m, k=k: is_not_larger(  # type: ignore[misc]
                _moved(m, "pooling", f"mlp_average_{k}"), _moved(m, "pooling", "mlp")
            ),
        )
        for k in (2, 7)
    ),
    Rule(
        2,
        "LeNet-5",
        "LeNet-5's average pooling gives nothing that mere subsampling does not.",
        "accuracy over all patterns: LeNet-5 with average pooling less with subsampling, after 2 "
        "epochs",
        f"{_SMALLER}, or {_EQUIVALENT}",
        _LARGER,
        lambda m: is_not_larger(
            _moved(m, "pooling", "lenet5_average"), _moved(m, "pooling", "lenet5_subsampling")
        ),
    ),
    Rule(
        2,
        "a sixth would do",
        "Pooling to a sixth of the nodes would lose nothing that matters.",
        "none: no experiment here tests it",
        "nothing here",
        "nothing here",
        _untested,
    ),
    Rule(
        3,
        "what it becomes",
        "Symmetric and asymmetric C3 end alike.",
        "accuracy over all patterns: Model 2 less Model 0, after the last epoch",
        _EQUIVALENT,
        f"{_LARGER}, or {_SMALLER}",
        _becomes,
    ),
    Rule(
        3,
        "how fast it learns",
        "Symmetric and asymmetric C3 learn at different speeds.",
        "accuracy over all patterns: Model 2 less Model 0, after 1 epoch",
        f"{_LARGER}, or {_SMALLER}",
        _EQUIVALENT,
        lambda m: differs(
            _moved(m, "symmetry", "symmetric_lenet5", 1), _moved(m, "symmetry", "lenet5", 1)
        ),
    ),
    Rule(
        3,
        "too few epochs",
        "Model 2's row of Table 1 is that of some number of epochs.",
        "Model 2's accuracies unmoved and over all patterns after 1, 2, ... epochs; the value is the "
        "least distance of the moved one from the report's 48.8 %, in points, with the 95 % interval "
        "of one more run",
        "after some number of epochs both lie in the 95 % interval of one more run",
        "nothing here: the epochs are tried at one learning rate and batch size",
        _row_of_model_2,
    ),
    Rule(
        4,
        "the answer follows the position",
        "LeNet-5, trained on position-biased digits, answers by the position.",
        "per cent of all test images answered 3 at dx = 3, and 2 at dx = -3, the smaller of the two",
        f"95 % interval of the mean above {HALF:g}",
        f"95 % interval of the mean below {HALF:g}",
        lambda m: is_above(_follows(m, "table", "biased_lenet5"), HALF),
    ),
    Rule(
        4,
        "figures 1 and 2",
        "Images 4017 and 4888 are read right unmoved, as 3 moved right and as 2 moved left.",
        "per cent of these images' patterns with |dx| of 3 or more that are answered so; none of an "
        "image that is misread unmoved",
        f"95 % interval of the mean above {HALF:g}",
        f"95 % interval of the mean below {HALF:g}",
        lambda m: is_above(m["table", "biased_lenet5", 2]["figures 1 and 2"], HALF),
    ),
    Rule(
        4,
        "figures 3 and 4",
        "Images 5392 and 8655 are misread unmoved.",
        "per cent of these two images that are misread unmoved",
        f"95 % interval of the mean above {HALF:g}",
        f"95 % interval of the mean below {HALF:g}",
        lambda m: is_above(m["table", "biased_lenet5", 2]["figures 3 and 4"], HALF),
    ),
    Rule(
        4,
        "it is the convolution",
        "The convolutional part alone makes LeNet-5 answer by the position: it still does where the "
        "dense layers see no place.",
        "the same of LeNet-5 with a global maximum after C5",
        f"95 % interval of the mean above {HALF:g}",
        f"95 % interval of the mean below {HALF:g}",
        lambda m: is_above(_follows(m, "position_bias", "lenet5_global_max_c5_by_3"), HALF),
    ),
    Rule(
        4,
        "no shape wherever it is",
        "A convolutional network has no mechanism that recognises a shape wherever it is.",
        "accuracy over all patterns, trained on centred digits: the place-blind network less LeNet-5, "
        "after 2 epochs",
        f"{_SMALLER}, or {_EQUIVALENT}",
        _LARGER,
        lambda m: is_not_larger(
            _moved(m, "place_blind", "place_blind_centred"),
            _moved(m, "place_blind", "lenet5_centred"),
        ),
    ),
)
"""All parts of all claims."""
