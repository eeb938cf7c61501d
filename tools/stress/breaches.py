"""Break each promise of docs/PROMISES.md in a copy: the test that the promise names must fail.

    python tools/stress/breaches.py            every one
    python tools/stress/breaches.py 9 11 13    some, by their numbers

The core is compiled again for breaches in csrc. Promise 26 is not here: its test plants its own breach.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from build import PYTEST, ROOT, FailedError, compile_core, path_of_test, replace

COPIED = ("benchmarks", "cmake", "csrc", "docs", "examples", "lenetshift", "tests", "tools")
FILES = ("CMakeLists.txt", "README.md", "pyproject.toml")


@dataclass(frozen=True)
class Breach:
    """A text in a file, its replacement, and the tests that must fail."""

    what: str
    file: str
    text: str
    planted: str
    test: str
    chosen: str = ""


BREACHES = {
    1: Breach(
        "a wrong class at the last shift", "csrc/cpu/images/answers.h",
        "static_cast<std::uint8_t>(index[l]);", "static_cast<std::uint8_t>(index[l] ^ (offset == 54));",
        "test_predict_shifts_lenet5.py",
    ),
    2: Breach(
        "the result of the check is ignored", "lenetshift/predict/shared/comparison.py",
        "if agreed.all():", "if True:", "test_methods.py", "check_finds_wrong",
    ),
    3: Breach(
        "outputs that are not finite are not computed again", "csrc/cpu/conv/c3_conv.h",
        "if (stop.raised() || !not_finite.any()) return !stop.raised();", "if (true) return !stop.raised();",
        "test_c3_not_finite.py",
    ),
    4: Breach(
        "the second derivative forgets the bias", "lenetshift/ops/_c3_derivatives.py",
        "ctx.table, for_input, for_weight, for_bias)", "ctx.table, for_input, for_weight, None)",
        "test_transforms.py", "c3_conv",
    ),
    5: Breach(
        "the worst case is the best", "lenetshift/metrics/accuracy.py",
        "np.logical_and.reduce", "np.logical_or.reduce", "test_metrics.py", "accuracies",
    ),
    6: Breach(
        "the order of images does not depend on the seed", "lenetshift/data/seeds.py",
        "torch.randperm(n, generator=generator(seed)", "torch.randperm(n, generator=None",
        "test_runs.py", "function_of_its_settings",
    ),
    7: Breach(
        "the number of threads changes the last bit", "lenetshift/ops/c3_conv.py",
        "    return output\n",
        "    import torch\n\n    return output * (1 + 2e-7 * (torch.get_num_threads() > 1))\n",
        "test_c3_conv_large_maps.py", "number_of_threads",
    ),
    8: Breach(
        "the global generator is left seeded", "lenetshift/data/seeds.py",
        "with _global_lock, torch.random.fork_rng(devices=devices):", "with _global_lock:", "test_seeds.py",
    ),
    9: Breach(
        "concurrent calls do not take turns", "csrc/host/threads.cpp",
        "p.taken = has_turn_ = has_turn = n_threads_ > 1;", "has_turn_ = has_turn = n_threads_ > 1;",
        "test_core_threads.py", "several_threads_at_once",
    ),
    10: Breach(
        "a forked child draws with torch's threads", "lenetshift/data/seeds.py",
        "in the child\n    _forked = True", "in the child\n    _forked = False", "test_fork.py", "main_job",
    ),
    11: Breach(
        "a kernel does not check whether to stop", "csrc/host/stop.h",
        "execution_.should_stop())", "false)", "test_core_threads.py", "ops_can_be_interrupted",
    ),
    12: Breach(
        "a command does not catch Ctrl-C", "lenetshift/cli/command.py",
        "except KeyboardInterrupt as stop:", "except ZeroDivisionError as stop:",
        "test_interrupts.py", "any_moment",
    ),
    13: Breach(
        "a daemon thread takes the lock as Python ends", "csrc/host/gil.h",
        "  if (interpreter_ends()) sleep_until_the_process_ends();\n#if defined(__GLIBCXX__)\n  try {",
        "#if 0\n  try {", "test_core_threads.py", "daemon_threads",
    ),
    14: Breach(
        "a model stays in eval mode", "lenetshift/predict/modes.py",
        "_switch(modules, own)", "pass", "test_threads.py",
    ),
    15: Breach(
        "a file is not flushed to the disk", "lenetshift/storage/files.py",
        "            os.fsync(file.fileno())\n", "", "test_files.py", "reaches_the_disk",
    ),
    16: Breach(
        "finished runs are repeated", "lenetshift/study/run_files.py",
        "    if sealed is None:\n        return None\n    try:\n        arrays",
        "    if True:\n        return None\n    try:\n        arrays",
        "test_study.py", "finished_runs_are_not_done_again",
    ),
    17: Breach(
        "a reproduction uses a study's folder", "lenetshift/storage/folder.py",
        "{RESULTS, STUDY} - {kind}", "set()", "test_study.py", "write_over",
    ),
    18: Breach(
        "a checkpoint's hash is not checked", "lenetshift/storage/sealed.py",
        "if hashlib.sha256(body).hexdigest().encode() != digest:", "if False:",
        "test_checkpoints.py", "flipped",
    ),
    19: Breach(
        "labels are not verified", "lenetshift/study/verification.py",
        "    _check_labels(folder, plan)\n", "", "test_study.py", "one_changed_label",
    ),
    20: Breach(
        "a checkpoint's pickle is run", "lenetshift/storage/untrusted.py",
        'map_location="cpu", weights_only=True)', 'map_location="cpu", weights_only=False)',
        "test_untrusted.py", "pickled",
    ),
    21: Breach(
        "the size of unpacked archives is not limited", "lenetshift/storage/untrusted.py",
        "    if n_bytes > most:", "    if False:", "test_untrusted.py", "unpack_to_more",
    ),
    22: Breach(
        "a truncated .gz is not rejected", "lenetshift/data/idx.py",
        "except (gzip.BadGzipFile, EOFError, zlib.error)", "except (gzip.BadGzipFile, zlib.error)",
        "test_fuzz_corpus.py", "idx",
    ),
    23: Breach(
        "a core that was built from other sources is used", "lenetshift/checks/core.py",
        "if sha256 is not None and getattr", "if False and getattr", "test_native.py", "other_sources",
    ),
    24: Breach(
        "LENETSHIFT_ISA is not read", "csrc/host/dispatch.cpp",
        'std::getenv("LENETSHIFT_ISA")', "nullptr", "test_isa.py",
    ),
    25: Breach(
        "a free-threaded Python is accepted", "lenetshift/checks/core.py",
        'if sysconfig.get_config_var("Py_GIL_DISABLED"):', "if False:", "test_native.py", "free_threaded",
    ),
    27: Breach(
        "a value that is not an int is accepted as one", "lenetshift/checks/numbers.py",
        "as_int = int(value) if is_int(value) else None", "as_int = int(value)", "test_checks.py",
    ),
}  # fmt: skip


def main() -> int:
    """Plant the chosen breaches. Returns 1 if no test fails with one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", type=int, choices=[[], *BREACHES], metavar="NUMBER")
    numbers = parser.parse_args().numbers or list(BREACHES)
    unseen = 0
    with tempfile.TemporaryDirectory(prefix="lenetshift_breaches_") as scratch:
        copy = Path(scratch, "copy")
        for number in numbers:
            seen = verdict(BREACHES[number], copy, Path(scratch, "build"))
            unseen += not seen
            said = "seen" if seen else "NOT SEEN"
            print(f"{number}: {BREACHES[number].what}: {said}", flush=True)
    print(f"{len(numbers) - unseen} of {len(numbers)} breaches are seen")
    return int(unseen > 0)


def verdict(breach: Breach, copy: Path, build: Path) -> bool:
    """Whether the tests fail with a breach; FailedError if it cannot be planted or no test runs."""
    shutil.rmtree(copy, ignore_errors=True)
    for name in COPIED:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, copy)
    replace(copy / breach.file, breach.text, breach.planted)
    if breach.file.startswith("csrc"):
        compile_core(copy, build)
    command = [sys.executable, *PYTEST, "--slow", f"tests/{path_of_test(breach.test)}"]
    try:
        done = subprocess.run(
            [*command, "-k", breach.chosen], cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return True
    if not re.search(r"\d (passed|failed|error)", done.stdout):
        raise FailedError(
            f"{breach.test} -k '{breach.chosen}': no test was run:\n{done.stdout}{done.stderr}"
        )
    return done.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
