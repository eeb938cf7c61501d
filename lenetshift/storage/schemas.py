"""JSON files that are read again: each is checked against its schema, which is part of the package, before
anything in it is used. A value of an unexpected kind then gives one line, not a traceback.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..checks.text import one_line
from .untrusted import load_json

_MOST = 80
"""The most characters of a value that a message shows."""


def schema(path: Path) -> dict[str, Any]:
    """The JSON schema in a file of the package."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def checked_json(contents: bytes, under: Mapping[str, Any]) -> Any:
    """The JSON value in the contents of a file.

    Raises:
        ValueError: it is not JSON, or does not match the schema: the place as a JSON path, what was found
            and what was expected, in one line.
    """
    import jsonschema  # type: ignore[import-untyped]  # here: it takes a fifth of a second

    try:
        value = load_json(contents)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    try:
        first = jsonschema.exceptions.best_match(_validator(under).iter_errors(value))
    except RecursionError as error:  # at less depth than Python's JSON reader allows
        raise ValueError("nested too deep") from error
    if first is not None:
        raise ValueError(one_line(f"{first.json_path}: {_complaint(first)}"))
    return value


def _validator(under: Mapping[str, Any]) -> Any:
    """A validator for which NaN and infinities, which Python reads, are not numbers."""
    import jsonschema

    draft = jsonschema.Draft202012Validator
    known = draft.TYPE_CHECKER

    def is_number(_: Any, value: Any) -> bool:
        finite = not isinstance(value, float) or math.isfinite(value)
        return finite and known.is_type(value, "number")

    kinds = known.redefine("number", is_number)
    return jsonschema.validators.extend(draft, type_checker=kinds)(under)


def shown(value: Any) -> str:
    """A JSON value as a message shows it: itself if it is short, else its kind."""
    if isinstance(value, (dict, list)) and value:
        kind, items = ("an object", "keys") if isinstance(value, dict) else ("an array", "items")
        return f"{kind} of {len(value)} {items if len(value) > 1 else items[:-1]}"
    text = json.dumps(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]} ..."


def _complaint(error: Any) -> str:
    """The message for an error of jsonschema: what was found and what was expected."""
    value, wanted = error.instance, error.validator_value
    if error.validator == "required":
        missing = [name for name in wanted if name not in value]
        return f"got no {' and no '.join(map(json.dumps, missing))}, expected {_all(wanted)}"
    if error.validator == "dependentRequired":
        beside, name = next(
            (beside, name)
            for beside, names in wanted.items()
            for name in names
            if beside in value and name not in value
        )
        return f"got no {json.dumps(name)}, expected it next to {json.dumps(beside)}"
    if error.validator == "additionalProperties" and not wanted:
        known = error.schema.get("properties", {})
        extra = [name for name in value if name not in known]
        return f"got {' and '.join(map(json.dumps, extra))}, expected {_all(known)} only"
    expected = _EXPECTED.get(error.validator)
    if expected is None:
        return f"got {shown(value)}, expected a match of {json.dumps({error.validator: wanted})}"
    return f"got {shown(value)}, expected {expected(wanted)}"


def _all(names: Any) -> str:
    return ", ".join(names)


def _kinds(wanted: Any) -> str:
    return " or ".join([wanted] if isinstance(wanted, str) else wanted)


_EXPECTED: dict[str, Callable[[Any], str]] = {
    "type": _kinds,
    "const": json.dumps,
    "enum": lambda wanted: " or ".join(map(json.dumps, wanted)),
    "minimum": lambda wanted: f"{wanted} or more",
    "maximum": lambda wanted: f"{wanted} or less",
    "exclusiveMinimum": lambda wanted: f"more than {wanted}",
    "minItems": lambda wanted: f"{wanted} items or more",
    "maxItems": lambda wanted: f"{wanted} items or fewer",
    "minProperties": lambda wanted: f"{wanted} key or more",
    "uniqueItems": lambda _: "each item once",
    "pattern": lambda wanted: f"text of the form {wanted}",
}
"""Keyword of JSON Schema -> what it requires, in words."""
