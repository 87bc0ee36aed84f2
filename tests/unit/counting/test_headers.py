"""Headers that Kafka allows and few expect: values that are null, names that are not UTF-8."""

from __future__ import annotations

import json
from io import BytesIO

import pytest

from service.audit.checks.rejects import labels_of
from service.audit.model import input_record
from service.audit.published import Published
from service.audit.sources.files import _record, line_of
from service.commands.refused_records import Refused
from service.commands.result_lines import ResultsFile
from service.contract.input_record import Headers, LogRecord, PlainEvent, Reason, Rejection, judge
from service.contract.results import Source
from service.counting import Engine, Rules
from tests.support.reader_agreement import said

T0 = 1_700_000_000_000
EVENT = {"event_id": "e", "account_id": "a", "follower_id": "f", "action": "follow"}
VALUE = json.dumps({**EVENT, "occurred_at": T0}).encode()
WHOLE: Headers = [
    *(("ce_specversion", b"1.0"), ("ce_id", b"7"), ("ce_source", b"/s")),
    *(("ce_type", b"x.follow"), ("ce_subject", b"a"), ("ce_time", b"2023-11-14T22:13:20Z")),
    ("content-type", b"application/json"),
]
NAMES = [name for name, _ in WHOLE]
LATIN = "caf\udce9"
"""The bytes 63 61 66 e9, as they are read."""


def record(headers: Headers, value: bytes | None = VALUE) -> LogRecord:
    return LogRecord(0, T0, b"a", value, headers)


def auditors(one: LogRecord) -> input_record.Arrival | input_record.Faults:
    return input_record.read(
        input_record.LogRecord(one.offset, one.timestamp, one.key, one.value, one.headers)
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_null_attribute_is_an_attribute_left_out(name: str) -> None:
    with_null = [(one, None if one == name else value) for one, value in WHOLE]
    without = [(one, value) for one, value in WHOLE if one != name]
    if name == "ce_specversion":  # what makes it a CloudEvent is the header, whatever its value
        expected = Rejection(Reason.BAD_ENVELOPE, "no specversion")
        assert isinstance(judge(record(without)), PlainEvent)
    else:
        expected = judge(record(without))  # type: ignore[assignment]
    assert judge(record(with_null)) == expected
    theirs = auditors(record(with_null))
    assert isinstance(theirs, input_record.Faults) == isinstance(expected, Rejection)


def test_a_null_header_that_nobody_reads_changes_nothing() -> None:
    assert isinstance(judge(record([("trace", None), ("content-type", None)])), PlainEvent)
    assert isinstance(auditors(record([("trace", None)])), input_record.Arrival)


def test_the_first_of_two_headers_counts_also_when_it_is_null() -> None:
    headers = [("ce_id", None), *WHOLE]
    assert judge(record(headers)) == Rejection(Reason.BAD_ENVELOPE, "no id")
    assert isinstance(auditors(record(headers)), input_record.Faults)


def test_a_heartbeat_needs_no_value_of_its_header() -> None:
    beat = record([("netfollowers-heartbeat", None)])
    assert said(judge(beat)) == ("heartbeat", T0)


@pytest.mark.parametrize("more", [[], [("netfollowers-heartbeat", b"")], WHOLE])
def test_a_name_that_is_not_utf_8_is_refused_with_its_bytes(more: Headers) -> None:
    found = record([*more, (LATIN, b"1")])
    assert judge(found) == Rejection(Reason.BAD_HEADER_NAME, r"caf\xe9")
    assert auditors(found) == input_record.Faults(("bad_header_name",))


def rejected(headers: Headers, value: bytes = VALUE) -> tuple[bytes | None, bytes | None, Headers]:
    engine = Engine(Rules(), Source("in", 0))
    engine.apply([record(headers, value)], 1)
    sealed = engine.seal()
    ResultsFile(BytesIO())(sealed)
    (one,) = sealed.rejected
    return one


def test_a_refused_record_keeps_null_as_null_and_a_bad_name_as_text() -> None:
    headers: Headers = [("trace", None), (LATIN, None), ("ü", b"")]
    _, value, kept = rejected(headers)
    assert value == VALUE
    assert kept[:3] == [("original:trace", None), ("original:caf\\xe9", None), ("original:ü", b"")]
    assert all(name.encode() for name, _ in kept)


def test_whoever_reads_refused_records_survives_a_null() -> None:
    key, value, headers = rejected([("trace", None)], b"{")
    published = Published(0, key, value, headers)
    assert labels_of(published)["netfollowers-reason"] == "not_json"
    read = Refused.of(LogRecord(0, T0, key, value, headers))
    assert read.headers == [("trace", None)]
    assert read.why == "not_json"


def test_a_dump_keeps_both() -> None:
    one = input_record.LogRecord(
        0, T0, b"a", VALUE, [("trace", None), (LATIN, b"\xff"), ("x", b"")]
    )
    assert _record(json.loads(line_of(one))) == one
