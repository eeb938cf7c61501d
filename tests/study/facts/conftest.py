"""Facts are computed in one thread, as a study's runs are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lenetshift.study.experiments.runs import one_thread


@pytest.fixture(autouse=True)
def in_one_thread() -> Iterator[None]:
    with one_thread():
        yield
