"""What CMake prints for each value of LENETSHIFT_CUDA. Nothing is built."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CMAKE = shutil.which("cmake") or ""

pytestmark = pytest.mark.skipif(not CMAKE, reason="needs cmake")


def configure(folder: Path, choice: str) -> subprocess.CompletedProcess[str]:
    """Run CMake where it cannot find nvcc."""
    nowhere = folder / "nowhere"
    nowhere.mkdir()
    path = [
        part for part in os.environ["PATH"].split(os.pathsep) if not Path(part, "nvcc").exists()
    ]
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_PATH"}
    choices = [
        f"-DLENETSHIFT_CUDA={choice}",
        # CMake searches this folder instead of /usr/local/cuda, and PATH.
        f"-DCUDAToolkit_ROOT={nowhere}",
        "-DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF",
    ]
    return subprocess.run(
        [CMAKE, "-S", str(ROOT), "-B", str(folder / "build"), *choices],
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"PATH": os.pathsep.join(path)},
    )


def words(text: str) -> str:
    """CMake breaks lines anywhere."""
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("ON", "LENETSHIFT_CUDA=ON, but no nvcc with its static runtime was found"),
        ("yes", "LENETSHIFT_CUDA: got yes, expected AUTO, ON or OFF"),
    ],
)
def test_a_choice_that_cannot_be_met_is_an_error(tmp_path: Path, choice: str, message: str) -> None:
    done = configure(tmp_path, choice)
    assert done.returncode != 0
    assert message in words(done.stderr)


def test_auto_without_nvcc_says_why_not(tmp_path: Path) -> None:
    # Whatever else is missing here, pybind11 for one, is looked for later.
    said = words(configure(tmp_path, "AUTO").stdout)
    assert "CUDA kernels: not built, LENETSHIFT_CUDA=AUTO: no nvcc" in said
