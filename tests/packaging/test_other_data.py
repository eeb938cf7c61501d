"""The page about the study on other data than the report's."""

from __future__ import annotations

import copy

import pytest
from made_up_study import made_up_summary


@pytest.fixture
def other_data(script):
    return script("tools/generate/other_data.py")


@pytest.fixture
def summary():
    """Of a study of three experiments on other data."""
    value = copy.deepcopy(made_up_summary())
    experiments = ["table", "convolution", "position_bias"]
    value["study"]["experiments"] = experiments
    for cell in value["table"]["cells"]:
        cell["verdict"] = None
    for claim in value["claims"]:
        for part in claim["parts"]:
            if part["name"].startswith("figures"):
                part.update(looks=[], verdict="left open")
    return value


def test_names_of_files(other_data) -> None:
    assert other_data.file_name("Fashion-MNIST") == "fashion-mnist"
    assert other_data.file_name("K-MNIST (49)") == "k-mnist-49"


def test_the_page_has_accuracies_and_parts_but_no_numbers_of_the_report(
    other_data, summary
) -> None:
    text = other_data.page(summary, "Fashion-MNIST", made_up_summary())
    assert text.startswith("# The study on Fashion-MNIST\n")
    cell = summary["table"]["cells"][0]
    assert f"{cell['mean']:.1f} ± {cell['sd']:.1f}" in text
    assert "60.2" not in text  # the report's accuracy of LeNet-5
    assert "convolution helps" in text
    assert "figures 1 and 2" not in text
    assert "](convolution.png)" in text
    assert "](table.png)" not in text


def test_a_claims_verdict_is_that_of_the_parts_that_were_tested(other_data, summary) -> None:
    for claim in summary["claims"]:
        for part in claim["parts"]:
            part["verdict"] = "contradicted" if claim["claim"] == 1 else "supported"
    text = other_data.page(summary, "other data", made_up_summary())
    assert "Our verdict: **contradicted**" in text
    assert "Our verdict: **supported**" in text
    assert "partly" not in text


def test_each_part_stands_beside_mnists(other_data, summary) -> None:
    mnist = copy.deepcopy(made_up_summary())
    parts = {part["name"]: part for claim in mnist["claims"] for part in claim["parts"]}
    parts["convolution helps"]["verdict"] = "depends"
    parts["convolution helps"]["looks"][0].update(value=12.34, interval=[11.1, 13.6])
    text = other_data.page(summary, "Fashion-MNIST", mnist)
    beside = text.split("## Beside MNIST")[1].split("## Accuracy")[0]
    rows = [line for line in beside.splitlines() if "more robust to movement than an MLP." in line]
    assert len(rows) == 1
    assert "| **depends** | 12.3 [11.1, 13.6] |" in rows[0]
    assert "figures" not in beside
