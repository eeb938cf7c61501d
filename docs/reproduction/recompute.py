"""Compute again what REPRODUCTION.md concludes, from the accuracies of every single training.

    python docs/reproduction/recompute.py [SUMMARY]

"values" in summary.json has a number for each seed, that is, for each training. From them this script
computes Table 1's verdicts and those on the report's claims, by NumPy and SciPy alone. It shares no code
with lenetshift: what each part of a claim compares stands here once more. It prints what it finds, and a line
for each stored number or verdict that differs: by more than 1e-6 of it, and by more than 1e-12. The exit
status is 1 if there is one. All accuracies are in per cent, differences in points.
"""

import functools
import json
import math
import sys
from pathlib import Path

import numpy as np
from scipy import stats

ALPHA = 0.05  # tests reject below it, after Holm's correction; intervals have 95 %
MARGIN = 1  # the least difference that matters, in points
LEAST_SEEDS = 5  # fewer decide nothing
LEAST_UNMOVED = 20  # a network that reads fewer unmoved digits decides nothing

# Table 1 of the report: right answers to 10,000 unmoved images, and to 550,000 patterns.
REPORT = {
    "lenet5": (9696, 331_140),
    "mlp": (9278, 224_942),
    "symmetric_lenet5": (9618, 268_626),
    "pooled_mlp": (8733, 223_386),
}

# The setting nearest to Table 1 has a number of epochs for each model ("too few epochs").
NEAREST = "relu_rate0.003_batch32"
EPOCHS = {"lenet5": 39, "mlp": 17, "symmetric_lenet5": 12, "pooled_mlp": 19}

# Claim | part | what the report says | experiment: settings | measures: after which epochs. Every measure
# is looked at after each of these epochs, the main one first. What the report says of the settings' means:
# larger: the first exceeds the second by more than 1 point; not larger: it does not.
# ..., as good: than the second is at the epochs that give it the first's accuracy unmoved.
# equal: they differ by less than 1 point.   above 50: the mean of one setting is.
# in most seeds: 90 per cent are reached in more than half of all trainings.   rows: see rows().
PARTS = """
0 | ahead unmoved | larger | convolution: lenet5_centred mlp_centred | unmoved: 2 1 5 10
0 | because of near pixels | not larger | locality: lenet5_permuted mlp_permuted | unmoved: 2 5
0 | locality, not equal weights | larger | locality: lenet5_untied mlp | unmoved: 2
0 | no features are extracted | not larger | locality: lenet5 lenet5_random_filters | unmoved: 2 5
1 | convolution helps | larger | convolution: lenet5_centred mlp_centred | moved,kept,change: 2 1 5 10
1 | at equal accuracy unmoved | larger, as good | convolution: lenet5_centred mlp_centred | moved: 1 2 5 10
1 | well below the kernel | larger | convolution: mlp_centred lenet5_centred | lost at 2 pixels: 2 1 5 10
1 | only centred digits | not larger | convolution: lenet5_jittered mlp_jittered | change,moved,kept: 2 1 5 10
1 | jittered, at equal accuracy | not larger, as good | convolution: lenet5_jittered mlp_jittered | moved: 1 2
1 | locality is enough | larger | locality: lenet5_untied mlp | kept,moved,change: 2
1 | larger kernels help | larger | kernels: lenet5_kernel_9 lenet5_kernel_3 | moved,kept,change: 2
1 | larger kernels, small shifts | larger | kernels: lenet5_kernel_3 lenet5_kernel_9 | lost at 2 pixels: 2
1 | not with untidy digits | not larger | position_bias: lenet5_by_3 mlp_by_3 | change: 2 1 5 10;moved,kept: 2
2 | Model 3 | not larger | convolution: pooled_mlp_centred mlp_centred | moved,kept,change: 2 1 5 10
2 | MLP, 2-fold | not larger | pooling: mlp_average_2 mlp | moved,kept,change: 2 5
2 | MLP, 7-fold | not larger | pooling: mlp_average_7 mlp | moved,kept,change: 2 5
2 | LeNet-5 | not larger | pooling: lenet5_average lenet5_subsampling | moved,kept,change: 2 5
2 | a sixth would do, unmoved | not larger | pooling: lenet5_average lenet5_s2_11 | unmoved: 2 5
2 | a sixth would do, moved | not larger | pooling: lenet5_average lenet5_s2_11 | moved,kept: 2 5
3 | what it becomes | equal | symmetry: symmetric_lenet5 lenet5 | moved: 12 2 5;unmoved,kept,change: 12
3 | better after as many epochs | larger | symmetry: lenet5 symmetric_lenet5 | unmoved,moved: 1 2
3 | too few epochs | rows | nearest: symmetric_lenet5_relu_rate0.003_batch32 | both accuracies: 39
4 | the answer follows the position | above 50 | table: biased_lenet5 | follows: 2 1 5 10
4 | figures 1 and 2 | in most seeds | table: biased_lenet5 | figures 1 and 2: 2
4 | figures 3 and 4 | in most seeds | table: biased_lenet5 | figures 3 and 4: 2
4 | it is the convolution | above 50 | position_bias: lenet5_global_max_c5_by_3 | follows: 2
4 | no such network is robust | not larger | ladder: place_blind_centred lenet5_centred | moved,kept,change: 2
"""


def holm(p):
    """Probabilities corrected for their number: the smallest times n, the next times n - 1, and so on."""
    p, order = np.array(p), np.argsort(p)
    p[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return p.tolist()


def report_of(model):
    """The report's accuracies, unmoved and moved."""
    return np.array(REPORT[model]) / (100, 5500)


def of_one_more_run(x):
    """The interval of one more training (Student's prediction interval)."""
    half = stats.t.isf(ALPHA / 2, len(x) - 1) * x.std(ddof=1) * math.sqrt(1 + 1 / len(x))
    return [x.mean() - half, x.mean() + half]


def table_1(values):
    """Each cell: could the report's accuracy be that of one more training?"""
    cells = {}
    for model in REPORT:
        for column, report in zip(("unmoved", "moved"), report_of(model), strict=True):
            x = values[model][2][column]
            n, mean, sd = len(x), x.mean(), x.std(ddof=1)
            cell = {"report": report, "n": n, "mean": mean, "sd": sd, "distance": report - mean}
            cell["distance_in_sds"] = cell["distance"] / sd
            cell["interval"] = np.clip(of_one_more_run(x), 0, 100).tolist()
            cell["p"] = 2 * stats.t.sf(abs(cell["distance"]) / (sd * math.sqrt(1 + 1 / n)), n - 1)
            cells[f"{model} {column}"] = cell
    for cell, p in zip(cells.values(), holm([cell["p"] for cell in cells.values()]), strict=True):
        off = "within a point" if abs(cell["distance"]) < MARGIN else "deviates"
        cell |= {"p_corrected": p, "verdict": "agrees" if p >= ALPHA else off}
    return cells


def measured(of, measure):
    """A measure of every seed, from those of a setting after a number of epochs. Two are made of others."""
    if measure == "lost at 2 pixels":  # the mean of left and right
        return of["dx=0"] - (of["dx=-2"] + of["dx=2"]) / 2
    if (
        measure == "follows"
    ):  # images answered with the digit that was trained there, the smaller share
        return np.minimum(of["answered 3 at dx=3"], of["answered 2 at dx=-3"])
    return of[measure]


def moved_where_unmoved_is(wanted, after):
    """Accuracy moved of a setting where its seeds read so many unmoved images: by straight lines between its
    numbers of epochs, in the order of accuracy unmoved; beyond the ends, that of the nearest."""
    unmoved, moved = (
        np.transpose([after[n][m] for n in sorted(after)]) for m in ("unmoved", "moved")
    )
    order = unmoved.argsort(kind="stable")
    xs, ys = (np.take_along_axis(of_seeds, order, 1) for of_seeds in (unmoved, moved))
    return np.array([np.interp(*of_seed) for of_seed in zip(wanted, xs, ys, strict=True)])


def means(rule, first, second=None):
    """Student's t tests of a mean or of a difference of two: seed by seed, or Welch's if the numbers of seeds
    differ."""
    if second is None:
        second = np.zeros(len(first))
    paired = len(first) == len(second)
    test = stats.ttest_rel if paired else functools.partial(stats.ttest_ind, equal_var=False)

    def p(way, bound):
        return test(first, second + bound, alternative=way).pvalue

    value = first.mean() - second.mean()
    look = {"value": value, "interval": [value, value], "n": min(len(first), len(second))}
    if max(map(np.ptp, [first - second] if paired else [first, second])) < 1e-9:
        return {**look, "silent": True}  # the seeds do not scatter
    look["interval"] = [*map(float, test(first, second).confidence_interval(1 - ALPHA))]
    if rule == "equal":
        right = max(p("greater", -MARGIN), p("less", MARGIN))
        wrong = min(p("greater", MARGIN), p("less", -MARGIN))
    elif rule == "above 50":
        look["interval"] = np.clip(look["interval"], 0, 100).tolist()
        right, wrong = p("greater", 50), p("less", 50)
    else:
        right, wrong = p("greater", MARGIN), p("less", MARGIN)
    if rule == "not larger":
        right, wrong = wrong, right
    return {**look, "right": right, "wrong": wrong}


def counts(x):
    """The binomial test of how many seeds reach 90 per cent, with Clopper and Pearson's interval."""
    n, k = len(x), int((x >= 90).sum())
    low = 100 * stats.beta.ppf(ALPHA / 2, k, n - k + 1) if k > 0 else 0
    high = 100 * stats.beta.isf(ALPHA / 2, k + 1, n - k) if k < n else 100
    right, wrong = stats.binom.sf(k - 1, n, 0.5), stats.binom.cdf(k, n, 0.5)
    return {"value": 100 * k / n, "interval": [low, high], "n": n, "right": right, "wrong": wrong}


def p_of_row(model, of):
    """Of one more training as far off in both accuracies at once as the report's row (Hotelling's test; for
    two measures the tail of its F distribution is a power)."""
    n, both = len(of["moved"]), np.array([of["unmoved"], of["moved"]])
    off = report_of(model) - both.mean(1)
    t_squared = n / (n + 1) * off @ np.linalg.inv(np.cov(both)) @ off
    return (1 + t_squared / (n - 1)) ** (1 - n / 2)


def rows(settings):
    """Supported: after some number of epochs below Model 0's for Model 2, and after their own for the others,
    all four rows of Table 1 could be one more training. Contradicted: Model 2's could be after none of up to
    Model 0's number of epochs. The value is Model 2's accuracy moved after its best number of epochs."""
    after = {model: settings[f"{model}_{NEAREST}"] for model in REPORT}
    model_2 = after.pop("symmetric_lenet5")
    tried = {n: p_of_row("symmetric_lenet5", model_2[n]) for n in range(1, EPOCHS["lenet5"] + 1)}
    best = max(tried, key=tried.get)
    others = [p_of_row(model, of[EPOCHS[model]]) for model, of in after.items()]
    verdict = "contradicted" if max(holm(list(tried.values()))) < ALPHA else "left open"
    if min(holm([tried[best], *others])) >= ALPHA and best < EPOCHS["lenet5"]:
        verdict = "supported"
    x = model_2[best]["moved"]
    return {"value": x.mean(), "interval": of_one_more_run(x), "n": len(x), "verdict": verdict}


def look_at(experiment, rule, settings, n, measure):
    """One look at a part: value, interval, and the smaller of the two-sided p for and against the report."""
    of = [experiment[setting][n] for setting in settings]
    if rule == "rows":
        look = rows(experiment)
    elif rule == "in most seeds":
        look = counts(measured(of[0], measure))
    else:
        all_seeds = [measured(one, measure) for one in of]
        if rule.endswith(", as good"):
            all_seeds[1] = moved_where_unmoved_is(of[0]["unmoved"], experiment[settings[1]])
        look = means(rule.removesuffix(", as good"), *all_seeds)
        if min(one["unmoved"].mean() for one in of) < LEAST_UNMOVED:
            look["silent"] = True
    look["silent"] = look.get("silent", False) or look["n"] < LEAST_SEEDS
    right, wrong = (min(1, 2 * look.pop(side, 1)) for side in ("right", "wrong"))
    look["side"] = "supported" if right <= wrong else "contradicted"
    look["p"] = min(right, wrong)
    if look["silent"]:
        look |= {"p": 1, "verdict": "left open"}
    return look


def claims(values):
    """The verdicts on claims, parts and looks; p is corrected for the number of all looks of all parts."""
    found, all_looks = {}, []
    for line in PARTS.strip().splitlines():
        claim, part, rule, where, at = line.split(" | ")
        experiment, settings = where.split(": ")
        found.setdefault(f"claim {claim}", {})[part] = looks = {}
        for measures, epochs in (group.split(": ") for group in at.split(";")):
            for measure in measures.split(","):
                for n in map(int, epochs.split()):
                    look = look_at(values[experiment], rule, settings.split(), n, measure)
                    looks[f"{measure} after {n} epochs"] = look
                    all_looks.append(look)
    for look, p in zip(all_looks, holm([look["p"] for look in all_looks]), strict=True):
        side, look["p_corrected"] = look.pop("side"), p
        look.setdefault("verdict", side if p < ALPHA else "left open")
    for parts in found.values():
        for looks in parts.values():
            verdicts = [look["verdict"] for look in looks.values()]
            looks["verdict"] = verdicts[0]  # of the main look
            if {"supported", "contradicted"} <= set(verdicts):
                looks["verdict"] = "depends"
        verdicts = {looks["verdict"] for looks in parts.values()}
        parts["verdict"] = verdicts.pop() if len(verdicts) == 1 else "partly"
    return found


def stored(summary):
    """What summary.json says, arranged as table_1 and claims arrange it."""
    cells = {f"{cell['model']} {cell['column']}": cell for cell in summary["table"]["cells"]}
    found = {"Table 1": cells}
    for claim in summary["claims"]:
        found[f"claim {claim['claim']}"] = parts = {"verdict": claim["verdict"]}
        for part in claim["parts"]:
            parts[part["name"]] = looks = {"verdict": part["verdict"]}
            for look in part["looks"]:
                look["silent"] = bool(look["silent"])  # else the reason
                looks[f"{look['measure']} after {look['epochs']} epochs"] = look
    return found


def flat(tree, path=""):
    """Path -> number, interval or verdict."""
    if not isinstance(tree, dict):
        return {path: tree}
    found = {}
    for name in tree.keys() - {"model", "column", "interval_over", "epochs", "measure"}:
        found |= flat(tree[name], f"{path}, {name}" if path else name)
    return found


def same(a, b):
    """Whether two of them agree."""
    if isinstance(a, list) and isinstance(b, list):
        return all(map(same, a, b))
    if isinstance(a, (str, type(None))) or isinstance(b, (str, type(None))):
        return a == b
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12)


def show(name, of, indent=""):
    """Print verdicts, and the numbers that they rest on."""
    if "p" in of:
        low, high = of["interval"]
        value = f"{of.get('mean', of.get('value')):7.2f} [{low:6.2f}, {high:6.2f}]"
        p = f"{of['n']:3} {of['p']:8.1e} {of['p_corrected']:8.1e}"
        print(f"{indent}{name:34} {value} {p} {of['verdict']}")
        return
    print(f"{indent}{name}: {of['verdict']}" if "verdict" in of else name)
    for inner in of:
        if inner != "verdict":
            show(inner, of[inner], indent + "  ")


def main(path):
    """Print all conclusions, and all differences; the exit status."""
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"{path}: {error}")
    if "values" not in summary or summary["study"]["quick"]:
        sys.exit(f"{path}: got no values, or a quick study, expected the summary of a whole study")
    values = {}
    for row in summary["values"]:
        after = values.setdefault(row["experiment"], {}).setdefault(row["setting"], {})
        after.setdefault(row["epochs"], {})[row["measure"]] = np.array(row["values"])
    try:
        found = {"Table 1": table_1(values["table"]), **claims(values)}
    except KeyError as missing:
        sys.exit(f"{path}: values: got none of {missing}, expected all that verdicts rest on")
    print("Per cent or points; 95 % interval; seeds; p; p corrected (Holm); verdict")
    for name, of in found.items():
        show(name, of)
    ours, theirs = flat(found), flat(stored(summary))
    differ = [
        f"{name}: stored {theirs.get(name, 'nothing')}, computed {ours.get(name, 'nothing')}"
        for name in sorted(ours.keys() | theirs.keys())
        if name not in ours or name not in theirs or not same(ours[name], theirs[name])
    ]
    print(*differ, f"{len(differ)} of {len(ours)} numbers and verdicts differ.", sep="\n")
    return int(bool(differ))


if __name__ == "__main__":
    default = Path(__file__).with_name("summary.json")
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else default))
