"""Mutation testing of the CPU kernels: change one thing and see whether a test of values fails.

    python tools/stress/mutate_kernels.py --number 40

Each mutant has one constant, comparison or operator of csrc/cpu changed, drawn at random (``--seed``). It is
compiled for the portable instruction set, whose kernels are the others' text; then a little of every op
is compared with PyTorch, and where that finds nothing the value tests of the ops are run until the first
fails. Survivors, and what does not finish in time, are printed with what was changed: a survivor is either a
gap in the tests or a change that makes no difference (a schedule, a bound of memory).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from build import PYTEST, ROOT, configure, path_of_test
from sanitized import SMALL

CPU = ROOT / "csrc" / "cpu"

TESTS = tuple(map(path_of_test, (
    "test_translate.py", "test_shift_each.py", "test_tanh.py", "test_c3_conv_large_maps.py",
    "test_c3_conv.py", "test_predict_shifts_chunks.py", "test_predict_shifts_lenet5.py",
    "test_predict_shifts_mlp.py", "test_train_epoch.py", "test_c3_not_finite.py", "test_not_finite.py",
    "test_indirect.py",
)))  # fmt: skip

LATE = "not finished in time"
"""It may hang, or the machine may be busy."""

CHANGES = (
    (re.compile(r"(?<=[\w)\]] )\+(?= [\w(])"), "-"),
    (re.compile(r"(?<=[\w)\]] )-(?= [\w(])"), "+"),
    (re.compile(r"(?<=[\w)\]] )<(?= [\w(])"), "<="),
    (re.compile(r"(?<=[\w)\]] )<=(?= [\w(])"), "<"),
    (re.compile(r"(?<=[\w)\]] )>=(?= [\w(])"), ">"),
    (re.compile(r"(?<=[\w)\]] )==(?= [\w(])"), "!="),
    (re.compile(r"(?<=[\w)\]] )&&(?= [\w(!])"), "||"),
    (re.compile(r"(?<![\w.])[0-9](?![\w.])"), "{next}"),
)


@dataclass(frozen=True)
class Mutant:
    """A change at one place in a file."""

    path: Path
    line: int
    start: int
    end: int
    text: str

    def __str__(self) -> str:
        """Where, before and after."""
        before = self.path.read_text().splitlines()[self.line]
        after = before[: self.start] + self.text + before[self.end :]
        where = f"{self.path.relative_to(ROOT)}:{self.line + 1}"
        return f"{where}\n    - {before.strip()}\n    + {after.strip()}"


def main() -> int:
    """Make mutants. Returns 1 if one survives."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    mutants = random.Random(args.seed).sample(places(), args.number)
    outcomes = {"killed": 0, "refused by the compiler": 0, LATE: 0, "survived": 0}
    with tempfile.TemporaryDirectory(prefix="lenetshift_mutants_") as scratch:
        workshop = Workshop(Path(scratch))
        if (outcome := workshop.outcome(None)) != "survived":
            sys.exit(f"the unchanged core: {outcome}, expected that all tests pass")
        for mutant in mutants:
            outcome = workshop.outcome(mutant)
            outcomes[outcome] += 1
            if outcome in ("survived", LATE):
                print(f"{outcome}: {mutant}", flush=True)
    print(", ".join(f"{number} {outcome}" for outcome, number in outcomes.items()))
    return int(outcomes["survived"] > 0)


def places() -> list[Mutant]:
    """All possible changes: in code, not in comments, tests or includes."""
    found = []
    for path in sorted(CPU.rglob("*.h")):
        for number, line in enumerate(path.read_text().splitlines()):
            code = line.split("//")[0]
            if not code.strip() or code.lstrip().startswith(("#", "template", "static_assert")):
                continue
            for pattern, new in CHANGES:
                for match in pattern.finditer(code):
                    text = str(int(match[0]) + 1) if new == "{next}" else new
                    found.append(Mutant(path, number, match.start(), match.end(), text))
    return found


class Workshop:
    """A build of the core whose portable kernels are recompiled for each mutant."""

    def __init__(self, folder: Path) -> None:
        """Build it once."""
        self.folder, self.site = folder, folder / "site"
        build = folder / "build"
        configure(ROOT, build, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
        subprocess.run(["cmake", "--build", build], check=True, stdout=subprocess.DEVNULL)
        commands = json.loads((build / "compile_commands.json").read_text())
        (compile_portable,) = (c for c in commands if c["file"].endswith("isa_portable.cpp"))
        self._compile = shlex.split(compile_portable["command"])
        self._object = build / self._compile[self._compile.index("-o") + 1]
        self._objects = sorted(build.rglob("*.o"))
        (self._core,) = build.glob("_core*")
        ignore = shutil.ignore_patterns("_core*", "__pycache__")
        shutil.copytree(ROOT / "lenetshift", self.site / "lenetshift", ignore=ignore)
        shutil.copytree(ROOT / "tests", self.site / "tests", ignore=ignore)

    def outcome(self, mutant: Mutant | None) -> str:
        """The outcome for a mutant, or for the unchanged code if there is none."""
        source = self.folder / "csrc"
        shutil.rmtree(source, ignore_errors=True)
        shutil.copytree(ROOT / "csrc", source)
        if mutant is not None:
            path = source / mutant.path.relative_to(ROOT / "csrc")
            lines = path.read_text().splitlines(keepends=True)
            line = lines[mutant.line]
            lines[mutant.line] = line[: mutant.start] + mutant.text + line[mutant.end :]
            path.write_text("".join(lines))
        command = [word.replace(str(ROOT / "csrc"), str(source)) for word in self._compile]
        command[command.index("-o") + 1] = str(self._object)
        core = self.site / "lenetshift" / self._core.name
        link = ["g++", "-shared", "-pthread", "-o", str(core), *map(str, self._objects)]
        for step in (command, link):
            if subprocess.run(step, cwd=self.folder, capture_output=True).returncode:
                return "refused by the compiler"
        variables = {**os.environ, "PYTHONPATH": str(self.site), "LENETSHIFT_ISA": "portable"}
        try:
            few = [sys.executable, "-c", SMALL]
            if subprocess.run(few, env=variables, capture_output=True, timeout=60).returncode:
                return "killed"
            done = subprocess.run(
                [sys.executable, *PYTEST, "-n", "2", *TESTS],
                cwd=self.site / "tests", env=variables, capture_output=True, timeout=900,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return LATE
        return "killed" if done.returncode else "survived"


if __name__ == "__main__":
    sys.exit(main())
