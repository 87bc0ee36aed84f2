"""`doctor` tells which formats the refused records of the input have."""

from __future__ import annotations

import json

from service.commands.doctor_input import Sample, _notes
from service.contract.input_record import LogRecord

GOOD = {"event_id": "e", "account_id": "a", "follower_id": "f", "action": "follow"}
EVENT = json.dumps({**GOOD, "occurred_at": 1_700_000_040_000}).encode()


def told(*values: bytes) -> list[str]:
    """The texts of the notes on records with these values."""
    sample = Sample(1)
    for offset, value in enumerate(values):
        sample.see(0, LogRecord(offset, 1_700_000_040_000, b"a", value, []))
    return [note.what for note in _notes(sample, 1)]


def test_the_formats_of_refused_records_are_counted() -> None:
    notes = told(EVENT, b"\0\0\0\0*" + EVENT, b"\0\0\0\0*" + EVENT, b"[" + EVENT + b"]", b"hello")
    assert "4 refused: not_json 3, not_an_object 1" in notes
    confluent = "Confluent wire format with schema id 42, then JSON: send plain JSON"
    assert f"2 of the refused look like {confluent}" in notes
    assert "1 of the refused look like an array: send one record per event" in notes
    assert len([note for note in notes if "look like" in note]) == 2


def test_a_record_that_is_refused_for_another_reason_has_no_format() -> None:
    bad_time = json.dumps({**GOOD, "occurred_at": 5, "payload": GOOD}).encode()
    assert not [note for note in told(EVENT, bad_time) if "look like" in note]
