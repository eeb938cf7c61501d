"""The source distribution and the wheels, built, proved and tried.

    python tools/wheels.py build [PYTHON ...]    dist/: an sdist, and from it a wheel for each Python
    python tools/wheels.py try [PYTHON ...]      a wheel in a clean environment: the README's first line

PYTHON is a command, such as ``python3.12``; by default the one that runs this. ``build`` makes every wheel
twice, in different folders, and wants the same bytes. Linux wheels for other machines than this one are
built in containers by cibuildwheel (``[tool.cibuildwheel]`` in pyproject.toml).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
TESTS = (
    "test_isa.py", "test_c3_conv.py", "test_translate.py", "test_predict_shifts_lenet5.py",
    "test_predict_shifts_mlp.py", "test_shared.py", "test_train_epoch.py", "test_metrics.py",
)  # fmt: skip
"""Values of every op, and what the package's Python does with them."""


class FailedError(Exception):
    """What did not come out as it must, in a line or with a command's output."""


def main() -> int:
    """Build or try."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("build", "try"))
    parser.add_argument("pythons", nargs="*", metavar="PYTHON", default=[sys.executable])
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="lenetshift_wheels_") as scratch:
            if args.what == "build":
                build(args.pythons, Path(scratch))
            else:
                for number, python in enumerate(args.pythons):
                    try_wheel(python, Path(scratch, str(number)))
    except FailedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def build(pythons: list[str], scratch: Path) -> None:
    """An sdist, and its wheels, into ``dist``."""
    shutil.rmtree(DIST, ignore_errors=True)
    run([sys.executable, "-m", "build", "--sdist", "--outdir", str(DIST), "."], ROOT)
    (sdist,) = DIST.glob("*.tar.gz")
    print(f"{sdist.name}: {sdist.stat().st_size / 1e6:.1f} MB")
    for number, python in enumerate(pythons):
        folders = [scratch / f"{number}_{which}" for which in ("first", "second_and_longer")]
        first, second = (wheel_of(sdist, python, folder) for folder in folders)
        digest = hashlib.sha256(first.read_bytes()).hexdigest()
        if hashlib.sha256(second.read_bytes()).hexdigest() != digest:
            raise FailedError(f"{first.name}: two builds differ: {differences(first, second)}")
        shutil.copy(first, DIST)
        print(f"{first.name}: {first.stat().st_size / 1e6:.1f} MB, built twice, SHA-256 {digest}")


def wheel_of(sdist: Path, python: str, folder: Path) -> Path:
    """A wheel, built in a folder of its own."""
    variables = {
        **os.environ,
        "TMPDIR": str(folder),
        "SOURCE_DATE_EPOCH": run(["git", "log", "-1", "--format=%ct"], ROOT).strip(),
    }
    folder.mkdir()
    options = ["--no-deps", "--no-cache-dir", "--config-settings=cmake.define.LENETSHIFT_CUDA=OFF"]
    run(
        [python, "-m", "pip", "wheel", *options, "-w", str(folder / "out"), str(sdist)],
        folder,
        variables,
    )
    (wheel,) = (folder / "out").glob("*.whl")
    return wheel


def differences(first: Path, second: Path) -> str:
    """The members of two wheels that differ."""
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        names = sorted({*one.namelist(), *other.namelist()})
        return ", ".join(
            name for name in names
            if name not in one.namelist() or name not in other.namelist()
            or one.read(name) != other.read(name)
            or one.getinfo(name).date_time != other.getinfo(name).date_time
        ) or "only their order"  # fmt: skip


def try_wheel(python: str, folder: Path) -> None:
    """Install the wheel of a Python into a clean environment; the main job, and tests of values."""
    tag = run([python, "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"], ROOT).strip()
    wheels = sorted(DIST.glob(f"*-{tag}-{tag}-*.whl"))
    if not wheels:
        raise FailedError(f"{tag}: no wheel in {DIST}, `build {python}` makes it")
    run([python, "-m", "venv", str(folder / "venv")], ROOT)
    there = folder / "venv" / "bin" / "python"
    run([str(there), "-m", "pip", "install", "--quiet", f"{wheels[-1]}[test]"], folder)
    shutil.copytree(ROOT / "tests", folder / "tests")  # beside no source folder
    said = run([str(there), "-m", "lenetshift.reproduce", "--out", "results"], folder)
    print(f"{wheels[-1].name}: {said.splitlines()[-1]}")
    said = run([str(there), "-m", "pytest", "-q", "-n", "auto", *TESTS], folder / "tests")
    print(f"{wheels[-1].name}: {said.splitlines()[-1]}")


def run(command: list[str], cwd: Path, variables: dict[str, str] | None = None) -> str:
    """What a command says; FailedError with it where it fails."""
    done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True)
    if done.returncode:
        said = (done.stdout + done.stderr)[-5000:]
        raise FailedError(f"{' '.join(command)}: status {done.returncode}\n{said}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
