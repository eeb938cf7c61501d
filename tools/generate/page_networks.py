"""Trains the two networks that report.html shows beside a run's: ``python tools/generate/page_networks.py``.

Both are runs of the study, of seed 0: LeNet-5 trained on jittered digits, and the place-blind network, which
is trained on digits as they are. Written to ``lenetshift/page/published/``: ``NAME.safetensors``, the
weights, and ``accuracies.json``, what they reach on MNIST's test images, which the page quotes. Takes a few
minutes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save

from lenetshift.data.load import load_mnist
from lenetshift.ops import isa
from lenetshift.storage.files import write_atomically, write_text
from lenetshift.study.experiments.runs import GRID, JITTERED, Run, accuracies
from lenetshift.study.experiments.trainings import Outcome, perform
from lenetshift.version import __version__

FOLDER = Path(__file__).parents[2] / "lenetshift" / "page" / "published"

RUNS = {
    # After as many epochs as the report's networks beside it.
    "jittered_lenet5": Run("convolution", "lenet5_jittered", 0, "lenet5", training=JITTERED),
    "place_blind": Run("ladder", "place_blind_centred", 0, "place_blind"),
}
"""Name -> a run of the study."""


def described(run: Run, outcome: Outcome, labels: np.ndarray) -> dict[str, Any]:
    """A run's settings, and the fractions of test images that it reads: unmoved, over all shifts, and at each
    dx of the grid for dy = 0."""
    predictions = outcome.predictions[-1]
    found = accuracies(predictions, labels)
    row, _ = GRID.index(0, 0)
    along = (predictions[:, row] == labels[:, None]).mean(axis=0)
    return {
        "run": run.to_dict(),
        "parameters": outcome.parameters,
        "unmoved": round(found["unmoved"] / 100, 6),
        "moved": round(found["moved"] / 100, 6),
        "by_dx": {str(dx): round(float(a), 6) for dx, a in zip(GRID.dx, along, strict=True)},
    }


def main(names: list[str]) -> None:
    """Train the networks of these names, or all of them."""
    train, test = load_mnist()
    path = FOLDER / "accuracies.json"
    kept = json.loads(path.read_text()) if path.exists() else {"networks": {}}
    for name in names or RUNS:
        outcome = perform(RUNS[name], train, test)
        weights = {key: w.contiguous() for key, w in outcome.state_dict.items()}
        data = save(weights)
        write_atomically(FOLDER / f"{name}.safetensors", lambda file, data=data: file.write(data))
        kept["networks"][name] = described(RUNS[name], outcome, test.labels.numpy())
        kept |= {"lenetshift": __version__, "isa": isa()}
        write_text(path, json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
