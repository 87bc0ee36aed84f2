"""`python -m tests.schemas`: every schema in service/schemas is one; its examples obey it."""

# ruff: noqa: T201 - a command line

from __future__ import annotations

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

SCHEMAS = Path(__file__).parents[1] / "service" / "schemas"


def faults(path: Path) -> list[str]:
    """What is wrong with the schema in this file; nothing, as a rule."""
    schema = json.loads(path.read_text())
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return [f"{path.name}: not a schema: {error.message}"]
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    examples = schema.get("examples", [])
    wrong = [] if examples else [f"{path.name}: has no examples"]
    for number, example in enumerate(examples):
        wrong += [
            f"{path.name}: example {number}: {error.message}"
            for error in validator.iter_errors(example)
        ]
    return wrong


def main() -> int:
    """Print every fault; 1 if there is one, or no schema at all."""
    paths = sorted(SCHEMAS.glob("*.json"))
    wrong = [fault for path in paths for fault in faults(path)]
    print("\n".join(wrong) or f"{len(paths)} schemas are sound, with their examples")
    return 1 if wrong or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
