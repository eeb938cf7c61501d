"""The threads of the ops: nested calls, concurrent calls, more threads than cores.

Each test runs in a process of its own, because started threads remain, and because the faults it guards
against may hang or crash.
"""

from __future__ import annotations

import sys

import pytest
from command_line import python

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, sends signals"),
]

# The ops on random images, each as a function of nothing that gives its results: tensors.
OPS = """
import ctypes, os, signal, sys, threading, time
import torch
from lenetshift.c3_table import C3_TABLE, table_masks
from lenetshift.models.build import build_model

generator = torch.Generator().manual_seed(0)
IMAGES = torch.randint(0, 256, (8192, 28, 28), generator=generator, dtype=torch.uint8)
LABELS = torch.randint(0, 10, (8192,), generator=generator)
X, WEIGHT, BIAS = (torch.randn(*s, generator=generator) for s in ((64, 6, 14, 14), (60, 5, 5), (16,)))
SHIFTS = torch.tensor([[1, 2], [-3, 0]])
NAMES = ("lenet5", "mlp", "pooled_mlp")
PARAMETERS = {name: list(build_model(name, "tanh", seed=0).parameters()) for name in NAMES}

def predict(name, n_images):
    op = getattr(torch.ops.lenetshift, "predict_shifts_" + name)
    with torch.no_grad():
        return [*op(IMAGES[:n_images], [-5, 6], [-2, 3], PARAMETERS[name])]

def train(name, n_images):
    op = getattr(torch.ops.lenetshift, "train_epoch_" + name)
    parameters = [p.detach().clone() for p in PARAMETERS[name]]
    order = torch.arange(n_images) % len(IMAGES)
    return [op(IMAGES, LABELS, order, parameters, 0.01, 64), *parameters]

def c3_conv():
    return [torch.ops.lenetshift.c3_conv(X, WEIGHT, BIAS, table_masks(C3_TABLE))]

def translate():
    return [
        torch.ops.lenetshift.translate(IMAGES[:500], SHIFTS),
        torch.ops.lenetshift.shift_each(IMAGES[:500], SHIFTS.repeat(500, 1)[:500]),
    ]

def indirect():
    columns = torch.tensor([[-1, 0, 1], [3, 3, 9]])
    maps = X[:, :, None, :, 0]
    for kernels, groups in ((WEIGHT[:12, :3, :1].reshape(6, 6, 1, 1).expand(6, 6, 1, 3), 1),
                            (WEIGHT[:6, None, :1, :3], 6)):
        rows = torch.tensor([[0]])
        yield torch.ops.lenetshift.indirect_conv2d(maps, kernels, BIAS[:6], rows, columns, groups)
        yield torch.ops.lenetshift.indirect_pool2d(maps, rows, columns, groups == 1)

def small():
    results = c3_conv() + translate() + [*indirect()]
    for name in NAMES:
        results += predict(name, 40)
    return results

def small_and_training():
    results = small()
    for name in NAMES:
        results += train(name, 200)
    return results

def same(a, b):
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # torch's threads hang after a fork, and end the process if none starts
    equal = len(a) == len(b) and all(map(torch.equal, a, b))
    torch.set_num_threads(n_threads)
    return equal
"""


def run(code: str, *arguments: object, timeout: float = 120) -> list[str]:
    """The words that the process prints."""
    process = python("-c", OPS + code, *arguments, timeout=timeout)
    assert process.returncode == 0, process.stderr
    return process.stdout.split()


NESTED = """
torch.set_num_threads(int(sys.argv[1]))
small_results = small_and_training()
# Calls that last for some tenths of a second: a signal comes during each.
calls = [(predict, name, 8192) for name in NAMES]
calls += [(train, "lenet5", 10_000), (train, "mlp", 30_000), (train, "pooled_mlp", 100_000)]
nested = []

def here():
    nested.append(small_and_training())

def elsewhere():
    thread = threading.Thread(target=here)
    thread.start()
    thread.join()

for call, *arguments in calls:
    undisturbed = call(*arguments)
    for what in (here, elsewhere):
        nested.clear()
        signal.signal(signal.SIGALRM, lambda signum, frame: what())
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        disturbed = call(*arguments)
        print(call.__name__, arguments[0], what.__name__, len(nested),
              all(same(results, small_results) for results in nested), same(disturbed, undisturbed))
"""


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_calls_during_a_call(n_threads: int) -> None:
    """While an op runs, a signal handler calls ops, directly or in a thread that it waits for."""
    words = run(NESTED, n_threads)
    lines = [words[i : i + 6] for i in range(0, len(words), 6)]
    assert len(lines) == 12
    for line in lines:
        assert line[3:] == ["1", "True", "True"], line


AT_ONCE = """
torch.set_num_threads(2)
expected = small_and_training()
wrong = []

def work():
    for _ in range(3):
        if not same(small_and_training(), expected):
            wrong.append(1)

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(wrong))
"""


def test_calls_from_several_threads_at_once() -> None:
    assert run(AT_ONCE) == ["0"]


WAITING = """
torch.set_num_threads(2)
signal.signal(signal.SIGINT, signal.default_int_handler)
op = torch.ops.lenetshift.train_epoch_lenet5
order = torch.zeros(10_000_000, dtype=torch.int64)  # for ten seconds and more
arguments = (IMAGES, LABELS, order, [p.detach() for p in PARAMETERS["lenet5"]], 0.01, 64)
threading.Thread(target=op, args=arguments, daemon=True).start()
time.sleep(1)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
start = time.monotonic()
try:
    c3_conv()
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - start)
sys.stdout.flush()
os._exit(0)
"""


def test_a_call_that_waits_for_its_turn_can_be_interrupted() -> None:
    word, seconds = run(WAITING)
    assert word == "interrupted"
    assert 0.4 < float(seconds) < 5  # it checks every 20 ms; the rest is for a busy machine


FORKED = """
torch.set_num_threads(2)
expected = small()
stop = threading.Event()

def work():
    while not stop.is_set():
        small()

thread = threading.Thread(target=work)
thread.start()
good = 0
for _ in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # a child that hangs is killed
        os._exit(0 if same(small(), expected) else 1)
    good += os.waitpid(child, 0)[1] == 0
stop.set()
thread.join()
print(good)
"""


def test_children_forked_in_the_midst_of_a_call() -> None:
    assert run(FORKED) == ["20"]


WOKEN = """
def switches():
    found = {}
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        found[task] = int(lines["voluntary_ctxt_switches"]), int(lines["nonvoluntary_ctxt_switches"])
    return found

torch.set_num_threads(1)
n_before = len(switches())
torch.set_num_threads(64)
c3_conv()
torch.set_num_threads(2)
time.sleep(0.1)
before = switches()
for _ in range(50):
    c3_conv()
    time.sleep(0.002)  # long enough for its threads to fall asleep
time.sleep(0.1)
after = switches()
workers = set(before) - {str(os.getpid())}
print(len(before) - n_before, sum(after[worker] != before[worker] for worker in workers))
"""


def test_only_wanted_threads_wake() -> None:
    """After a call with many threads, calls with two threads wake only one besides the caller."""
    started, woken = map(int, run(WOKEN))
    assert started >= 7  # on one core; 15 on two
    assert woken == 1


FAILING = """
torch.set_num_threads(1)
expected = small()

class Attributes(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_char * 64), ("align", ctypes.c_long)]

def set_stack_size(n_bytes):
    libc = ctypes.CDLL(None)
    attributes = Attributes()
    assert libc.pthread_getattr_default_np(ctypes.byref(attributes)) == 0
    assert libc.pthread_attr_setstacksize(ctypes.byref(attributes), ctypes.c_size_t(n_bytes)) == 0
    assert libc.pthread_setattr_default_np(ctypes.byref(attributes)) == 0

def n_tasks():
    return len(os.listdir("/proc/self/task"))

torch.set_num_threads(int(sys.argv[1]))
small()
n_before = n_tasks()
set_stack_size(2**47)  # all addresses that a process has: no thread can be started
try:
    threading.Thread(target=print).start()
    print("started")
except RuntimeError:
    print("none")
torch.set_num_threads(6)
print(same(small(), expected), n_tasks() - n_before)
set_stack_size(2**23)
print(same(small(), expected), n_tasks() - n_before)
"""


@pytest.mark.parametrize("n_started", [1, 2, 3])
def test_threads_that_cannot_be_started(n_started: int) -> None:
    """Calls run on the threads that exist, and on more as soon as more can be started."""
    words = run(FAILING, n_started)
    assert words == ["none", "True", "0", "True", str(6 - n_started)]


CROWD = """
seconds = []
results = []
for n_threads in (2, 1024):
    torch.set_num_threads(n_threads)
    train("lenet5", 640)
    start = time.monotonic()
    results.append(train("lenet5", 12_800))
    seconds.append(time.monotonic() - start)
print(same(*results), *seconds)
"""


def test_far_more_threads_than_cores() -> None:
    """They cost some time, but not several times as much."""
    equal, few, many = run(CROWD, timeout=600)
    assert equal == "True"
    assert float(many) < 5 * float(few)


AT_EXIT = """
import random
torch.set_num_threads(2)
order = torch.zeros(1_000_000, dtype=torch.int64)
arguments = (IMAGES, LABELS, order, [p.detach() for p in PARAMETERS["lenet5"]], 0.01, 64)
for work in (c3_conv, small, lambda: torch.ops.lenetshift.train_epoch_lenet5(*arguments)):
    def forever(work=work):
        while True:
            work()
    threading.Thread(target=forever, daemon=True).start()
time.sleep(0.2 + random.random() / 4)
"""


def test_python_ends_while_daemon_threads_are_inside_ops() -> None:
    """Each takes the interpreter's lock now and then, which is not available any more when Python ends."""
    for _ in range(8):
        assert run(AT_EXIT) == []


INTERRUPTED = """
from lenetshift.checks.core import core
torch.set_num_threads(1)  # for a second or so each
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGALRM, signal.default_int_handler)
core.set_isa("portable")
x, few = torch.ones(1, 6, 2000, 2000), torch.full((1, 6, 600, 600), float("inf"))
grad, weight = torch.ones(1, 16, 1996, 1996), WEIGHT.clone()
table = table_masks(C3_TABLE)
images, shifts = IMAGES[:400], torch.randint(-5, 6, (3000, 2))
many, far = IMAGES[:400].repeat(2000, 1, 1), shifts[:400].repeat(2000, 1)
moved = torch.zeros(150, 3000, 28, 28)
tall = torch.arange(1990)[:, None] + torch.arange(9)
kernels = torch.ones(16, 6, 9, 9)
ops = torch.ops.lenetshift
CALLS = {
    "c3_conv": lambda: ops.c3_conv(x, weight, BIAS, table),
    "c3_conv_backward": lambda: ops.c3_conv_backward(grad, x, weight, table, [True, True, True]),
    "c3_conv_not_finite": lambda: ops.c3_conv(few, weight, BIAS, table),
    "translate": lambda: ops.translate(images, shifts),
    "translate_backward": lambda: ops.translate_backward(moved, shifts),
    "shift_each": lambda: ops.shift_each(many, far),
    "indirect_conv2d": lambda: ops.indirect_conv2d(x, kernels, BIAS, tall[:500], tall),
    "indirect_depthwise": lambda: ops.indirect_conv2d(x, kernels[:6, :1], BIAS[:6], tall, tall, 6),
    "indirect_pool2d": lambda: ops.indirect_pool2d(x, tall, tall, True),
    "predict": lambda: predict("mlp", 2000),
    "train": lambda: train("mlp", 10_000),
}
def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start

for name, call in CALLS.items():
    whole_s = min(seconds(call), seconds(call))
    signal.setitimer(signal.ITIMER_REAL, whole_s / 4)
    start = time.perf_counter()
    try:
        while True:
            call()
    except KeyboardInterrupt:
        print(name, whole_s, (time.perf_counter() - start) / whole_s)
"""


def test_ops_can_be_interrupted() -> None:
    """Well before the op ends: the signal comes after a quarter of its time, and Python is asked every
    twentieth of a second."""
    words = run(INTERRUPTED, timeout=300)
    parts = {words[i]: words[i + 1 : i + 3] for i in range(0, len(words), 3)}
    assert len(parts) == 11
    for name, (whole_s, part) in parts.items():
        assert float(part) < 0.8, (name, whole_s, part)
