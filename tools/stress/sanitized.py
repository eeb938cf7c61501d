"""The CPU core under sanitizers: its unit tests, and the value tests of every op.

    python tools/stress/sanitized.py             unit tests and op tests, every instruction set here
    python tools/stress/sanitized.py --quick     fewer op tests, for every change
    python tools/stress/sanitized.py --plant     plants faults in copies of the sources: each must be caught

``address`` finds accesses beyond an array, the parts of a workspace apart from each other
(csrc/cpu/simd/redzone.h), and what C++ leaves undefined; workspaces are filled with NaN, so that a
value test finds reads before writes. ``thread`` finds races. Needs GCC, doctest, and
what tests need; run it with the Python of an environment that has torch and pytest.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from build import PYTEST, ROOT, FailedError, configure, in_scratch, path_of_test, replace, run

SANITIZERS = {"address": "address;undefined", "thread": "thread"}
OP_TESTS = {
    "address": (
        "test_c3_conv.py", "test_c3_not_finite.py", "test_indirect.py", "test_not_finite.py",
        "test_predict_shifts_chunks.py", "test_predict_shifts_lenet5.py", "test_predict_shifts_mlp.py",
        "test_shift_each.py", "test_tanh.py", "test_train_epoch.py", "test_translate.py",
    ),
    "thread": ("test_predict_shifts_chunks.py", "test_train_epoch.py"),
}  # fmt: skip
QUICK = {
    "address": ("test_translate.py", "test_shift_each.py", "test_c3_not_finite.py"),
    "thread": (),
}
SMALL = (
    "import lenetshift, torch; from lenetshift import *; torch.set_num_threads(2); torch.manual_seed(0)\n"
    "train_set, test_set = load_mnist(); train_set, test_set = train_set.subset(150), test_set.subset(37)\n"
    "for build in (LeNet5, MLP, PooledMLP):\n"
    "    model = build()\n"
    "    train(model, train_set, epochs=1, learning_rate=0.1, batch_size=50, seed=0)\n"
    "    answers, logits = predict_shifts(model, test_set.images, return_logits=True)\n"
    "    plain, expected = predict_shifts(\n"
    "        model, test_set.images, method='plain', batch_size=64, return_logits=True)\n"
    "    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-4)\n"
    "x, w, b = torch.rand(3, 6, 9, 11), torch.rand(60, 5, 5), torch.rand(16)\n"
    "masks = lenetshift.c3_table.table_masks(C3_TABLE)\n"
    "torch.testing.assert_close(torch.ops.lenetshift.c3_conv(x, w, b, masks),\n"
    "    lenetshift.reference.c3_conv(x, w, b, C3_TABLE), rtol=1e-4, atol=1e-4)\n"
    "rows, columns = torch.tensor([[-1, 0], [2, 7]]), torch.tensor([[3, 4, 5], [10, -1, 0]])\n"
    "for channels, groups in ((3, 1), (20, 1), (20, 20)):\n"
    "    conv = (torch.rand(3, channels, 9, 11), torch.rand(20, channels // groups, 2, 3), torch.rand(20),\n"
    "        rows, columns, groups)\n"
    "    torch.testing.assert_close(torch.ops.lenetshift.indirect_conv2d(*conv),\n"
    "        lenetshift.reference.indirect_conv2d(*conv), rtol=1e-4, atol=1e-4)\n"
    "    torch.testing.assert_close(torch.ops.lenetshift.indirect_pool2d(conv[0], rows, columns, True),\n"
    "        lenetshift.reference.indirect_pool2d(conv[0], rows, columns, True))\n"
)
"""A small test of every op, compared with PyTorch, which must find planted faults."""


@dataclass(frozen=True)
class Fault:
    """A text in a file of csrc, its replacement, the sanitizer, and the expected report."""

    file: str
    text: str
    planted: str
    build: str
    said: str


FAULTS = {
    "one image too many in the last lane group": Fault(
        "cpu/images/answers.h", "for (int l = 0; l < n_lanes; ++l)\n    job.predictions",
        "for (int l = 0; l <= n_lanes; ++l)\n    job.predictions", "address",
        "AddressSanitizer|out of bounds",
    ),
    "a part of the workspace that is one vector short": Fault(
        "cpu/lenet5/predict.h", "rows.c1_x_sums = workspace.take<vec>(2 * s2_columns * kMaps1)",
        "rows.c1_x_sums = workspace.take<vec>(2 * s2_columns * kMaps1 - 1)", "address",
        "use-after-poison",
    ),
    "a workspace that is read before it is written": Fault(
        "cpu/lenet5/predict.h", "ink[i] = vec{};", "ink[i] += vec{};", "address", "nan|not close",
    ),
    "a shift by too many bits": Fault(
        "host/image_order.h", "<< kChunkBits |", "<< (kChunkBits + 64 * (i > 5)) |", "address",
        "runtime error: shift exponent",
    ),
    "a missing barrier in training": Fault(
        "cpu/lenet5/train.h", "      barrier.wait();\n", "", "thread", "ThreadSanitizer: data race",
    ),
    "a race in the order of images": Fault(
        "host/image_order.h", "i < share.stop; ++i)\n      keys",
        "i < share.stop + (thread == 0); ++i)\n      keys", "thread", "ThreadSanitizer: data race",
    ),
}  # fmt: skip


def main() -> int:
    """Run the chosen tests. Returns 1 if a fault is found, or a planted one is not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--plant", action="store_true", help="plant faults, each of which must be caught"
    )
    parser.add_argument("--build", choices=SANITIZERS, help="one of them; by default both")
    parser.add_argument("--folder", type=Path, help="keep the builds in this folder")
    args = parser.parse_args()
    builds = [args.build] if args.build else list(SANITIZERS)

    def work(scratch: Path) -> int:
        folder = args.folder.resolve() if args.folder else scratch
        if args.plant:
            return plant(folder, builds)
        for build in builds:
            check(folder / build, build, (QUICK if args.quick else OP_TESTS)[build])
        return 0

    return in_scratch(work)


def check(folder: Path, build: str, tests: tuple[str, ...]) -> None:
    """Build the core, and run unit tests and op tests."""
    make(ROOT, folder, build, unit_tests=True)
    ctest = ["ctest", "--output-on-failure", "--timeout", "600"]
    said = run([*fixed_addresses(), *ctest], folder, environment(build, preload=False))
    print(f"{build}: unit tests: {said.splitlines()[-3]}")
    site = package(ROOT, folder)
    for name in isas(site, build):
        python(["-c", SMALL], site, build, name)
        print(f"{build}, {name}: the small test of every op passes", flush=True)
    if tests:  # which force each instruction set themselves; -s: a report ends the process
        pytest = [*PYTEST, "--slow", "-s", *map(path_of_test, tests)]
        print(f"{build}: {python(pytest, site, build, '').splitlines()[-1]}", flush=True)


def plant(folder: Path, builds: list[str]) -> int:
    """Plant each fault in a copy; returns the number of faults that were not caught."""
    missed = 0
    for name, fault in FAULTS.items():
        if fault.build not in builds:
            continue
        source = folder / "source"
        shutil.rmtree(source, ignore_errors=True)
        for part in ("csrc", "cmake", "lenetshift"):
            shutil.copytree(ROOT / part, source / part)
        shutil.copy(ROOT / "CMakeLists.txt", source)
        replace(source / "csrc" / fault.file, fault.text, fault.planted)
        make(source, folder / f"planted_{fault.build}", fault.build, unit_tests=False)
        site = package(source, folder / f"planted_{fault.build}")
        try:
            python(["-c", SMALL], site, fault.build, isas(site, fault.build)[0])
            verdict = "NOT CAUGHT"
        except FailedError as error:
            is_expected = re.search(fault.said, str(error))
            verdict = "caught" if is_expected else f"caught otherwise:\n{str(error)[-3000:]}"
        missed += verdict != "caught"
        print(f"{name}: {verdict}", flush=True)
    return missed


def make(source: Path, folder: Path, build: str, *, unit_tests: bool) -> None:
    """Build the core with a sanitizer."""
    configure(
        source, folder, "-DCMAKE_CXX_COMPILER=g++", f"-DLENETSHIFT_SANITIZE={SANITIZERS[build]}",
        f"-DLENETSHIFT_UNIT_TESTS={'ON' if unit_tests else 'OFF'}",
    )  # fmt: skip
    run(["cmake", "--build", str(folder)], source)


def package(source: Path, folder: Path) -> Path:
    """Make a folder with the package, its sanitized core, and the tests."""
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    ignore = shutil.ignore_patterns("_core*", "__pycache__")
    shutil.copytree(source / "lenetshift", site / "lenetshift", ignore=ignore)
    shutil.copytree(ROOT / "tests", site / "tests", ignore=ignore)
    for part in ("csrc", "cmake", "CMakeLists.txt"):  # what the core was built from
        (site / part).symlink_to(source / part)
    for core in folder.glob("_core*"):
        shutil.copy(core, site / "lenetshift")
    return site


def isas(site: Path, build: str) -> list[str]:
    """The instruction sets of this machine, the best first."""
    best = python(["-c", "import lenetshift; print(lenetshift.isa())"], site, build, "").strip()
    names = ["avx512", "avx2", "portable"]
    return names[names.index(best) :]


def python(arguments: list[str], site: Path, build: str, isa: str) -> str:
    """Run Python with the sanitizer's library loaded first; returns its output."""
    variables = environment(build, preload=True)
    variables |= {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "2"}
    if isa:
        variables["LENETSHIFT_ISA"] = isa
    return run([*fixed_addresses(), sys.executable, *arguments], site / "tests", variables)


SUPPRESSIONS = "race:libtorch_cpu.so\nrace:libc10.so\n"
"""For ThreadSanitizer: torch's work in OpenMP threads, whose barriers it does not see."""


def environment(build: str, *, preload: bool) -> dict[str, str]:
    """The environment of this process, with the settings of the sanitizers."""
    suppressions = Path(tempfile.gettempdir(), "lenetshift_tsan.supp")
    suppressions.write_text(SUPPRESSIONS)
    variables = {
        **os.environ,
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "TSAN_OPTIONS": "halt_on_error=1:exitcode=66:report_signal_unsafe=0:"
        f"suppressions={suppressions}",
    }
    if preload:
        libraries = ({"address": "libasan.so", "thread": "libtsan.so"}[build], "libstdc++.so.6")
        paths = [run(["g++", f"-print-file-name={name}"], ROOT).strip() for name in libraries]
        # With the C++ library, where the sanitizer looks for exceptions as it starts.
        variables["LD_PRELOAD"] = " ".join(paths)
    return variables


def fixed_addresses() -> list[str]:
    """A prefix that disables address randomization, which is too large for ThreadSanitizer of GCC 12."""
    return ["setarch", "-R"] if shutil.which("setarch") else []


if __name__ == "__main__":
    sys.exit(main())
