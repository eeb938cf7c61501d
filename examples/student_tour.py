"""A student's tour: why does an MLP fail when a digit moves, and what mends it?

    python examples/student_tour.py                                # half a minute
    python examples/student_tour.py --n-train 3000 --n-test 300    # seconds, and worse networks

Run it as a whole, or cell by cell (``# %%``) in VS Code, Spyder, PyCharm or as a notebook (``jupytext --to
notebook``). Every number that it prints is of this run.
"""

# %% What we need
from __future__ import annotations

import argparse

import torch
from torch import Tensor

import lenetshift

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--n-train", type=int, default=60_000, help="images to train on")
parser.add_argument("--n-test", type=int, default=2_000, help="images to evaluate")
args, _ = parser.parse_known_args()  # a notebook has arguments of its own

train, test = (
    part.subset(n)
    for part, n in zip(lenetshift.load_mnist(), (args.n_train, args.n_test), strict=True)
)
grid = lenetshift.ShiftGrid(dx=range(-5, 6), dy=range(-2, 3))  # 55 shifts, in pixels
row = lenetshift.ShiftGrid(dx=range(-5, 6), dy=range(1))  # left and right only


def percent(fraction: float) -> str:
    """A fraction as text."""
    return f"{100 * fraction:.1f} %"


print(f"{len(train):,} digits to learn from, {len(test):,} to be tested on; all lie in the middle.")

# %% 1. Two networks learn to read digits in the middle
SETTINGS = {"epochs": 3, "learning_rate": 0.1, "batch_size": 32, "seed": 0}
print(
    "Each network learns for 3 epochs in batches of 32 (in REPRODUCTION.md: 2 epochs, batches of 64)."
)
mlp, lenet5 = (lenetshift.build_model(name, seed=0) for name in ("mlp", "lenet5"))
evaluations = {}
for name, model in (("MLP", mlp), ("LeNet-5", lenet5)):
    lenetshift.train(model, train, **SETTINGS)
    evaluations[name] = lenetshift.evaluate_shifts(model, test, grid=grid, name=name)
    shares = (evaluations[name].value(f"{which}_accuracy") for which in ("unmoved", "moved"))
    right, moved = map(percent, shares)
    print(f"{name}: {right} of the test digits right as they are, {moved} when they are moved.")

# %% 2. One digit moves
answers = {
    name: lenetshift.predict_shifts(model, test.images, row)[:, 0]  # [N, 11]
    for name, model in (("MLP", mlp), ("LeNet-5", lenet5))
}
middle = row.dx.index(0)
wrong = (answers["MLP"] != test.labels[:, None]).sum(1)
wrong[answers["MLP"][:, middle] != test.labels] = 0  # right where it is
i = int(wrong.argmax())  # the digit that suffers most
digit, label = test.images[i], int(test.labels[i])


def drawn(image: Tensor) -> list[str]:
    """An image as lines of text."""
    return ["".join(" .:+#"[int(pixel) // 52] for pixel in line) for line in image]


left, unmoved, right = (
    drawn(torch.ops.lenetshift.translate(digit[None], torch.tensor([[dx, 0]]))[0, 0])
    for dx in (-5, 0, 5)
)
for three in list(zip(left, unmoved, right, strict=True))[3:25]:
    print(" | ".join(three))
print(
    f"Test digit {i}, a {label}, moved by -5, 0 and 5 pixels. You still read it. The networks answer"
)
print("moved by  ", *(f"{dx:3}" for dx in row.dx))
for name, each in answers.items():
    print(f"{name:10}", *(f"{int(answer):3}" for answer in each[i]))

# %% 3. What the MLP sees
# Each hidden unit has one weight for each pixel: it compares the image with one fixed picture, in one
# fixed place. Move the digit, and other pixels meet other weights.
shifts = torch.tensor([[dx, 0] for dx in row.dx])


def hidden(images: Tensor) -> Tensor:
    """The MLP's 512 hidden units ``[N, 512]`` for images uint8 ``[N, 28, 28]``."""
    with torch.inference_mode():
        return torch.tanh(mlp.hidden(images.flatten(1) / 255))


def alike(a: Tensor, b: Tensor) -> Tensor:
    """The correlation of each row of ``a`` with the same row of ``b``."""
    return torch.nn.functional.cosine_similarity(a - a.mean(-1, True), b - b.mean(-1, True), -1)


some = test.subset(min(500, len(test)))
moved_images = torch.ops.lenetshift.translate(some.images, shifts)  # [N, 11, 28, 28]
at_rest = hidden(some.images)
by_shift = torch.stack(
    [alike(hidden(moved_images[:, s]), at_rest).mean() for s in range(len(shifts))]
)
pairs = torch.randperm(len(some), generator=torch.Generator().manual_seed(0))
same = some.labels == some.labels[pairs]
others = alike(at_rest, at_rest[pairs])
stranger = others[~same].mean()
print("How alike are the hidden units of a digit and of the same digit moved? (1: the same)")
print("moved by  ", *(f"{dx:5}" for dx in row.dx))
print("alike     ", *(f"{float(value):5.2f}" for value in by_shift))
print(f"A digit and one of another class, neither moved: {stranger:.2f}.")
far = [dx for dx, value in zip(row.dx, by_shift, strict=True) if value < stranger]
if far:
    print(
        f"Moved by {min(far, key=abs)} pixels, a digit looks to the MLP less like itself than like "
        "a stranger."
    )
else:
    print(
        "Moved by 5 pixels, a digit looks to the MLP hardly more like itself than like a stranger: "
        f"{min(float(by_shift[0]), float(by_shift[-1])):.2f}."
    )

# %% 4. What LeNet-5 does with a move
# Its first layers slide one small kernel over the image: when the digit moves, their maps move along. The
# layer after them, C5, has a weight for each place again, like the MLP.


def c1(images: Tensor) -> Tensor:
    """LeNet-5's first maps ``[N, 6, 28, 28]``."""
    with torch.inference_mode():
        return torch.tanh(lenet5.c1(images[:, None] / 255))


def c5(images: Tensor) -> Tensor:
    """The 120 units behind LeNet-5's last maps ``[N, 120]``."""
    with torch.inference_mode():
        x = torch.nn.functional.avg_pool2d(c1(images), 2)
        x = torch.nn.functional.avg_pool2d(torch.tanh(lenet5.c3(x)), 2)
        return torch.tanh(lenet5.c5(x.flatten(1)))


by_four = shifts.tolist().index([4, 0])
maps, maps_of_moved = c1(some.images), c1(moved_images[:, by_four])
inside = slice(6, -2)  # columns that no frame has touched
off = (maps_of_moved[..., inside] - maps.roll(4, -1)[..., inside]).abs().max()
stays = alike(c5(moved_images[:, by_four]), c5(some.images)).mean()
print(f"C1 of a digit moved by 4 pixels, and C1 moved by 4 pixels, differ by at most {off:.1g}.")
print(f"But C5 before and after are {stays:.2f} alike: the maps move with the digit, C5 does not.")

# %% 5. What mends it: digits that lie elsewhere in every epoch
mended = {}
for name in ("mlp", "lenet5"):
    mended[name] = lenetshift.build_model(name, seed=0)
    lenetshift.train(
        mended[name],
        data=lambda epoch: lenetshift.jitter(train, grid, seed=0, epoch=epoch),
        **SETTINGS,
    )
for name, key in (("MLP", "mlp"), ("LeNet-5", "lenet5")):
    after = lenetshift.evaluate_shifts(mended[key], test, grid=grid, name=f"{name}, jittered")
    comparison = lenetshift.compare(evaluations[name], after)
    low, high = comparison.interval("moved_accuracy")
    before, now = (e.value("moved_accuracy") for e in (evaluations[name], after))
    print(
        f"{name}, trained on moved digits: {percent(now)} of moved digits right, was {percent(before)} "
        f"(95 % interval of the gain: {100 * low:.1f} to {100 * high:.1f} points)."
    )

# %% Where to go on
print("Slide and draw digits yourself: `lenetshift reproduce` writes results/report.html.")
print("docs/remedies.md measures what else helps, docs/sharing.md says why this was quick.")
