"""The inputs that fuzzing has kept (``tools/stress/fuzz.py``): each is accepted, or refused in one line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fuzz_targets import TARGETS

CORPUS = Path(__file__).parent / "fuzz_corpus"
INPUTS = sorted(path.relative_to(CORPUS).as_posix() for path in CORPUS.glob("*/*"))


def test_each_target_has_inputs() -> None:
    assert {name.split("/")[0] for name in INPUTS} == set(TARGETS)


@pytest.mark.parametrize("name", INPUTS)
def test_kept_input(name) -> None:
    TARGETS[name.split("/")[0]]((CORPUS / name).read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_changed_inputs(target) -> None:
    """Some bytes of each changed, cut out or put in at random: another few hundred a run."""
    changes = random.Random(0)
    for name in (name for name in INPUTS if name.startswith(f"{target}/")):
        original = (CORPUS / name).read_bytes()
        for _ in range(20):
            data = bytearray(original)
            for _ in range(changes.randint(1, 4)):
                at = changes.randrange(len(data) + 1)
                how = changes.randrange(3)
                if how == 0:
                    data[at : at + changes.randint(1, 8)] = b""
                else:
                    new = changes.randbytes(changes.randint(1, 4))
                    data[at : at + (len(new) if how == 1 else 0)] = new
            TARGETS[target](bytes(data))
        for _ in range(5):  # and, but for that, whole
            TARGETS[target](original[: changes.randrange(len(original) + 1)])
