"""Build, check and try the source distribution and the wheels.

    python tools/release/wheels.py build [PYTHON ...]    dist/: an sdist, and from it a wheel for each Python
    python tools/release/wheels.py try [PYTHON ...]      a wheel in a clean environment: the main job, tests
    python tools/release/wheels.py try --oldest PYTHON   with the oldest admitted releases
    python tools/release/wheels.py try --all-tests ...   all tests, not only those of values

``try`` without ``--oldest`` takes the newest releases that pip finds. PYTHON is a command, such as
``python3.12``; by default the one that runs this. ``build`` makes every wheel twice, in different folders,
and expects the same bytes. Linux wheels for other machines than this one are built in containers by
cibuildwheel (``[tool.cibuildwheel]`` in pyproject.toml).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from build import ROOT, FailedError, in_scratch, path_of_test, run

DIST = ROOT / "dist"
TESTS = tuple(map(path_of_test, (
    "test_isa.py", "test_c3_conv.py", "test_translate.py", "test_predict_shifts_lenet5.py",
    "test_predict_shifts_mlp.py", "test_shared.py", "test_train_epoch.py", "test_image_mean.py",
    "test_metrics.py",
)))  # fmt: skip
"""Tests of the values of every op, and of the Python code that uses them."""


def main() -> int:
    """Build or try."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("build", "try"))
    parser.add_argument("pythons", nargs="*", metavar="PYTHON", default=[sys.executable])
    parser.add_argument("--oldest", action="store_true", help="of every dependency")
    parser.add_argument("--all-tests", action="store_true", help="but those that need a browser")
    args = parser.parse_intermixed_args()
    if args.what == "build":
        return in_scratch(lambda scratch: build(args.pythons, scratch))

    def try_each(scratch: Path) -> None:
        for number, python in enumerate(args.pythons):
            folder = scratch / str(number)
            try_wheel(python, folder, args.oldest, () if args.all_tests else TESTS)

    return in_scratch(try_each)


def build(pythons: list[str], scratch: Path) -> None:
    """Build an sdist and its wheels in ``dist``."""
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
    """Build a wheel in a folder of its own."""
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


def try_wheel(python: str, folder: Path, oldest: bool, tests: tuple[str, ...]) -> None:
    """Install the wheel for a Python into a clean environment; run the main command and tests."""
    wheel = wheel_for(python)
    run([python, "-m", "venv", str(folder / "venv")], ROOT)
    there = str(folder / "venv" / "bin" / "python")
    constraint = folder / "oldest.txt"
    constraint.write_text(lower_bounds() if oldest else "")
    pip = [there, "-m", "pip"]
    run([*pip, "install", "--quiet", "-c", str(constraint), f"{wheel}[test]"], folder)
    listed = json.loads(run([*pip, "list", "--format=json"], folder))
    versions = {package["name"].lower(): package["version"] for package in listed}
    named = re.findall(r"^[a-z0-9-]+", lower_bounds(), flags=re.MULTILINE)
    print(f"{wheel.name}: {', '.join(f'{name} {versions[name]}' for name in named)}", flush=True)
    shutil.copytree(ROOT / "tests", folder / "tests")  # next to no source folder
    said = run([there, "-m", "lenetshift.reproduce", "--out", "results"], folder)
    print(f"{wheel.name}: {said.splitlines()[-1]}", flush=True)
    # Not `python -m pytest`, which would import the package of the folder that it runs in.
    pytest = [str(folder / "venv" / "bin" / "pytest"), "-q", "-n", "auto"]
    said = run([*pytest, *(tests or ["--slow"])], folder / "tests" if tests else ROOT)
    print(f"{wheel.name}: {said.splitlines()[-1]}", flush=True)


def wheel_for(python: str) -> Path:
    """The wheel in ``dist`` for a Python; FailedError if there is none."""
    tag = run([python, "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"], ROOT).strip()
    wheels = sorted(DIST.glob(f"*-{tag}-{tag}-*.whl"))
    if not wheels:
        raise FailedError(f"{tag}: no wheel in {DIST}, `build {python}` makes it")
    return wheels[-1]


def lower_bounds() -> str:
    """A constraint file: the oldest release of each dependency that pyproject.toml admits."""
    project = (ROOT / "pyproject.toml").read_text().split("[project]")[1].split("[tool.")[0]
    bounds = dict(re.findall(r'"([a-z0-9-]+)>=([0-9.]+)"', project))
    packages = re.findall(
        r"^(?:dependencies|dask|test) = \[(.*?)\]", project, re.DOTALL | re.MULTILINE
    )
    names = sorted(set(re.findall(r'"([a-z0-9-]+)>=', " ".join(packages))))
    return "".join(f"{name}=={bounds[name]}\n" for name in names)


if __name__ == "__main__":
    sys.exit(main())
