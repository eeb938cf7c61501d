"""What the tests of metrics share."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib
import pytest


@pytest.fixture
def no_window() -> Iterator[None]:
    """Figures are drawn without a window, and closed."""
    backend = matplotlib.get_backend()
    matplotlib.use("agg")
    yield
    from matplotlib import pyplot

    pyplot.close("all")
    matplotlib.use(backend)
