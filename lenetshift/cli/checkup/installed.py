"""Python, the packages, the packaged data."""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import platform
import re
import sys
import zlib
from pathlib import Path

from ...version import __version__
from .finding import OK, REINSTALL, WRONG, Finding

PACKAGE = Path(__file__).parents[2]

NEEDED = {
    "torch": "2.6",
    "numpy": "1.24",
    "matplotlib": "3.7",
    "scipy": "1.15",
    "tqdm": "4.60",
    "joblib": "1.5",
    "jsonschema": "4.18",
    "safetensors": "0.4",
    "jinja2": "3.1",
    "shtab": "1.6",
}
"""Least versions, as ``pyproject.toml`` has them."""

PYTHON = (3, 10)


def python() -> Finding:
    """Whether this Python is new enough."""
    version = platform.python_version()
    facts = {"version": version, "executable": sys.executable, "platform": platform.platform()}
    text = f"{version}, {sys.executable}; {platform.platform()}"
    if sys.version_info[:2] < PYTHON:
        least = ".".join(map(str, PYTHON))
        return Finding("Python", WRONG, text, f"take Python {least} or newer", facts)
    return Finding("Python", OK, text, facts=facts)


def packages() -> list[Finding]:
    """Where the package lies, and whether what it needs is there and new enough."""
    where = PACKAGE
    facts = {"version": __version__, "folder": str(where)}
    findings = [Finding("lenetshift", OK, f"{__version__}, {where}", facts=facts)]
    versions: dict[str, str | None] = {}
    complaints = []
    for name, least in NEEDED.items():
        try:
            versions[name] = found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
            complaints.append((f"{name} is missing", name, least))
            continue
        if _numbers(found) < _numbers(least):
            complaints.append((f"{name} {found} is older than {least}", name, least))
    text = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    if complaints:
        wants = " ".join(f"'{name}>={least}'" for _, name, least in complaints)
        text = "; ".join(complaint for complaint, _, _ in complaints)
        findings.append(Finding("packages", WRONG, text, f"pip install {wants}", versions))
    else:
        findings.append(Finding("packages", OK, text, facts=versions))
    return findings


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version, such as (2, 6, 0) of 2.6.0+cpu."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def data() -> Finding:
    """Whether each packaged file unpacks to what SHA256SUMS says."""
    folder = PACKAGE / "data" / "mnist"
    wrong, digests = [], {}
    try:
        lines = (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines()
        sums = {name: digest for digest, name in (line.split() for line in lines)}
    except (OSError, ValueError) as error:
        return Finding("data", WRONG, f"{folder / 'SHA256SUMS'}: {error}", REINSTALL)
    for name, expected in sums.items():
        path = folder / f"{name}.gz"
        try:
            digests[name] = hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
        except (OSError, EOFError, zlib.error) as error:
            wrong.append(f"{path}: {error}")
            continue
        if digests[name] != expected:
            wrong.append(f"{path}: unpacked, its SHA-256 is {digests[name]}, expected {expected}")
    if wrong:
        return Finding("data", WRONG, "; ".join(wrong), REINSTALL, digests)
    text = f"MNIST in {folder}: {len(sums)} files, the SHA-256 of each is right"
    return Finding("data", OK, text, facts=digests)
