"""What works in a loop works here: networks as people write and wrap them.

Each is evaluated by every method and compared with the loop. After that it is unchanged: its values and
its modes are the same, and it can be called, trained, copied and saved.
"""

from __future__ import annotations

import copy
import io
import threading
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hand_loop import hand_loop
from random_networks import Lambda, OptionalArguments
from torch import Tensor, nn
from torch.nn.utils import prune

from lenetshift import ShiftGrid, load_mnist
from lenetshift.predict.evaluator import ShiftEvaluator

GRID = ShiftGrid(range(-1, 2), range(-1, 2))


@pytest.fixture(scope="module")
def images() -> Tensor:
    return load_mnist()[1].images[:6]


class Written(nn.Module):
    """Two convolutions with given functions between and after them."""

    def __init__(
        self,
        middle: Callable[[nn.Module, Tensor], Tensor] = lambda net, x: x,
        head: Callable[[nn.Module, Tensor], Tensor] = lambda net, x: net.out(x.flatten(1)),
    ) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 5), nn.Conv2d(4, 6, 3)
        self.out = nn.Linear(6 * 11 * 11, 10)
        self.middle, self.head = middle, head
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("scale", torch.rand(4, 1, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = self.middle(self, x)
        return self.head(self, F.max_pool2d(F.relu(self.conv2(x)), 2))


class Cached(Written):
    """Makes a table on first use."""

    table = None

    def forward(self, x: Tensor) -> Tensor:
        if self.table is None:
            self.table = torch.linspace(0.5, 1.5, 28, device=x.device).mean() * torch.ones(1)
        return super().forward(x) * self.table  # whose gradient needs the table


class Logging(Written):
    """Keeps its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []
        self.last: dict[str, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        self.outputs.append(logits)
        self.last["logits"] = logits
        return logits


class WithLock(Written):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def __deepcopy__(self, memo: Any) -> WithLock:
        twin = WithLock()
        twin.load_state_dict(self.state_dict())
        return twin.eval() if not self.training else twin

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "lock"}

    def forward(self, x: Tensor) -> Tensor:
        with self.lock:
            return super().forward(x)


def counted(net: Any, x: Tensor) -> Tensor:
    net.count += 1
    return x


def written_through_a_view(x: Tensor) -> Tensor:
    y = x.flatten(1)
    y.relu_()
    return x.flatten(1)


def written_before_flatten(net: Any, x: Tensor) -> Tensor:
    y = x.view(x.size(0), -1)
    x.mul_(0.5).add_(0.1)
    return net.out(y)


def written_into_a_part(net: Any, x: Tensor) -> Tensor:
    x = x - 0.2
    x[:, 1:3].relu_()
    x[:, 0] = x[:, 3] * 2
    return x


def filled_by_parts(net: Any, x: Tensor) -> Tensor:
    logits = torch.zeros(x.size(0), 10)
    y = net.out(x.flatten(1))
    logits[:, :5] += y[:, 5:]
    logits[:, 5:] = y[:, :5]
    return logits


def in_autocast(net: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=True, dtype=torch.bfloat16):
        return net.out(x.flatten(1)).float()


def gradient_inside(net: Any, x: Tensor) -> Tensor:
    with torch.enable_grad():
        seen = x.detach().requires_grad_()
        (grad,) = torch.autograd.grad((seen**2).sum(), seen)
    return x + grad


def branches_on_pixels(net: Any, x: Tensor) -> Tensor:
    return net.out(torch.stack([row if row.mean() > 0.1 else -row for row in x]).flatten(1))


def through_data(net: Any, x: Tensor) -> Tensor:
    x.data = x.data * 2
    return x


def sparse_inside(net: Any, x: Tensor) -> Tensor:
    return torch.sparse.mm(x.flatten(1).to_sparse(), net.out.weight.t()) + net.out.bias


def compiled(**settings: Any) -> nn.Module:
    return torch.compile(Written(), backend="eager", **settings)


def compiled_in_place() -> nn.Module:
    model = Written()
    model.compile(backend="eager")
    return model


def exported() -> nn.Module:
    example = torch.rand(18, 1, 28, 28)
    batch = {0: torch.export.Dim("batch", min=2, max=4096)}
    return torch.export.export(Written().eval(), (example,), dynamic_shapes=({**batch},)).module()


def layers(*middle: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 5), *middle, nn.Flatten(), nn.LazyLinear(10))


def materialised(model: nn.Module) -> nn.Module:
    model.eval()(torch.rand(2, 1, 28, 28))
    return model


def scripted() -> nn.Module:
    return torch.jit.script(materialised(layers(nn.ReLU(), nn.MaxPool2d(2))).eval())


def pruned() -> nn.Module:
    model = Written()
    prune.l1_unstructured(model.conv1, "weight", 0.5)
    return model


LINES = {
    "view, size": lambda n, x: n.out(x.view(x.size(0), -1)),
    "view, -1": lambda n, x: n.out(x.view(-1, 6 * 11 * 11)),
    "view, shape": lambda n, x: n.out(x.view(*x.shape[:1], -1)),
    "reshape, len": lambda n, x: n.out(x.reshape(len(x), -1)),
    "squeeze at the end": lambda n, x: n.out(x.flatten(1))[:, :, None, None].squeeze(),
    "autocast inside": in_autocast,
    "bools": lambda n, x: n.out(x.flatten(1)) > 0,
    # in-place operations on views
    "written through a view": lambda n, x: n.out(written_through_a_view(x) - 0.5),
    "written before flatten": written_before_flatten,
    "filled by parts": filled_by_parts,
}
"""What people write after the last convolution."""

BETWEEN = {
    "view after pooling": lambda n, x: x.view(x.size()),
    "relu in place": lambda n, x: x.sub_(0.1).relu_(),
    "repeat": lambda n, x: x[:, :1].repeat(1, 4, 1, 1),
    "expand": lambda n, x: x[:, 1:2].expand(-1, 4, -1, -1),
    "stack": lambda n, x: torch.stack([x[:, k] for k in range(4)], dim=1),
    "cat with zeros": lambda n, x: torch.cat([x[:, :3], torch.zeros(len(x), 1, 24, 24)], 1),
    "channel shuffle": (lambda n, x: x.view(len(x), 2, 2, 24, 24).transpose(1, 2).reshape(x.shape)),
    "half inside": lambda n, x: (x.half() * n.scale.half()).float(),
    "unused mask": lambda n, x: x.masked_fill(x < 0.1, 0),
    "index list": lambda n, x: x[:, [3, 1, 0, 2]],
    "buffer first": lambda n, x: x * n.scale,
    "local response norm": lambda n, x: F.local_response_norm(x, 3),
    "several outputs of one": lambda n, x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "written into a part": written_into_a_part,
}
"""The same, between the two convolutions."""

SHARED: dict[str, Callable[[], nn.Module]] = {
    **{name: partial(Written, head=head) for name, head in LINES.items()},
    **{name: partial(Written, middle) for name, middle in BETWEEN.items()},
    "optional arguments, asserts, conditions": lambda: OptionalArguments(Written(), 1),
    "written behind a convolution": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 5), Lambda(written_through_a_view), nn.Linear(4 * 24 * 24, 10)
    ),
    # networks that create or keep something when they run
    "cache": Cached,
    "keeps outputs": Logging,
    "lazy": lambda: nn.Sequential(nn.LazyConv2d(4, 5), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10)),
    "a lock": WithLock,
    # padding
    "pads twice": lambda: (
        layers(nn.ReLU()).insert(0, nn.ZeroPad2d(1)).insert(1, nn.Conv2d(1, 1, 3, padding=1))
    ),
    "pads twice, ReLU between": lambda: nn.Sequential(
        nn.ZeroPad2d(1), nn.ReLU(), nn.ZeroPad2d((2, 0, 1, 3)), *layers()
    ),
    "pads twice, otherwise": lambda: nn.Sequential(
        *(nn.ConstantPad2d(1, 0.25), nn.Conv2d(1, 4, 3, padding=1)),
        *(nn.Flatten(), nn.LazyLinear(10)),
    ),
    "circular": lambda: layers(nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")),
    # wrappers
    "DataParallel": lambda: nn.DataParallel(Written()),
    "AveragedModel": lambda: torch.optim.swa_utils.AveragedModel(Written()),
    "compiled": compiled,
    "compiled, fullgraph": lambda: compiled(fullgraph=True),
    "compiled in place": compiled_in_place,
    "compiled within": lambda: nn.Sequential(compiled(), nn.Identity()),
    "traced": lambda: torch.jit.trace(Written().eval(), torch.rand(2, 1, 28, 28)),
    "scripted": scripted,
    "frozen": lambda: torch.jit.freeze(scripted()),
    "frozen within": lambda: nn.Sequential(torch.jit.freeze(scripted()), nn.Tanh()),
    "weight norm": lambda: layers(nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3))),
}
PLAIN: dict[str, Callable[[], nn.Module]] = {
    "counter": lambda: Written(counted),
    # networks that branch on pixels or leave PyTorch
    "branches on pixels": lambda: Written(head=branches_on_pixels),
    "cache, branches on pixels": lambda: Cached(head=branches_on_pixels),
    "numpy": lambda: Written(lambda n, x: torch.from_numpy(np.sqrt(x.numpy()))),
    "tolist": lambda: Written(head=lambda n, x: n.out(torch.tensor(x.flatten(1).tolist()))),
    "data": lambda: Written(through_data),
    "a gradient inside": lambda: Written(gradient_inside),
    "sparse": lambda: Written(head=sparse_inside),
    "mkldnn": lambda: Written(lambda n, x: x.to_mkldnn().relu().to_dense()),
    "nonzero": lambda: Written(lambda n, x: x * (len(x[x > 0.05].nonzero()) > 0)),
    "complex": lambda: Written(lambda n, x: torch.fft.ifft2(torch.fft.fft2(x)).real.contiguous()),
    "pruned": pruned,  # by a hook
}
EITHER: dict[str, Callable[[], nn.Module]] = {
    "integers": lambda: Written(head=lambda n, x: (n.out(x.flatten(1)) * 1000).int()),
    "for inference": lambda: torch.jit.optimize_for_inference(scripted()),
    "exported": exported,
    "exported within": lambda: nn.Sequential(exported(), nn.Tanh()),
}
NETWORKS = {**SHARED, **PLAIN, **EITHER}


def make(name: str) -> nn.Module:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.jit and torch.export about themselves
        model = NETWORKS[name]()
        if any(isinstance(p, nn.UninitializedParameter) for p in model.parameters()):
            materialised(model)
    return model.train() if name in ("keeps outputs", "cache") else eval_where_possible(model)


def eval_where_possible(model: nn.Module) -> nn.Module:
    try:
        return model.eval()
    except NotImplementedError:  # an exported one
        return model


@pytest.mark.parametrize("method", ["auto", "plain"])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_answers_as_in_a_loop(name: str, method: str, images: Tensor) -> None:
    model = make(name)
    expected = hand_loop(eval_where_possible(make(name)), images, GRID)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # the check finds nothing wrong
        answers = ShiftEvaluator(model, GRID, method=method).answer(images, return_logits=True)
    if method == "auto" and name not in EITHER:
        assert answers.method == ("shared" if name in SHARED else "plain"), answers.reason
    assert answers.logits is not None
    close = {"rtol": 1e-4, "atol": 1e-5}
    if "autocast" in name or "half" in name:
        close = {"rtol": 0.02, "atol": 0.02}
    if name == "integers":
        close = {"rtol": 0, "atol": 1}
    torch.testing.assert_close(answers.logits, expected, **close)
    assert "\n" not in answers.reason


@pytest.mark.parametrize("name", [name for name in NETWORKS if "for inference" not in name])
def test_it_is_left_as_it_was(name: str, images: Tensor) -> None:
    model, untouched = make(name), make(name)
    modes = [getattr(m, "training", None) for m in model.modules()]
    ShiftEvaluator(model, GRID).answer(images[:2])
    assert [getattr(m, "training", None) for m in model.modules()] == modes
    before, after = untouched.state_dict(), model.state_dict()
    changes = {key for key in before if not torch.equal(before[key], after[key])}
    assert changes == ({"count"} if name == "counter" else set())
    assert all(type(t) is Tensor for t in getattr(model, "outputs", []))
    assert used(model) == used(untouched)
    assert [set(vars(m)) for m in model.modules()] == [set(vars(m)) for m in untouched.modules()]


def used(model: nn.Module) -> list[str]:
    """Call a network, train it, copy it and save it: what each of these raises."""
    x = torch.rand(18, 1, 28, 28)
    raised = []

    def step() -> None:
        logits = model(x)
        assert type(logits) is Tensor
        assert not logits.is_inference()
        logits.sum().backward()

    def save() -> None:
        torch.save(model.state_dict(), io.BytesIO())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for use in (step, lambda: copy.deepcopy(model), save):
            try:
                use()
                raised.append("")
            except (RuntimeError, TypeError) as error:
                raised.append(type(error).__name__)
    return raised
