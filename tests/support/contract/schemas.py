"""The JSON Schemas in `service/contract/schemas`: as published, and as the service obeys them.

What we publish about results is open: a consumer must ignore fields and reasons that it does not
know, so that we can add some. What we *write* is judged by the closed form, `as_written`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator

ROOT: Final = Path(__file__).parents[3]
SCHEMAS: Final = ROOT / "service" / "contract" / "schemas"
CONTRACT: Final = ROOT / "docs" / "contract"
COUNTEREXAMPLES: Final = CONTRACT / "counterexamples"
KNOWN: Final = "x-known"
"""Keyword for the values that a text has today. More may come, so readers must expect others."""

Schema = Any
"""A parsed JSON Schema: an object or a boolean."""


def names() -> list[str]:
    """Every schema's name: its file without `.json`."""
    return sorted(path.stem for path in SCHEMAS.glob("*.json"))


def schema(name: str) -> dict[str, Any]:
    """Parse one schema and return it. Each call returns a new object."""
    found: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text())
    return found


def counterexamples(name: str) -> list[dict[str, Any]]:
    """What must be refused: each with `why`, the `keyword` and `at` that refuse it, `value`."""
    found: list[dict[str, Any]] = json.loads((COUNTEREXAMPLES / f"{name}.json").read_text())
    return found


def as_written(schema: Schema) -> Schema:
    """Close it: no field and no known value but those that it names."""
    if isinstance(schema, list):
        return [as_written(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {
        name: value if name in {"examples", "enum", "const"} else as_written(value)
        for name, value in schema.items()
    }
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    if KNOWN in schema:
        closed["enum"] = schema[KNOWN]
    return closed


@cache
def judge(name: str, *, closed: bool) -> Draft202012Validator:
    """Make a validator that gives its reasons. `closed`: for what the service writes."""
    found = schema(name)
    return Draft202012Validator(as_written(found) if closed else found)
