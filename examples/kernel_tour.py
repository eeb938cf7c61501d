"""A kernel engineer's tour: a new op, from its reference to its benchmark and the sanitizers.

    python examples/kernel_tour.py                   # half a minute; needs g++
    python examples/kernel_tour.py --n-images 2000   # less to time

The op is ``ink`` of docs/add_a_kernel.md, the sum of each image's pixels. Its kernel is compiled by itself,
from the file that docs/add_a_kernel.patch adds to ``csrc/``; the package is not built again. Run it as a
whole, or cell by cell (``# %%``), in a clone of the repository.
"""

# %% What we need
from __future__ import annotations

import argparse
import ctypes
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import lenetshift

ROOT = (
    Path(__file__).resolve() if "__file__" in globals() else Path("examples/x").resolve()
).parents[1]
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument(
    "--n-images", type=int, default=10_000, help="images to time it on, at most 10,000"
)
args, _ = parser.parse_known_args()  # a notebook has arguments of its own
images = lenetshift.load_mnist()[1].images[: args.n_images]
scratch = Path(tempfile.mkdtemp(prefix="lenetshift-kernel-"))

# %% 1. The reference: what is right, obvious and slow


def reference(images: Tensor) -> Tensor:
    """The sum of each image's pixels: uint8 ``[N, ...]`` -> int64 ``[N]``."""
    return images.to(torch.int64).sum(tuple(range(1, images.dim())))


print(
    f"The reference says that the first digits have {reference(images[:3]).tolist()} units of ink."
)

# %% 2. The kernel: plain C++, without torch and Python


def added_by_the_patch(path: str) -> str:
    """A file that docs/add_a_kernel.patch adds."""
    patch = (ROOT / "docs" / "add_a_kernel.patch").read_text()
    (part,) = (p for p in patch.split("diff --git ") if p.startswith(f"a/{path} "))
    return "".join(
        f"{line[1:]}\n" for line in part.splitlines() if line.startswith("+") and line[1:3] != "++"
    )


KERNEL = added_by_the_patch("csrc/cpu/images/ink_sums.cpp")
CALLED = """
// What the package has in csrc/host/: here one thread, and no Ctrl-C.
namespace lenetshift {
void run_body_on_threads(int n, void (*body)(void*, int), void* context) {
  for (int thread = 0; thread < n; ++thread) body(context, thread);
}
}  // namespace lenetshift
extern "C" bool call_ink(const unsigned char* images, long n_images, long n_pixels, long* sums) {
  return lenetshift::ink(images, n_images, n_pixels, sums, {1, [] { return false; }});
}
"""


def compiled(name: str, source: str, *options: str) -> Path:
    """What g++ makes of a source."""
    file, made = scratch / f"{name}.cpp", scratch / f"{name}.so"
    file.write_text(source)
    subprocess.run(
        ["g++", "-std=c++17", "-O3", f"-I{ROOT / 'csrc'}", *options, str(file), "-o", str(made)],
        check=True,
    )
    return made


Op = Callable[[Tensor], Tensor]


def kernel(name: str, source: str) -> Op:
    """The kernel as a function of tensors."""
    call = ctypes.CDLL(str(compiled(name, source + CALLED, "-shared", "-fPIC"))).call_ink
    call.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_long, ctypes.c_void_p]

    def run(images: Tensor) -> Tensor:
        images = images.contiguous()
        sums = images.new_empty(len(images), dtype=torch.int64)
        n_pixels = images[0].numel() if len(images) else 0
        call(images.data_ptr(), len(images), n_pixels, sums.data_ptr())
        return sums

    return run


ink = kernel("ink", KERNEL)
print(f"The kernel is {len(KERNEL.splitlines())} lines of C++, of which these do the work:")
begin = KERNEL.index("      std::int64_t sum = 0;")
print(KERNEL[begin : KERNEL.index("    }\n", begin)], end="")

# %% 3. Compare, before anything is timed: odd shapes, no images, strides, sums beyond 32 bits
SHAPES = [(0, 28, 28), (1, 1, 1), (7, 28, 28), (3, 2, 5, 4), (4, 0, 3), (1, 3000, 6000)]
CASES = [torch.randint(0, 256, shape, dtype=torch.uint8) for shape in SHAPES]
CASES += [images, images[::2, ::3], torch.full((1, 5000, 4000), 255, dtype=torch.uint8)]


def wrong(op: Op) -> int:
    """In how many cases an op differs from the reference."""
    return sum(not torch.equal(op(case), reference(case)) for case in CASES)


print(f"The kernel differs from the reference in {wrong(ink)} of {len(CASES)} cases.")
assert wrong(ink) == 0
FAULTS = {
    "a sum that begins at 1": ("sum = 0;", "sum = 1;"),
    "32 bits": ("std::int64_t sum", "int sum"),
}
for number, (name, (right, planted)) in enumerate(FAULTS.items()):
    faulty = kernel(f"fault{number}", KERNEL.replace(right, planted))
    print(
        f"With a planted fault, {name}, in {wrong(faulty)}: {'seen' if wrong(faulty) else 'NOT SEEN'}."
    )

# %% 4. The op: shapes for torch.compile, and a check that they are right
op = torch.library.custom_op(
    "lenetshift_tour::ink",
    lambda images: ink(images),
    mutates_args=(),
    schema="(Tensor images) -> Tensor",
)
op.register_fake(lambda images: images.new_empty(images.shape[:1], dtype=torch.int64))
said = torch.library.opcheck(op, (images[:5],))
print(f"torch.library.opcheck: {', '.join(sorted(set(said.values())))} ({len(said)} checks).")

# %% 5. The benchmark: in turn with every way that a user may know, median and spread, and what bounds it


def seconds(run: Callable[[], object]) -> float:
    """The time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


before = torch.get_num_threads()
torch.set_num_threads(1)  # as the kernel here
runs = {
    "ours": lambda: ink(images),
    "torch": lambda: images.sum((1, 2)),
    "torch in float32": lambda: images.flatten(1).float().sum(1).long(),  # exact: sums below 2**24
    "NumPy": lambda: images.numpy().sum((1, 2), dtype="int32"),
    "a copy": images.clone,
}
for name, run in runs.items():
    if name != "a copy":
        assert torch.equal(torch.as_tensor(run()).long(), reference(images)), name
times: dict[str, list[float]] = {name: [] for name in runs}
for _ in range(31):
    for name, run in runs.items():
        times[name].append(seconds(run))
torch.set_num_threads(before)
middle = {name: statistics.median(each) for name, each in times.items()}
for name, each in times.items():
    spread = (max(each) - min(each)) / middle[name]
    rate = images.nbytes / middle[name] / 1e9
    print(f"{name:16} {1e3 * middle[name]:8.3f} ms, spread {spread:.0%}; {rate:.1f} GB/s read")
best = min((name for name in runs if name not in ("ours", "a copy")), key=middle.__getitem__)
faster, of_copy = middle[best] / middle["ours"], middle["a copy"] / middle["ours"]
print(f"On one thread, ours is {faster:.2f} times as fast as the best peer, {best}.")
noisy = max((max(times[name]) - min(times[name])) / middle[name] for name in ("ours", best)) > 0.5
bound = "the memory bounds it" if of_copy > 0.8 else "the additions bound it, not the memory"
print(
    f"It reads each byte once, at {of_copy:.0%} of the rate of a copy: "
    + ("the times scatter too much to say more; close other programs." if noisy else f"{bound}.")
)

# %% 6. The sanitizer: an access beyond an array gives right sums on most days
MAIN = """
#include <vector>
int main() {
  const long n = 3, pixels = 5;
  std::vector<unsigned char> images(n * pixels, 1);
  std::vector<long> sums(n);
  return call_ink(images.data(), n, pixels, sums.data()) ? 0 : 1;
}
"""
SANITIZE = ("-g", "-O1", "-fsanitize=address,undefined")
for name, source in (
    ("as it is", KERNEL),
    ("one pixel too many", KERNEL.replace("i < n_pixels", "i <= n_pixels")),
):
    program = compiled(f"sanitized{len(name)}", source + CALLED + MAIN, *SANITIZE)
    done = subprocess.run([str(program)], capture_output=True, text=True)
    reports = [line for line in done.stderr.splitlines() if "ERROR: Addr" in line]
    said_first = (
        reports[0].split("Sanitizer: ")[1].split(" on ")[0] if reports else "nothing to report"
    )
    print(f"The kernel, {name}, under AddressSanitizer: {said_first}.")

# %% Where to go on: the same in the package, in nine places, which docs/add_a_kernel.md goes through
print("In the package:")
for line in (
    "git apply docs/add_a_kernel.patch",
    "pip install '.[test]' && pytest tests/ops/test_ink.py",
    "python benchmarks/run.py --only ink",
    "python tools/stress/sanitized.py --quick",
    "pytest --slow tests/ops/test_cuda_emulation.py -k ink   # the CUDA twin, without a card",
):
    print(f"    {line}")
print(f"What was compiled here lies in {scratch}.")
