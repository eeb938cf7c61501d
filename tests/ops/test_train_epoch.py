"""``train_epoch_<model>`` against the float64 reference, for every ISA; threads; interruption.

The tolerances follow from float32's eps (2^-23). The error of a rounded sum of k terms is about
sqrt(k) * eps of its terms; a weight is rounded once in each step.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from copy import deepcopy
from functools import cache

import pytest
import torch
from cases import on_threads, same_bits
from torch import Tensor, nn

from lenetshift import reference
from lenetshift.data.load import load_mnist
from lenetshift.models.build import build_model
from lenetshift.models.table import FUSED

EPS = torch.finfo(torch.float32).eps
PERCEPTRONS = ("mlp", "pooled_mlp")
N_DATA = 500
# (batch size, images): one image a step, around a vector's lanes, several lane groups with a rest,
# more than the 64 images that the MLP lists at once, one batch for all.
BATCHES = [(1, 5), (7, 20), (16, 48), (17, 60), (64, 150), (100, 230), (500, 120)]
# The arguments of a float64 epoch: name, activation, hidden units, batch size, images, kind of images.
Case = tuple[str, str, int, int, int, str]


@cache
def dataset(kind: str) -> tuple[Tensor, Tensor]:
    """MNIST, in which four fifths of the pixels are 0, or random images without blank pixels."""
    if kind == "mnist":
        train, _ = load_mnist()
        return train.images[:N_DATA].clone(), train.labels[:N_DATA].clone()
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (N_DATA, 28, 28), generator=generator, dtype=torch.uint8)
    return images, torch.randint(0, 10, (N_DATA,), generator=generator)


def permutation(n: int) -> Tensor:
    return torch.randperm(N_DATA, generator=torch.Generator().manual_seed(n))[:n]


def make_model(name: str, activation: str, n_hidden: int = 512) -> nn.Module:
    model = build_model(name, activation, seed=3)
    if n_hidden != 512:
        generator = torch.Generator().manual_seed(n_hidden)
        n_inputs = model.hidden.in_features
        model.hidden, model.output = nn.Linear(n_inputs, n_hidden), nn.Linear(n_hidden, 10)
        with torch.no_grad():
            for layer in (model.hidden, model.output):
                for parameter in layer.parameters():
                    parameter.uniform_(-1, 1, generator=generator).div_(layer.in_features**0.5)
    return model


def learning_rate(kind: str) -> float:
    return 0.1 if kind == "mnist" else 0.01  # dense images have five times the gradient


def fused_epoch(
    name: str, model: nn.Module, kind: str, order: Tensor, batch_size: int
) -> tuple[Tensor, list[Tensor]]:
    """Losses and new parameters; the model is not changed."""
    images, labels = dataset(kind)
    parameters = [parameter.detach().clone() for parameter in model.parameters()]
    op = getattr(torch.ops.lenetshift, f"train_epoch_{name}")
    losses = op(
        images, labels, order, parameters, learning_rate(kind), batch_size, model.activation
    )
    return losses, parameters


@cache
def exact_epoch(case: Case) -> tuple[Tensor, list[Tensor]]:
    """The same, in float64."""
    name, activation, n_hidden, batch_size, n, kind = case
    model = make_model(name, activation, n_hidden).double()
    losses = reference.sgd_epoch(
        model, *dataset(kind), permutation(n), learning_rate(kind), batch_size
    )
    return losses, [parameter.detach() for parameter in model.parameters()]


def check_epoch(case: Case) -> None:
    name, activation, n_hidden, batch_size, n, kind = case
    model = make_model(name, activation, n_hidden)
    losses, parameters = fused_epoch(name, model, kind, permutation(n), batch_size)
    exact_losses, exact_parameters = exact_epoch(case)
    n_steps = -(-n // batch_size)
    assert losses.shape == (n_steps,)
    assert losses.dtype == torch.float32
    # A loss rests on sums of up to 784 terms.
    error = (losses.double() - exact_losses).abs() / exact_losses
    assert error.max() <= EPS * 784**0.5, f"losses: relative error {error.max():.2e}"
    for (what, start), got, exact in zip(
        model.named_parameters(), parameters, exact_parameters, strict=True
    ):
        # Each step rounds the weight and, for more than 64 images, the parts of its gradient. The
        # gradient itself, which `moved` measures, is a sum over images and, for C1, 784 places.
        roundings = n_steps * -(-min(batch_size, n) // 64)
        moved = (exact - start).abs().max()
        terms = min(batch_size, n) * 784
        tolerance = EPS * (roundings * exact.abs().max() + terms**0.5 * moved)
        error = (got.double() - exact).abs().max()
        assert moved > 0
        assert error <= tolerance, f"{what}: error {error:.2e}, tolerance {tolerance:.2e}"


@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("name", FUSED)
def test_equals_reference(isa: str, name: str, activation: str, batch: tuple[int, int]) -> None:
    check_epoch((name, activation, 512, *batch, "mnist"))


@pytest.mark.parametrize("name", FUSED)
def test_dense_images(isa: str, name: str) -> None:
    check_epoch((name, "tanh", 512, 64, 150, "dense"))


@pytest.mark.parametrize("n_hidden", [1, 15, 16, 17, 129, 200])
@pytest.mark.parametrize("name", PERCEPTRONS)
def test_any_number_of_hidden_units(isa: str, name: str, n_hidden: int) -> None:
    check_epoch((name, "tanh", n_hidden, 17, 60, "mnist"))


def test_blank_images_and_repeats(isa: str) -> None:
    """Images without ink, and the same image many times in a batch."""
    images = torch.zeros(4, 28, 28, dtype=torch.uint8)
    images[3, 27, 27] = 255  # the last pixel
    labels = torch.tensor([0, 3, 9, 9])
    order = torch.tensor([3, 3, 0, 1, 2, 3] * 4)
    for name in FUSED:
        model = make_model(name, "tanh")
        exact = deepcopy(model).double()
        parameters = [parameter.detach().clone() for parameter in model.parameters()]
        op = getattr(torch.ops.lenetshift, f"train_epoch_{name}")
        losses = op(images, labels, order, parameters, 0.1, 5)
        exact_losses = reference.sgd_epoch(exact, images, labels, order, 0.1, 5)
        torch.testing.assert_close(losses.double(), exact_losses, rtol=EPS * 784**0.5, atol=0)
        for got, want in zip(parameters, exact.parameters(), strict=True):
            # 5 steps, gradients of 5 images and 784 places.
            tolerance = EPS * (5 * want.abs().max() + (5 * 784) ** 0.5 * 0.1)
            assert (got.double() - want).abs().max() <= tolerance


@pytest.mark.parametrize("name", FUSED)
def test_no_images(isa: str, name: str) -> None:
    model = make_model(name, "tanh")
    losses, parameters = fused_epoch(name, model, "mnist", permutation(0), 64)
    assert losses.shape == (0,)
    for got, want in zip(parameters, model.parameters(), strict=True):
        assert torch.equal(got, want)


@pytest.mark.parametrize("batch", [(1, 4), (64, 150), (500, 500)], ids=str)
@pytest.mark.parametrize("name", FUSED)
def test_thread_count_changes_no_bit(isa: str, name: str, batch: tuple[int, int]) -> None:
    batch_size, n = batch
    model = make_model(name, "tanh")

    def results() -> list[Tensor]:
        losses, parameters = fused_epoch(name, model, "mnist", permutation(n), batch_size)
        return [losses, *parameters]

    assert same_bits(on_threads(range(1, 6), results))


@pytest.mark.slow
@pytest.mark.parametrize("name", FUSED)
def test_loss_curve_is_that_of_eager(name: str) -> None:
    """Over 200 steps float32 errors grow with the training; eager PyTorch's own deviation from
    float64 says how far."""
    images, labels = dataset("mnist")
    order = torch.cat([permutation(N_DATA).roll(i) for i in range(4)])
    model = make_model(name, "tanh")
    arguments = (images, labels, order, 0.1, 10)
    exact = reference.sgd_epoch(deepcopy(model).double(), *arguments)
    eager = reference.sgd_epoch(deepcopy(model), *arguments)
    losses, _ = fused_epoch(name, model, "mnist", order, 10)
    eager_error = (eager.double() - exact).abs().max()
    error = (losses.double() - exact).abs().max()
    assert losses[-20:].mean() < 0.7 * losses[:20].mean()
    # Two float32 roundings of one computation differ like independent samples: within a factor of 4.
    assert error <= 4 * eager_error, f"{error:.1e} against eager's {eager_error:.1e}"


@pytest.mark.parametrize("name", FUSED)
def test_opcheck(name: str) -> None:
    """Includes that the schema marks the parameters as written."""
    parameters = [p.detach() for p in make_model(name, "tanh").parameters()]
    op = getattr(torch.ops.lenetshift, f"train_epoch_{name}").default
    torch.library.opcheck(op, (*dataset("mnist"), permutation(5), parameters, 0.1, 2, "relu"))


INTERRUPTED = """
import signal, sys, torch, lenetshift
from lenetshift.models.build import build_model
# A shell's background jobs inherit SIGINT ignored, and then Python sets no handler.
signal.signal(signal.SIGINT, signal.default_int_handler)
name = sys.argv[1]
model = build_model(name, "tanh", seed=0)
parameters = [p.detach().clone() for p in model.parameters()]
before = [p.clone() for p in parameters]
generator = torch.Generator().manual_seed(0)
images = torch.randint(0, 256, (5000, 28, 28), generator=generator, dtype=torch.uint8)
labels = torch.randint(0, 10, (5000,), generator=generator)
order = torch.randint(0, 5000, (20_000_000,), generator=generator)  # for ten seconds and more
op = getattr(torch.ops.lenetshift, "train_epoch_" + name)
op(images, labels, order[:64], parameters, 0.01, 64)
print("started", flush=True)
try:
    op(images, labels, order, parameters, 0.01, 64)
except KeyboardInterrupt:
    # Stopped between two steps: the steps before have been made, nothing is half-written.
    assert all(bool(p.isfinite().all()) for p in parameters)
    assert all(float((p - b).abs().max()) < 1 for p, b in zip(parameters, before))
    assert not any(torch.equal(p, b) for p, b in zip(parameters, before))
    print("interrupted", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("name", ["lenet5", "mlp", "pooled_mlp"])
def test_interrupt(name: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, name], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    assert process.stdout.readline() == "interrupted\n"
    # The kernel asks every 50 ms; the rest is room for a busy machine.
    assert time.monotonic() - start < 5
    assert process.wait(timeout=60) == 0
