"""The software bill of materials of a wheel (CycloneDX): its contents, and what pip installs with it.

    python tools/release/materials.py [PYTHON]    dist/lenetshift-VERSION.cdx.json, after wheels.py build

The wheel for PYTHON is installed into a clean environment, and cyclonedx-py (pip install cyclonedx-bom) lists
the packages there, with their versions and licences. The contents of the wheel that are not Python packages
are added: MNIST, and pybind11, whose headers are compiled into the core.
"""

from __future__ import annotations

import argparse
import email
import hashlib
import importlib.metadata
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from wheels import DIST, wheel_for

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from build import ROOT, FailedError, in_scratch, run

MNIST = ROOT / "lenetshift" / "data" / "mnist"


def main() -> int:
    """Write it. Returns 1 if it is not valid."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", nargs="?", metavar="PYTHON", default=sys.executable)
    python = parser.parse_args().python
    return in_scratch(lambda folder: write(python, folder))


def write(python: str, folder: Path) -> None:
    """Install, list, complete, check and write; print one line about the result."""
    wheel = wheel_for(python)
    run([python, "-m", "venv", "--without-pip", str(folder / "venv")], ROOT)
    there = str(folder / "venv" / "bin" / "python")
    run([sys.executable, "-m", "pip", "--python", there, "install", "--quiet", str(wheel)], folder)
    of_environment = [
        "environment", there, "--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "library",
        "--output-reproducible", "--of", "JSON", "-o", str(folder / "environment.json"),
    ]  # fmt: skip
    run([sys.executable, "-m", "cyclonedx_py", *of_environment], folder)
    bill = completed(json.loads((folder / "environment.json").read_text()), wheel)
    text = json.dumps(bill, indent=2) + "\n"
    check(text)
    path = DIST / f"{'-'.join(wheel.name.split('-')[:2])}.cdx.json"
    path.write_text(text)
    print(f"{path.name}: {len(bill['components'])} components, of {wheel.name}")


def completed(bill: dict[str, Any], wheel: Path) -> dict[str, Any]:
    """Add the wheel's hash, and those contents that are not Python packages."""
    version = wheel.name.split("-")[1]
    inside = [pybind11(), *mnist()]
    bill["components"] = [c for c in bill["components"] if c["name"] != "lenetshift"] + inside
    subject = bill["metadata"]["component"]
    subject |= {"version": version, "hashes": [digest(wheel)], "licenses": [expression(wheel)]}
    needs = {entry["ref"]: set(entry.get("dependsOn", ())) for entry in bill["dependencies"]}
    installed = needs.pop(f"lenetshift=={version}", set())  # it is the subject itself
    needs[subject["bom-ref"]] |= installed | {component["bom-ref"] for component in inside}
    known = {component["bom-ref"] for component in bill["components"]}
    bill["dependencies"] = [
        {"ref": ref, "dependsOn": sorted(needs.get(ref, set()) & known)}
        for ref in sorted({subject["bom-ref"], *known})
    ]
    return bill


def pybind11() -> dict[str, Any]:
    """The newest release, which an isolated build uses."""
    version = importlib.metadata.version("pybind11")
    return {
        "type": "library", "bom-ref": f"pybind11=={version}", "name": "pybind11", "version": version,
        "description": "headers, compiled into lenetshift/_core", "licenses": [licence("BSD-3-Clause")],
        "purl": f"pkg:pypi/pybind11@{version}",
    }  # fmt: skip


def mnist() -> list[dict[str, Any]]:
    """The four files of the data."""
    return [
        {
            "type": "data", "bom-ref": f"mnist/{path.name}", "name": f"lenetshift/data/mnist/{path.name}",
            "description": "MNIST database of handwritten digits", "hashes": [digest(path)],
            "licenses": [licence("CC-BY-SA-3.0")],
        }
        for path in sorted(MNIST.glob("*.gz"))
    ]  # fmt: skip


def digest(path: Path) -> dict[str, str]:
    """The hash of a file in the form of CycloneDX."""
    return {"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}


def licence(identifier: str) -> dict[str, Any]:
    """An SPDX licence in the form of CycloneDX."""
    return {"license": {"id": identifier}}


def expression(wheel: Path) -> dict[str, Any]:
    """The wheel's own licences: that of the code, and MNIST's."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    return {"expression": metadata["License-Expression"]}


def check(text: str) -> None:
    """FailedError unless it is valid by CycloneDX's own schema."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise FailedError(f"the bill of materials is not valid: {error}")


if __name__ == "__main__":
    sys.exit(main())
