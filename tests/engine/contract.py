"""What leaves the engine, held against the JSON Schemas that we publish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from jsonschema import Draft202012Validator

from service.engine import Sealed
from service.results import ResultRecord

SCHEMAS: Final = Path(__file__).parents[2] / "service" / "schemas"


def validator(name: str) -> Draft202012Validator:
    """Make the judge of one kind of record."""
    return Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_text()))


ROW, RESULT = validator("net-follower-updates.value"), validator("net-follower-windows.value")
LATE = validator("follow-events-late.headers")
REJECTED = validator("follow-events-rejected.headers")
METADATA = validator("checkpoint-metadata")


def hold_against_the_schemas(sealed: Sealed) -> None:
    """Raise ValidationError or AssertionError for a record that is not what was promised."""
    rows = [(key, row) for key, row in sealed.updates if row is not None]
    for records, judge in ((rows, ROW), (sealed.windows, RESULT)):
        for key, value in records:
            fields = json.loads(value)
            judge.validate(fields)
            assert key == fields["account_id"].encode()
    for labelled, judge in ((sealed.late, LATE), (sealed.rejected, REJECTED)):
        for record in labelled:
            judge.validate(headers(record))
    METADATA.validate(json.loads(sealed.checkpoint.to_metadata()))


def headers(record: ResultRecord) -> dict[str, str]:
    """Header name -> text; each name is there once."""
    ours = [(n, value) for n, value in record.headers if n.startswith("netfollowers-")]
    found = {name: value.decode() for name, value in ours}
    assert len(found) == len(ours)
    return found
