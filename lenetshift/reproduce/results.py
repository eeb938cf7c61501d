"""The contents of ``results.json``, from checkpoints and labels alone: no model is run here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..checks.choices import ACTIVATIONS
from ..checks.errors import StorageError
from ..metrics import summarize
from ..models.table import BY_NAME
from ..storage.environment import environment
from ..storage.files import read_file
from ..storage.schemas import checked_json, schema
from ..study.experiments import position_bias
from .checkpoints import SCHEMA, Checkpoint
from .reproduction import Reproduction

FILE = "results.json"


def read_results(folder: Path) -> dict[str, Any]:
    """The contents of a folder's ``results.json``.

    Raises:
        StorageError: the file is missing or cannot be read, does not match its schema, or has arrays that
            do not match its own grid.
    """
    path = folder / FILE
    contents = read_file(path)
    try:
        value: dict[str, Any] = checked_json(contents, results_schema())
        _check_shapes(value)
    except ValueError as error:
        raise StorageError(f"{path}: {error}") from error
    return value


def results_schema() -> dict[str, Any]:
    """The JSON schema of ``results.json``, with the names of models and activations."""
    value = schema(Path(__file__).with_name("results_schema.json"))
    value["$defs"]["model_name"]["enum"] = list(BY_NAME)
    config = value["properties"]["config"]["properties"]
    config["activation"]["enum"] = list(ACTIVATIONS)
    config["epochs"]["required"] = list(BY_NAME)  # of an object, not of a number
    return value


def _check_shapes(value: Mapping[str, Any]) -> None:
    """Raise ValueError unless every array has an item for each shift, which a schema cannot require."""
    shape = []
    for name in ("dy", "dx"):
        first, last = value["config"]["grid"][name]
        if first > last:
            raise ValueError(
                f"$.config.grid.{name}: got [{first}, {last}], expected the first shift, then the last"
            )
        shape.append(last - first + 1)
    arrays = {
        f"$.models.{name}.accuracy_map": of["accuracy_map"] for name, of in value["models"].items()
    }
    for index, figure in enumerate(value.get("figures", ())):
        arrays[f"$.figures[{index}].predictions"] = figure["predictions"]
    for place, rows in arrays.items():
        sizes = [len(row) for row in rows]
        if sizes != [shape[1]] * shape[0]:
            raise ValueError(
                f"{place}: got {len(rows)} rows of {sorted(set(sizes))} items, expected {shape[0]} of "
                f"{shape[1]}, one for each shift of $.config.grid"
            )


def compute_results(
    reproduction: Reproduction, checkpoints: Mapping[str, Checkpoint]
) -> dict[str, Any]:
    """The contents of ``results.json``, from predictions and labels; times in seconds."""
    n_test, grid = reproduction.n_test, reproduction.config.grid
    models = {
        name: {
            **summarize(checkpoint.evaluated()[:n_test], reproduction.labels, grid),
            "training_seconds": checkpoint.training_seconds,
            "evaluation_seconds": checkpoint.evaluation_seconds,
            "loss": loss_summary(checkpoint.losses),
            "diverged": bool(checkpoint.divergence()),
        }
        for name, checkpoint in checkpoints.items()
    }
    value = {
        "schema": SCHEMA,
        "note": reproduction.note,
        "subset": bool(reproduction.note),
        "config": {**reproduction.config.to_dict(), "method": reproduction.method},
        "environment": {
            **environment(reproduction.device),
            "data_sha256": dict(reproduction.sha256),
        },
        "data": {
            "n_train": len(reproduction.train),
            "n_test": n_test,
            "drawn": "evenly: image i of n is number floor(i * N / n) of the set's N (n = N: all)",
        },
        "models": models,
    }
    if position_bias.MODEL in checkpoints:
        predictions = checkpoints[position_bias.MODEL].evaluated()
        value["position_bias"] = position_bias.answers_by_position(
            predictions[:n_test], reproduction.config.bias_rule, grid
        )
        value["figures"] = [
            {
                "figure": number,
                "index": index,
                "label": int(reproduction.test.labels[index]),
                "predictions": predictions[reproduction.rows.index(index)].tolist(),
            }
            for number, index in enumerate(reproduction.figures, 1)
        ]
    return value


def loss_summary(losses: list[Tensor]) -> list[dict[str, float]]:
    """Per epoch: the first and last step's loss, the mean, and the mean of the last 100 steps."""
    return [
        {
            "steps": len(epoch),
            "first": float(epoch[0]),
            "last": float(epoch[-1]),
            "mean": float(epoch.double().mean()),
            "mean_of_last_100": float(epoch[-100:].double().mean()),
        }
        for epoch in losses
    ]
