"""What works in a loop works here: networks as people write and wrap them.

Each is evaluated by every method and compared with the loop. After that it is what it was: its values, its
modes, and it can be called, trained, copied and saved.
"""

from __future__ import annotations

import copy
import io
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune

from lenetshift import ShiftGrid, load_mnist
from lenetshift.predict.evaluator import ShiftEvaluator

GRID = ShiftGrid(range(-1, 2), range(-1, 2))


@pytest.fixture(scope="module")
def images() -> Tensor:
    return load_mnist()[1].images[:6]


def hand_loop(
    model: nn.Module, images: Tensor, dtype: torch.dtype = torch.float32, transform: Any = None
) -> Tensor:
    """The five lines: every pattern of every image, in batches of 18."""
    padded = F.pad(images, (1, 1, 1, 1))
    moved = [padded[:, 1 - dy : 29 - dy, 1 - dx : 29 - dx] for dx, dy in GRID.shifts().tolist()]
    batch = (torch.stack(moved, dim=1).flatten(0, 1).unsqueeze(1).float() / 255).to(dtype)
    with torch.no_grad():
        rows = [model(x if transform is None else transform(x)) for x in batch.split(18)]
    return torch.cat(rows).view(len(images), *GRID.shape, -1)


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


class WrittenBehindAConvolution(nn.Module):
    """A view of a convolution's result is written to, and the result used after that."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(1, 4, 5), nn.Linear(4 * 24 * 24, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        y = x.flatten(1)
        y.relu_()
        return self.out(x.flatten(1))


class OptionalArguments(Written):
    def forward(self, x: Tensor, mask: Tensor | None = None, *, labels: Any = None, **more: Any):
        if mask is not None:
            x = x * mask
        logits = super().forward(x)
        return logits if labels is None else (logits, labels)


class Asserting(Written):
    def forward(self, x: Tensor) -> Tensor:
        assert x.dim() == 4
        assert x.shape[1:] == (1, 28, 28), "digits"
        if len(x) == 0:
            return x.flatten(1)
        if torch.is_tensor(x) and isinstance(x, Tensor) and x.is_floating_point():
            x = (x - 0.13) / 0.31
        return super().forward(x)


class Cached(Written):
    """Makes a table on first use."""

    table = None

    def forward(self, x: Tensor) -> Tensor:
        if self.table is None:
            self.table = torch.linspace(0.5, 1.5, 28, device=x.device).mean() * torch.ones(1)
        return super().forward(x * self.table)


class Logging(Written):
    """Keeps what it computed."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []
        self.last: dict[str, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        self.outputs.append(logits)
        self.last["logits"] = logits
        return logits


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LazyConv2d(4, 5), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


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


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor], **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def counted(net: Any, x: Tensor) -> Tensor:
    net.count += 1
    return x


def written_through_a_view(net: Any, x: Tensor) -> Tensor:
    y = x.flatten(1)
    y.relu_()
    return net.out(x.flatten(1) - 0.5)


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


def through_numpy(net: Any, x: Tensor) -> Tensor:
    return torch.from_numpy(np.sqrt(x.numpy()))


def through_a_list(net: Any, x: Tensor) -> Tensor:
    return net.out(torch.tensor(x.flatten(1).tolist()))


def through_data(net: Any, x: Tensor) -> Tensor:
    x.data = x.data * 2
    return x


def half_inside(net: Any, x: Tensor) -> Tensor:
    return (x.half() * net.scale.half()).float()


def sparse_inside(net: Any, x: Tensor) -> Tensor:
    return torch.sparse.mm(x.flatten(1).to_sparse(), net.out.weight.t()) + net.out.bias


def mkldnn_inside(net: Any, x: Tensor) -> Tensor:
    return x.to_mkldnn().relu().to_dense()


def compiled(**settings: Any) -> nn.Module:
    return torch.compile(Written(), backend="eager", **settings)


def compiled_in_place() -> nn.Module:
    model = Written()
    model.compile(backend="eager")
    return model


def averaged() -> nn.Module:
    return torch.optim.swa_utils.AveragedModel(Written())


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


SHARE = "shared"
GO_PLAIN = "plain"

NETWORKS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    # what people write
    "view, size": (lambda: Written(head=lambda n, x: n.out(x.view(x.size(0), -1))), SHARE),
    "view, -1": (lambda: Written(head=lambda n, x: n.out(x.view(-1, 6 * 11 * 11))), SHARE),
    "view, shape": (lambda: Written(head=lambda n, x: n.out(x.view(*x.shape[:1], -1))), SHARE),
    "reshape, len": (lambda: Written(head=lambda n, x: n.out(x.reshape(len(x), -1))), SHARE),
    "view after pooling": (lambda: Written(lambda n, x: x.view(x.size())), SHARE),
    "optional arguments": (OptionalArguments, SHARE),
    "asserts and conditions": (Asserting, SHARE),
    "relu in place": (lambda: Written(lambda n, x: x.sub_(0.1).relu_()), SHARE),
    "repeat": (lambda: Written(lambda n, x: x[:, :1].repeat(1, 4, 1, 1)), SHARE),
    "expand": (lambda: Written(lambda n, x: x[:, 1:2].expand(-1, 4, -1, -1)), SHARE),
    "stack": (
        lambda: Written(lambda n, x: torch.stack([x[:, k] for k in range(4)], dim=1)),
        SHARE,
    ),
    "cat with zeros": (
        lambda: Written(lambda n, x: torch.cat([x[:, :3], torch.zeros(len(x), 1, 24, 24)], 1)),
        SHARE,
    ),
    "channel shuffle": (
        lambda: Written(lambda n, x: x.view(len(x), 2, 2, 24, 24).transpose(1, 2).reshape(x.shape)),
        SHARE,
    ),
    "half inside": (lambda: Written(half_inside), SHARE),
    "unused mask": (lambda: Written(lambda n, x: x.masked_fill(x < 0.1, 0)), SHARE),
    "index list": (lambda: Written(lambda n, x: x[:, [3, 1, 0, 2]]), SHARE),
    "buffer first": (lambda: Written(lambda n, x: x * n.scale), SHARE),
    "squeeze at the end": (
        lambda: Written(head=lambda n, x: n.out(x.flatten(1))[:, :, None, None].squeeze()),
        SHARE,
    ),
    "autocast inside": (lambda: Written(head=in_autocast), SHARE),
    "local response norm": (lambda: Written(lambda n, x: F.local_response_norm(x, 3)), SHARE),
    "several outputs of one": (
        lambda: Written(lambda n, x: torch.cat(x.chunk(2, 1)[::-1], 1)),
        SHARE,
    ),
    # in-place operations on views
    "written through a view": (lambda: Written(head=written_through_a_view), SHARE),
    "written before flatten": (lambda: Written(head=written_before_flatten), SHARE),
    "written into a part": (lambda: Written(written_into_a_part), SHARE),
    "filled by parts": (lambda: Written(head=filled_by_parts), SHARE),
    "written behind a convolution": (lambda: WrittenBehindAConvolution(), SHARE),
    # what makes something when it runs
    "cache": (Cached, SHARE),
    "keeps outputs": (Logging, SHARE),
    "lazy": (Lazy, SHARE),
    "a lock": (WithLock, SHARE),
    "counter": (lambda: Written(counted), GO_PLAIN),
    # what branches on pixels, or leaves PyTorch
    "branches on pixels": (lambda: Written(head=branches_on_pixels), GO_PLAIN),
    "numpy": (lambda: Written(through_numpy), GO_PLAIN),
    "tolist": (lambda: Written(head=through_a_list), GO_PLAIN),
    "data": (lambda: Written(through_data), GO_PLAIN),
    "a gradient inside": (lambda: Written(gradient_inside), GO_PLAIN),
    "sparse": (lambda: Written(head=sparse_inside), GO_PLAIN),
    "mkldnn": (lambda: Written(mkldnn_inside), GO_PLAIN),
    "nonzero": (
        lambda: Written(lambda n, x: x * (len(x[x > 0.05].nonzero()) > 0)),
        GO_PLAIN,
    ),
    "integers": (lambda: Written(head=lambda n, x: (n.out(x.flatten(1)) * 1000).int()), "any"),
    "bools": (lambda: Written(head=lambda n, x: n.out(x.flatten(1)) > 0), SHARE),
    # padding
    "pads twice": (
        lambda: (
            layers(nn.ReLU()).insert(0, nn.ZeroPad2d(1)).insert(1, nn.Conv2d(1, 1, 3, padding=1))
        ),
        SHARE,
    ),
    "pads twice, ReLU between": (
        lambda: nn.Sequential(nn.ZeroPad2d(1), nn.ReLU(), nn.ZeroPad2d((2, 0, 1, 3)), *layers()),
        SHARE,
    ),
    "pads twice, otherwise": (
        lambda: nn.Sequential(
            nn.ConstantPad2d(1, 0.25),
            nn.Conv2d(1, 4, 3, padding=1),
            nn.Flatten(),
            nn.LazyLinear(10),
        ),
        GO_PLAIN,
    ),
    # wrappers
    "DataParallel": (lambda: nn.DataParallel(Written()), SHARE),
    "AveragedModel": (averaged, SHARE),
    "compiled": (compiled, SHARE),
    "compiled, fullgraph": (lambda: compiled(fullgraph=True), SHARE),
    "compiled in place": (compiled_in_place, SHARE),
    "compiled within": (lambda: nn.Sequential(compiled(), nn.Identity()), SHARE),
    "traced": (lambda: torch.jit.trace(Written().eval(), torch.rand(2, 1, 28, 28)), SHARE),
    "scripted": (scripted, SHARE),
    "frozen": (lambda: torch.jit.freeze(scripted()), SHARE),
    "frozen within": (lambda: nn.Sequential(torch.jit.freeze(scripted()), nn.Tanh()), SHARE),
    "for inference": (lambda: torch.jit.optimize_for_inference(scripted()), "any"),
    "exported": (exported, "any"),
    "exported within": (lambda: nn.Sequential(exported(), nn.Tanh()), "any"),
    "pruned": (pruned, GO_PLAIN),  # by a hook
    "weight norm": (
        lambda: layers(nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3))),
        SHARE,
    ),
    "complex weights": (
        lambda: Written(lambda n, x: torch.fft.ifft2(torch.fft.fft2(x)).real.contiguous()),
        GO_PLAIN,
    ),
}


def make(name: str) -> nn.Module:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.jit and torch.export about themselves
        model = NETWORKS[name][0]()
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
def test_it_answers_as_a_loop_does(name: str, method: str, images: Tensor) -> None:
    model = make(name)
    expected = hand_loop(eval_where_possible(make(name)), images)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # the check finds nothing wrong
        answers = ShiftEvaluator(model, GRID, method=method).answer(images, return_logits=True)
    how = NETWORKS[name][1]
    if method == "auto" and how != "any":
        assert answers.method == how, answers.reason
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
