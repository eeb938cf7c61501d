"""Break each promise of docs/PROMISES.md in a copy: the test that the promise names must fail.

    python tools/stress/breaches.py            every one
    python tools/stress/breaches.py 9 11 13    those of some promises

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
    """A promise, a text in a file, its replacement, and the tests that must fail."""

    promise: int
    what: str
    file: str
    text: str
    planted: str
    test: str
    chosen: str = ""


BREACHES = (
    Breach(
        1, "a wrong class at the last shift", "csrc/cpu/images/answers.h",
        "static_cast<std::uint8_t>(index[l]);", "static_cast<std::uint8_t>(index[l] ^ (offset == 54));",
        "test_predict_shifts_lenet5.py",
    ),
    Breach(
        2, "the result of the check is ignored", "lenetshift/predict/shared/comparison.py",
        "if agreed.all():", "if True:", "test_methods.py", "check_finds_wrong",
    ),
    Breach(
        2, "an attempt that raises ends the call", "lenetshift/predict/sharing.py",
        "except BaseException as error:  # which would", "except NotShared as error:  # which would",
        "test_attempt.py", "whatever_an_attempt_raises",
    ),
    Breach(
        2, "a folded batch normalization forgets the mean", "lenetshift/predict/shared/rewriting.py",
        "else bias.to(dtype) - mean", "else bias.to(dtype)", "test_rewriting.py",
    ),
    Breach(
        2, "images that a network mixes are shared", "lenetshift/predict/shared/image_dims.py",
        "return None if along == dim else ImageDim", "return ImageDim", "test_attention.py", "mix_images",
    ),
    Breach(
        3, "outputs that are not finite are not computed again", "csrc/cpu/conv/c3_conv.h",
        "if (stop.raised() || !not_finite.any()) return !stop.raised();", "if (true) return !stop.raised();",
        "test_c3_not_finite.py",
    ),
    Breach(
        3, "a clamp hides NaN", "csrc/cpu/indirect/windows.h",
        "larger(Vec<T>{} + clamp.low, x)", "larger(x, Vec<T>{} + clamp.low)",
        "test_indirect.py", "test_values_that_are_not_finite",
    ),
    Breach(
        4, "the second derivative forgets the bias", "lenetshift/ops/_c3_derivatives.py",
        "ctx.table, for_input, for_weight, for_bias)", "ctx.table, for_input, for_weight, None)",
        "test_transforms.py", "c3_conv",
    ),
    Breach(
        5, "the worst case is the best", "lenetshift/metrics/accuracy.py",
        "np.logical_and.reduce", "np.logical_or.reduce", "test_metrics.py", "accuracies",
    ),
    Breach(
        6, "the order of images does not depend on the seed", "lenetshift/data/seeds.py",
        "torch.randperm(n, generator=generator(seed)", "torch.randperm(n, generator=None",
        "test_runs.py", "function_of_its_settings",
    ),
    Breach(
        6, "the size of batches differs from call to call", "lenetshift/predict/plain.py",
        "    return min(most, max(least, 1 << (wanted.bit_length() - 1)))",
        "    import random\n\n    return random.SystemRandom().randint(least, most)",
        "test_plain.py", "same_call",
    ),
    Breach(
        7, "the order in which gradients are summed depends on the number of threads",
        "csrc/cpu/conv/c3_conv.h", "sum += plan.slots[slot * c.n_grads + i];",
        "sum += plan.slots[(plan.threads.n_threads > 1 ? c.n_slots - slot : slot) * c.n_grads + i];",
        "test_c3_conv_large_maps.py", "number_of_threads",
    ),
    Breach(
        7, "the number of threads changes the last bit of a pool", "lenetshift/ops/indirect.py",
        "join, output.data_ptr())\n        return output",
        "join, output.data_ptr())\n        return output * (1 + 2e-7 * (torch.get_num_threads() > 1))",
        "test_indirect.py", "every_thread_count",
    ),
    Breach(
        8, "the global generator is left seeded", "lenetshift/data/seeds.py",
        "with _global_lock, torch.random.fork_rng(devices=devices):", "with _global_lock:", "test_seeds.py",
    ),
    Breach(
        9, "concurrent calls do not take turns", "csrc/host/threads.cpp",
        "p.taken = has_turn_ = has_turn = n_threads_ > 1;", "has_turn_ = has_turn = n_threads_ > 1;",
        "test_core_threads.py", "several_threads_at_once",
    ),
    Breach(
        10, "a forked child draws with torch's threads", "lenetshift/data/seeds.py",
        "in the child\n    _forked = True", "in the child\n    _forked = False", "test_fork.py", "main_job",
    ),
    Breach(
        11, "a kernel does not check whether to stop", "csrc/host/stop.h",
        "execution_.should_stop())", "false)", "test_core_threads.py", "ops_can_be_interrupted",
    ),
    Breach(
        12, "a command does not catch Ctrl-C", "lenetshift/cli/command.py",
        "except KeyboardInterrupt as stop:", "except ZeroDivisionError as stop:",
        "test_interrupts.py", "any_moment",
    ),
    Breach(
        13, "a daemon thread takes the lock as Python ends", "csrc/host/gil.h",
        "  if (interpreter_ends()) sleep_until_the_process_ends();\n#if defined(__GLIBCXX__)\n  try {",
        "#if 0\n  try {", "test_core_threads.py", "daemon_threads",
    ),
    Breach(
        14, "a model stays in eval mode", "lenetshift/predict/modes.py",
        "_switch(modules, own)", "pass", "test_threads.py",
    ),
    Breach(
        14, "weights that a mode has merged are not restored", "lenetshift/predict/modes.py",
        "_restore(_saved.pop(id(model), []))", "_saved.pop(id(model), [])",
        "test_attempt.py", "effect_of_the_mode",
    ),
    Breach(
        14, "what a network keeps cannot be trained", "lenetshift/predict/evaluator.py",
        "with torch.no_grad(), self._eval_mode():", "with torch.inference_mode(), self._eval_mode():",
        "test_any_network.py", "left_as_it_was and cache",
    ),
    Breach(
        15, "a file is not flushed to the disk", "lenetshift/storage/files.py",
        "            os.fsync(file.fileno())\n", "", "test_files.py", "reaches_the_disk",
    ),
    Breach(
        16, "finished runs are repeated", "lenetshift/study/run_files.py",
        "    if sealed is None:\n        return None\n    try:\n        all_predictions",
        "    if True:\n        return None\n    try:\n        all_predictions",
        "test_study.py", "finished_runs_are_not_done_again",
    ),
    Breach(
        16, "answers are kept in no file", "lenetshift/predict/shards/by_shard.py",
        "            write_shard(self._folder, shard, self._settings, answers)", "            pass",
        "test_command_evaluate_answers.py", "killed_evaluation",
    ),
    Breach(
        16, "answered images are answered again", "lenetshift/predict/shards/by_shard.py",
        "        if self._folder is None:\n            return None",
        "        if True:\n            return None",
        "test_evaluate_by_shard.py", "only_what_is_missing",
    ),
    Breach(
        16, "a cluster that goes is a traceback", "lenetshift/predict/cluster/connection.py",
        "except (OSError, distributed.TimeoutError, distributed.CancelledError) as error:",
        "except ZeroDivisionError as error:", "test_command_evaluate_answers.py", "cluster_that_goes",
    ),
    Breach(
        17, "a reproduction uses a study's folder", "lenetshift/storage/folder.py",
        "{RESULTS, STUDY, ANSWERS} - {kind}", "set()", "test_study.py", "write_over",
    ),
    Breach(
        17, "half-written files of others are removed", "lenetshift/storage/folder.py",
        '("answers-[0-9][0-9][0-9][0-9][0-9][0-9].npz",),\n)', '("*",),\n)',
        "test_evaluate_by_shard.py", "others_are_left_alone",
    ),
    Breach(
        18, "a checkpoint's hash is not checked", "lenetshift/storage/sealed.py",
        "if hashlib.sha256(body).hexdigest().encode() != digest:", "if False:",
        "test_checkpoints.py", "flipped",
    ),
    Breach(
        18, "a damaged file of answers is used", "lenetshift/predict/shards/files.py",
        "        check_seal(contents)", "        pass", "test_evaluate_by_shard.py", "damaged",
    ),
    Breach(
        18, "answers of another network are used", "lenetshift/predict/shards/files.py",
        "            check_same(name, about.get(name), now)", "            pass",
        "test_evaluate_by_shard.py", "other_settings",
    ),
    Breach(
        19, "labels are not verified", "lenetshift/study/verification.py",
        "    _check_labels(folder, plan)\n", "", "test_study.py", "one_changed_label",
    ),
    Breach(
        19, "predictions that no network gave are admitted", "lenetshift/study/repetition.py",
        "    if not len(wrong):", "    if True:", "test_verify.py", "network_did_not_give",
    ),
    Breach(
        19, "rounding is admitted where there is none", "lenetshift/study/repetition.py",
        'exact = run.method == "fused" and plan.ground() == value["ground"]', "exact = False",
        "test_verify.py", "network_did_not_give",
    ),
    Breach(
        19, "rounding may change any number of answers", "lenetshift/study/repetition.py",
        "if not exact and count.different <= MOST_BY_ROUNDING * count.total:", "if not exact:",
        "test_verify.py", "rounding_of_another_machine",
    ),
    Breach(
        19, "losses are not compared", "lenetshift/study/repetition.py",
        '    pairs["losses"] = kept.losses, outcome.losses\n', "", "test_verify.py", "losses_are_proved",
    ),
    Breach(
        19, "accuracies of earlier epochs are not compared", "lenetshift/study/repetition.py",
        'pairs["accuracies"] = kept.accuracies, outcome.accuracies', "pass",
        "test_verify.py", "accuracies_of_earlier_epochs",
    ),
    Breach(
        19, "accuracies need not be those of the predictions", "lenetshift/study/contents.py",
        "        _check_accuracies(folder, run, kept, labels)\n", "",
        "test_verify.py", "accuracies_that_no_predictions_give",
    ),
    Breach(
        19, "the accuracy on held-out images is not evaluated", "lenetshift/study/repetition.py",
        "if kept.accuracies is not None and run.held_out:", "if False:", "test_verify.py", "held_out",
    ),
    Breach(
        19, "facts are not compared", "lenetshift/study/verification.py",
        '    _compare_facts(value["facts"], recomputed.pop("facts"))',
        '    recomputed["facts"] = value["facts"]',
        "test_verify.py", "false_facts",
    ),
    Breach(
        19, "experiments that the runs are not of are admitted", "lenetshift/study/verification.py",
        '    _compare("study.experiments", study["experiments"], in_order)\n', "",
        "test_verify.py", "a_plan_that_the_runs_are_not_of",
    ),
    Breach(
        19, "files beside those of the runs are admitted", "lenetshift/study/verification.py",
        "if more := unlisted(folder, plan.runs):", "if more := []:", "test_verify.py", "files_of_others",
    ),
    Breach(
        20, "a checkpoint's pickle is run", "lenetshift/storage/untrusted.py",
        'map_location="cpu", weights_only=True)', 'map_location="cpu", weights_only=False)',
        "test_untrusted.py", "pickled",
    ),
    Breach(
        20, "other people's weights are unpickled", "lenetshift/cli/networks/weights.py",
        "            return load_tensors(data)",
        "            import torch\n\n            return torch.load(io.BytesIO(data), weights_only=False)",
        "test_weights.py", "class_in_the_way",
    ),
    Breach(
        20, "a batch of CIFAR's runs what it names", "lenetshift/data/sources/plain_pickle.py",
        "        if function is None:\n",
        "        if function is None:\n            return super().find_class(module, name)\n",
        "test_cifar.py", "nothing_in_a_batch_is_run",
    ),
    Breach(
        20, "images of every format are opened", "lenetshift/data/sources/image_folder.py",
        "for name in _FORMATS if name in Image.OPEN", "for name in Image.OPEN",
        "test_image_folder.py", "start_programs",
    ),
    Breach(
        21, "the size of unpacked archives is not limited", "lenetshift/storage/untrusted.py",
        "    if n_bytes > most:", "    if False:", "test_untrusted.py", "unpack_to_more",
    ),
    Breach(
        21, "an array takes what it announces", "lenetshift/data/sources/npz.py",
        "    if math.prod(shape) * dtype.itemsize > member.file_size:", "    if False:",
        "test_npz.py", "announces_too_much",
    ),
    Breach(
        21, "the size of unpacked images is not limited", "lenetshift/data/sources/npz.py",
        "    if member.file_size > most:", "    if False:", "test_npz.py", "unpacks_to_hundreds",
    ),
    Breach(
        21, "a pickle takes what it announces", "lenetshift/data/sources/plain_pickle.py",
        '("__builtin__", "bytes"): _no_bytes', '("__builtin__", "bytes"): bytes',
        "test_cifar.py", "takes_no_memory",
    ),
    Breach(
        22, "a truncated .gz is not rejected", "lenetshift/data/idx.py",
        "except (gzip.BadGzipFile, EOFError, zlib.error)", "except (gzip.BadGzipFile, zlib.error)",
        "test_fuzz_corpus.py", "idx",
    ),
    Breach(
        22, "a damaged image ends the command", "lenetshift/data/sources/image_folder.py",
        "except Exception as error:  # damaged files raise many kinds", "except OSError as error:",
        "test_fuzz_corpus.py", "image",
    ),
    Breach(
        22, "a damaged batch of CIFAR's ends the command", "lenetshift/data/sources/plain_pickle.py",
        "except Exception as error:  # damaged pickles raise many kinds", "except EOFError as error:",
        "test_fuzz_corpus.py", "cifar",
    ),
    Breach(
        23, "a core that was built from other sources is used", "lenetshift/checks/core.py",
        "if sha256 is not None and getattr", "if False and getattr", "test_native.py", "other_sources",
    ),
    Breach(
        24, "LENETSHIFT_ISA is not read", "csrc/host/dispatch.cpp",
        'std::getenv("LENETSHIFT_ISA")', "nullptr", "test_isa.py",
    ),
    Breach(
        25, "a free-threaded Python is accepted", "lenetshift/checks/core.py",
        'if sysconfig.get_config_var("Py_GIL_DISABLED"):', "if False:", "test_native.py", "free_threaded",
    ),
    Breach(
        27, "a value that is not an int is accepted as one", "lenetshift/checks/numbers.py",
        "as_int = int(value) if is_int(value) else None", "as_int = int(value)", "test_checks.py",
    ),
)  # fmt: skip


def main() -> int:
    """Plant the chosen breaches. Returns 1 if no test fails with one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    broken = sorted({breach.promise for breach in BREACHES})
    parser.add_argument("promises", nargs="*", type=int, choices=[[], *broken], metavar="PROMISE")
    promises = parser.parse_args().promises or broken
    breaches = [breach for breach in BREACHES if breach.promise in promises]
    unseen = 0
    with tempfile.TemporaryDirectory(prefix="lenetshift_breaches_") as scratch:
        copy = Path(scratch, "copy")
        for breach in breaches:
            seen = verdict(breach, copy, Path(scratch, "build"))
            unseen += not seen
            said = "seen" if seen else "NOT SEEN"
            print(f"{breach.promise}: {breach.what}: {said}", flush=True)
    print(f"{len(breaches) - unseen} of {len(breaches)} breaches are seen")
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
