"""Examples in the docstrings of public names give what they show."""

from __future__ import annotations

import doctest

import pytest

import lenetshift


@pytest.mark.parametrize("name", lenetshift.__all__)
def test_examples_give_what_they_show(name: str) -> None:
    runner = doctest.DocTestRunner()
    said: list[str] = []
    for example in doctest.DocTestFinder().find(getattr(lenetshift, name), name):
        runner.run(example, out=said.append)
    assert runner.failures == 0, "".join(said)
