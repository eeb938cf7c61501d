"""Two networks that read moved digits too: they come with the package; the page shows them beside a run's.

``tools/generate/page_networks.py`` trains them, and writes their weights and what they reach to
``published/``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..study.experiments.networks import build_network

FOLDER = Path(__file__).with_name("published")

_CPU = torch.device("cpu")
"""As a context: whatever torch's default device is."""

_LAYERS = ("c1", "c3", "c5", "f6", "output")


@dataclass(frozen=True)
class Mended:
    """A network that comes with the package.

    Attributes:
        name: of its files.
        short: its name next to other networks.
        caption: a few words below its name: what is different.
        drawn: how ``forward.js`` computes it, as in :class:`lenetshift.models.table.ModelSpec`.
    """

    name: str
    short: str
    caption: str
    drawn: Mapping[str, Any]


MENDED = (
    Mended(
        "jittered_lenet5",
        "LeNet-5, jittered digits",
        "trained on digits in all these places",
        {"kind": "lenet", "connections": "1998", "pooling": "average", "activation": "tanh"},
    ),
    Mended(
        "place_blind",
        "Place-blind network",
        "only the largest value of each map; a wide black border",
        {"kind": "place_blind", "connections": "1998", "activation": "tanh"},
    ),
)


@functools.cache
def accuracies() -> Mapping[str, Any]:
    """Name -> run and accuracies, as the generator writes them."""
    value: dict[str, Any] = json.loads((FOLDER / "accuracies.json").read_text(encoding="utf-8"))
    networks: dict[str, Any] = value["networks"]
    return networks


def stored_weights(name: str) -> dict[str, Tensor]:
    """A network's parameters, by its own names and in its own order."""
    from safetensors.torch import load

    with _CPU:
        stored = load((FOLDER / f"{name}.safetensors").read_bytes())
    return {key: stored[key] for key in _network(name).state_dict()}


def weights_by_layer(name: str) -> dict[str, Tensor]:
    """The same by the names of LeNet-5's layers, as ``forward.js`` knows them: ``c1.weight`` and so on."""
    names = [f"{layer}.{part}" for layer in _LAYERS for part in ("weight", "bias")]
    return dict(zip(names, stored_weights(name).values(), strict=True))


def mended_network(name: str) -> nn.Module:
    """The network in evaluation mode."""
    network = _network(name)
    network.load_state_dict(stored_weights(name))
    return network.eval()


def _network(name: str) -> nn.Module:
    run = accuracies()[name]["run"]
    with _CPU:
        return build_network(run["network"], run["activation"], run["seed"])
