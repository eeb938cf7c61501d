"""A researcher's ResNet on a folder of PNG files: how robust is it, and does blurred subsampling help?

    python examples/researcher_resnet.py                                 # some minutes on two cores
    python examples/researcher_resnet.py --n-train 300 --n-test 40 --epochs 1   # seconds, and worse networks
    python examples/researcher_resnet.py --data FOLDER                   # your own images of 32 x 32

FOLDER holds ``train/`` and ``test/``, each with a subfolder for each class. Without it, a small one is made
of MNIST's digits in colour on noisy ground. Run it as a whole, or cell by cell (``# %%``).
"""

# %% What we need
from __future__ import annotations

import argparse
import copy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

import lenetshift
from lenetshift import remedies

HERE = Path(__file__).parent if "__file__" in globals() else Path("examples")
sys.path.insert(0, str(HERE))
from resnet import ResNet  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--data", type=Path, help="a folder with train/ and test/")
parser.add_argument("--out", type=Path, default=Path("resnet"), help="what is written goes here")
parser.add_argument("--n-train", type=int, default=4_000, help="images to make")
parser.add_argument("--n-test", type=int, default=500, help="images to make")
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--shift", type=int, default=4, help="the largest, in pixels")
args, _ = parser.parse_known_args()  # a notebook has arguments of its own
args.out.mkdir(parents=True, exist_ok=True)

# %% 1. A folder of PNG files


def painted(digit: Tensor, rng: np.random.Generator) -> Image.Image:
    """A digit in a random colour in the middle of 32 x 32 noisy pixels of another one."""
    ink = np.zeros((32, 32, 1))
    ink[2:30, 2:30, 0] = digit.numpy() / 255
    paint, ground = rng.uniform(130, 255, 3), rng.uniform(0, 80, 3)
    noisy = ground + rng.normal(0, 12, (32, 32, 3))
    return Image.fromarray((paint * ink + noisy * (1 - ink)).clip(0, 255).astype(np.uint8))


def make_folder(folder: Path) -> None:
    """``train/`` and ``test/``, with a subfolder for each digit."""
    rng = np.random.default_rng(0)
    parts = zip(
        ("train", "test"), lenetshift.load_mnist(), (args.n_train, args.n_test), strict=True
    )
    for part, digits, n in parts:
        for number, (digit, label) in enumerate(digits.subset(n)):
            path = folder / part / str(int(label)) / f"{number:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            painted(digit, rng).save(path)


folder = args.data or args.out / "pictures"
if args.data is None and not folder.exists():
    make_folder(folder)
train_data, test_data = (lenetshift.open_data(folder / part) for part in ("train", "test"))
print(
    f"{folder}: {train_data.n_images:,} images to learn from, {test_data.n_images:,} to be tested on,"
)
print(f"{len(test_data.classes)} classes, each image {' x '.join(map(str, test_data.shape))}.")

# %% 2. Train as usual, and keep a checkpoint as people do
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # CIFAR-10's
normalize = lenetshift.Normalize(mean=MEAN, std=STD)
images, labels = (torch.cat(parts) for parts in zip(*train_data, strict=True))


def train(net: nn.Module, name: str) -> None:
    """SGD with momentum and one cycle of the learning rate; the same order of images for every network."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    n_steps = args.epochs * -(-len(images) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=n_steps)
    net.train()
    for epoch in range(1, args.epochs + 1):
        losses = []
        for batch in torch.randperm(len(images), generator=generator).split(64):
            loss = F.cross_entropy(net(normalize(images[batch] / 255)), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        mean = sum(losses) / len(losses)
        print(f"{name}: epoch {epoch} of {args.epochs}, mean loss {mean:.3f}", flush=True)


torch.manual_seed(0)
net = ResNet(classes=len(test_data.classes))
blurred = remedies.antialiased(copy.deepcopy(net))  # the same first weights
train(net, "ResNet")
checkpoint = args.out / "resnet.pt"
state = {f"module.{name}": value for name, value in net.state_dict().items()}  # of a DataParallel
torch.save({"epoch": args.epochs, "state_dict": state}, checkpoint)
print(f"The checkpoint is {checkpoint}.")

# %% 3. Evaluate the checkpoint by the command: any network, any checkpoint, no code
shifts = [str(-args.shift), str(args.shift)]
command = [
    *("evaluate", "--model", f"{HERE / 'resnet.py'}:ResNet"),
    *("--model-args", f'{{"classes": {len(test_data.classes)}}}'),
    *("--weights", str(checkpoint), "--data", str(folder / "test"), "--normalize", "cifar10"),
    *("--dx", *shifts, "--dy", *shifts, "--save", str(args.out / "resnet.npz")),
]  # fmt: skip
print(f"$ lenetshift {shlex.join(command)}", flush=True)
subprocess.run([sys.executable, "-m", "lenetshift", *command], check=True)
plain = lenetshift.Evaluation.load(args.out / "resnet.npz")

# %% 4. The same network with blurred subsampling (Zhang 2019), in Python
# `answers` keeps the answers as they come: if a long evaluation is stopped, the same call with resume=True
# goes on with them.
train(blurred, "blurred ResNet")
grid = lenetshift.ShiftGrid(*[range(-args.shift, args.shift + 1)] * 2)
answers = args.out / "answers"
shutil.rmtree(answers, ignore_errors=True)  # those of a network of an earlier run
evaluation = lenetshift.evaluate_shifts(
    blurred, test_data, grid=grid, transform=normalize, name="blurred ResNet",
    class_names=test_data.classes, answers=answers,
)  # fmt: skip
print(evaluation)
print(f"how: {evaluation.reason}")

# %% 5. Which is more robust?
comparison = lenetshift.compare(plain, evaluation)
print(comparison)
low, high = comparison.interval("flip_rate")
verdict = "flips less" if high < 0 else "flips more" if low > 0 else "may flip less or more"
before, now = (100 * each.value("flip_rate") for each in (plain, evaluation))
print(
    f"Moved by one more pixel, the blurred network {verdict}: {now:.1f} % of its answers change, and "
    f"{before:.1f} % of the other's (95 % interval of the difference over images: "
    f"{100 * low:+.1f} to {100 * high:+.1f} points)."
)
print(
    "One training of each says nothing about other seeds: repeat it with several before you publish."
)

# %% 6. Where it fails
evaluation.save(args.out / "blurred.npz")
axes = evaluation.plot_accuracy_map()
axes.set_title("ResNet with blurred subsampling")
axes.figure.savefig(args.out / "accuracy.png")
evaluation.page(args.out / "blurred.html", images=test_data)  # read again: batches are not kept
worst = int((evaluation.predictions == evaluation.labels[:, None, None]).sum((1, 2)).argmin())
print(
    f"drawn: {args.out / 'accuracy.png'}; image {worst} is the hardest. To look at, image by image: "
    f"{args.out / 'blurred.html'}. For any two files of --save:"
)
print(f"$ lenetshift compare {args.out / 'resnet.npz'} {args.out / 'blurred.npz'}")
