"""A compiled core that does not belong to the Python code is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lenetshift import _native

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("__version__", "0.0.9", "is of version 0.0.9, the package of "),
        ("bindings_sha256", "0" * 192, "was not built from the bindings in "),
    ],
)
def test_a_core_of_other_sources_is_refused(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As from the repository's root, wherever these tests import the package from.
    monkeypatch.setattr(_native, "__file__", str(ROOT / "lenetshift" / "_native.py"))
    assert _native.load_core() is _native.core
    monkeypatch.setattr(_native.core, name, value)
    with pytest.raises(ImportError) as error:
        _native.load_core()
    assert message in str(error.value)
    assert str(error.value).endswith(_native.HOW_TO_BUILD)
    assert "\n" not in str(error.value)
