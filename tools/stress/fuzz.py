"""Coverage-guided fuzzing of the readers of files (tests/support/fuzz_targets.py), by atheris.

    python tools/stress/fuzz.py                     every target, a minute each
    python tools/stress/fuzz.py idx --seconds 600   one of them
    python tools/stress/fuzz.py --seed              rewrite the first inputs of tests/storage/fuzz_corpus

`pip install atheris` first. It starts from tests/storage/fuzz_corpus/TARGET and writes further inputs to
``--found DIR/TARGET``. An input that breaks a target is written there as ``crash-...`` and ends the target
with status 1. Mend the fault and keep such an input in tests/storage/fuzz_corpus for test_fuzz_corpus.py.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests" / "storage" / "fuzz_corpus"
sys.path.insert(0, str(ROOT / "tests" / "support"))


def main() -> int:
    """Run the chosen targets. Returns 1 if one of them breaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--found", type=Path, help="folder for new inputs")
    parser.add_argument("--seed", action="store_true", help="write the first inputs and exit")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.seed:
        seed()
        return 0
    if args.here:
        fuzz(args.target, args.seconds, args.found)  # ends the process
    # Where a target's temporary files lie: its process ends without removing them.
    with tempfile.TemporaryDirectory(prefix="lenetshift_fuzz_") as scratch:
        os.environ["TMPDIR"] = scratch
        found = args.found or Path(scratch, "found")
        targets = [args.target] if args.target else sorted(path.name for path in CORPUS.iterdir())
        return max(one(target, args.seconds, found) for target in targets)


def one(target: str, seconds: int, found: Path) -> int:
    """Run a target in a process of its own; returns one line about the result."""
    found.joinpath(target).mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, target, "--here", "--seconds", str(seconds)]
    done = subprocess.run([*command, "--found", str(found)], capture_output=True, text=True)
    said = done.stderr + done.stdout
    runs = re.findall(r"^#(\d+)\s.*?cov: (\d+)", said, flags=re.MULTILINE)
    executed, covered = runs[-1] if runs else ("0", "0")
    print(
        f"{target}: {int(executed):,} inputs, {covered} edges, status {done.returncode}", flush=True
    )
    if done.returncode:
        print(said[-5000:])
    return int(done.returncode != 0)


def fuzz(target: str, seconds: int, found: Path) -> None:
    """Hand this process over to atheris."""
    import atheris

    with atheris.instrument_imports(include=["lenetshift", "zipfile", "gzip", "json", "numpy.lib"]):
        from fuzz_targets import TARGETS
    options = [f"-max_total_time={seconds}", "-rss_limit_mb=4000", "-timeout=20", "-max_len=20000"]
    options += [f"-artifact_prefix={found / target}/", str(found / target), str(CORPUS / target)]
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()


def seed() -> None:
    """The first inputs: valid files, and some that are invalid in various ways."""
    import torch
    from fuzz_targets import RUN
    from safetensors.torch import save

    from lenetshift import Config, Evaluation, ShiftGrid, build_model
    from lenetshift.metrics import saved as evaluations
    from lenetshift.study.experiments.runs import GRID
    from lenetshift.study.experiments.trainings import Outcome
    from lenetshift.study.run_files import pack

    def keep(target: str, name: str, contents: bytes) -> None:
        path = CORPUS / target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)

    def saved(value: object, **how: bool) -> bytes:
        memory = io.BytesIO()
        torch.save(value, memory, **how)
        return memory.getvalue()

    def unsealed(sealed: bytes) -> bytes:
        return sealed[:-66] + bytes(2)  # a comment of no length in place of the seal

    def file(*shape: int) -> bytes:
        return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(12)

    for name, sizes in {"three": (3, 2, 2), "one": (12,), "huge": (2**32 - 1,)}.items():
        kind, contents = 2 * (len(sizes) - 1), file(*sizes)
        keep("idx", name, bytes([kind]) + contents)
        keep("idx", f"{name}_packed", bytes([kind + 1]) + gzip.compress(contents, mtime=0))
    keep("idx", "two_members", b"\x01" + 2 * gzip.compress(file(12), mtime=0))

    model = build_model("pooled_mlp", seed=0)
    about = {
        "schema": 2, "model": "pooled_mlp", "settings": Config().to_dict(), "losses": [],
        "training_seconds": 0.0, "predictions": None, "evaluation_seconds": None, "note": "",
    }  # fmt: skip
    small = {name: value[:1].clone() for name, value in model.state_dict().items()}
    keep("checkpoint", "small", saved({**about, "state_dict": small}))
    keep("checkpoint", "list", saved([1, 2.5, None, "x"]))
    keep("checkpoint", "tensor", saved(torch.arange(3)))
    keep("weights", "fits", b"\x00" + saved(torch.nn.Linear(2, 2).state_dict()))
    as_before_1_6 = {"_use_new_zipfile_serialization": False}
    keep("weights", "legacy", b"\x00" + saved(torch.nn.Linear(2, 2).state_dict(), **as_before_1_6))
    keep("weights", "safetensors", b"\x01" + save(torch.nn.Linear(2, 2).state_dict()))
    keep("weights", "other_shape", b"\x01" + save(torch.nn.Linear(3, 2).state_dict()))
    outcome = Outcome(
        torch.zeros(1, 2, *GRID.shape, dtype=torch.uint8).numpy(),
        None,
        torch.zeros(1, 3).numpy(),
        {},
        5,
    )
    keep("run", "good", pack(RUN, {"lenetshift": "0"}, outcome).answers)
    keep("run", "other_ground", pack(RUN, {"lenetshift": "1"}, outcome).answers)
    predictions, labels = torch.arange(24).remainder(3).reshape(4, 2, 3).byte(), torch.arange(4)
    with_all = Evaluation(
        predictions, labels, ShiftGrid(range(-1, 2), range(2)), "plain", "plain: asked for", 0.5,
        torch.zeros(4, 2, 3, 3).bfloat16(), torch.zeros(4, 2, 3).numpy(), None, (0.5, 1), (9, 8), "Net",
        ("a", "b", "c"), "0" * 64,
    )  # fmt: skip
    keep("evaluation", "with_all", unsealed(evaluations.pack(with_all)))
    text = json.dumps({"metrics": {}, "evaluation": evaluations.as_text(with_all)})
    keep("evaluation", "json", text.encode())
    for name, value in {
        "empty": {},
        "nested": [[[[]]]],
        "study": {"schema": 1, "study": {"seeds": 2}},
    }.items():
        keep("dossier", name, json.dumps(value).encode())
    keep("results", "empty", b"{}")
    keep("results", "infinite", b'{"schema": 2, "note": 1e999, "subset": NaN}')
    keep("results", "odd_keys", json.dumps({"a\n\u2028": {"b\x1b": "\ud800"}}).encode())
    keep("model_file", "no_syntax", b"class Net(:\n")
    keep("model_file", "null", b"a = 1\x00")
    keep("model_file", "coding", b"# coding: nothing-of-the-sort\n\xff\n")
    keep("model_file", "indent", b"if x:\n\ty\n        z\n")


if __name__ == "__main__":
    sys.exit(main())
