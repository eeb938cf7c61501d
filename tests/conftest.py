"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lenetshift._native import core


@pytest.fixture(params=[name for name, _ in core.isas()])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once for each ISA that this build has, with that ISA's kernels."""
    name = request.param
    if not dict(core.isas())[name]:
        pytest.skip(f"this machine has no {name}")
    before = core.isa()
    core.set_isa(name)
    assert core.isa() == name
    yield name
    core.set_isa(before)
