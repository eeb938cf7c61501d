"""The warnings of ``evaluate_shifts``: labels that the model never answers, and a single output."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from evaluations import DIGITS, GRID, network
from torch import nn

import lenetshift
from lenetshift import evaluate_shifts


class TestWarnings:
    @pytest.mark.parametrize("return_logits", [False, True])
    @pytest.mark.parametrize("in_batches", [False, True])
    @pytest.mark.parametrize(
        ("labels", "named"),
        [
            ([0, 1, 10, 3], "10"),
            ([-1, 1, -5, 11], "-5, -1, 11"),
            ([9, 10, 10, 12], "10, 12"),
            ([-(2**63), 2**63 - 1, 0, 0], "-9223372036854775808, 9223372036854775807"),
            ([*range(10, 19)], "10, 11, 12, 13, 14 and 4 more"),
        ],
    )
    def test_of_labels_that_the_model_never_gives(
        self, labels: list[int], named: str, in_batches: bool, return_logits: bool
    ) -> None:
        images, truth = torch.rand(len(labels), 28, 28), torch.tensor(labels)
        arguments: tuple[Any, ...] = (images, truth)
        if in_batches:
            arguments = (zip(images.split(3), truth.split(3), strict=True),)
        with pytest.warns(UserWarning, match=r"^labels: got [^\n]*$") as seen:
            evaluate_shifts(network(), *arguments, grid=GRID, return_logits=return_logits)
        assert [str(warning.message) for warning in seen] == [
            f"labels: got the value{'s' * (',' in named)} {named}, expected 0..9: the model never answers "
            "anything else, so such images count as wrong"
        ]
        assert seen[0].filename == __file__

    @pytest.mark.parametrize("labels", [[0, 1, 1, 0], [0, 0, 0, 0], [5, 0, 0, 0]])
    def test_of_a_single_output(self, labels: list[int]) -> None:
        """Whatever a sigmoid says, the largest of one number is that number."""
        model = nn.Sequential(network(1), nn.Sigmoid())
        with pytest.warns(UserWarning, match=r"^model: got a single output") as seen:
            evaluation = evaluate_shifts(model, torch.rand(4, 28, 28), torch.tensor(labels), GRID)
        assert [str(warning.message) for warning in seen] == [
            "model: got a single output (K = 1), whose largest is always number 0, expected one for each "
            "class: two for two classes"
        ]
        assert seen[0].filename == __file__
        assert not evaluation.predictions.any()

    @pytest.mark.parametrize("n_names", [9, 11])
    def test_of_other_classes_than_outputs(self, n_names: int) -> None:
        names = [f"class {k}" for k in range(n_names)]
        with pytest.warns(UserWarning, match=r"^class_names: ") as seen:
            evaluate_shifts(
                network(), torch.rand(3, 28, 28), torch.zeros(3).long(), GRID, class_names=names
            )
        assert [str(warning.message) for warning in seen] == [
            f"class_names: got {n_names} classes, the model has 10 outputs: unless its first outputs are "
            "these classes in this order, its answers are compared with wrong labels"
        ]

    @pytest.mark.parametrize("method", ["auto", "plain"])
    def test_of_nothing_where_all_is_well(self, method: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for model in (network(), network(12), lenetshift.MLP()):
                evaluate_shifts(model, DIGITS, grid=GRID, method=method)

    @pytest.mark.parametrize("method", ["fused", "plain"])
    def test_of_the_packages_own_models(self, method: str) -> None:
        images, labels = torch.zeros(2, 28, 28, dtype=torch.uint8), torch.tensor([3, 10])
        with pytest.warns(UserWarning, match=r"^labels: got the value 10, expected 0\.\.9: "):
            evaluate_shifts(lenetshift.MLP(), images, labels, GRID, method=method)
