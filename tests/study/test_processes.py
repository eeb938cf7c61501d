"""The processes of a study on this machine."""

from __future__ import annotations

import os
import warnings

import pytest

from lenetshift.study import processes


def test_a_process_that_joblib_replaces_is_no_warning(monkeypatch) -> None:
    """Each holds too much after its second training, by limits that it sets itself."""
    pytest.importorskip("psutil")

    def grown(plan, training, ground):
        from joblib.externals.loky import process_executor

        process_executor._MEMORY_LEAK_CHECK_DELAY = -1.0
        process_executor._MAX_MEMORY_LEAK_SIZE = -(1 << 60)
        return training, os.getpid()

    monkeypatch.setattr(processes, "do_training", grown)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        finished = list(processes.on_this_machine(2)(None, None, range(8), None))
    assert sorted(training for training, _ in finished) == list(range(8))
    assert len({process for _, process in finished}) > 2
    assert [str(one.message) for one in warned] == []
