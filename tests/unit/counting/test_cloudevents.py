"""CloudEvents over Kafka, binary and structured: what is accepted, and what each refusal says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.audit.model import input_record
from service.contract.input_record import (
    Baseline,
    LogRecord,
    PlainEvent,
    Reason,
    Rejection,
    judge,
    read,
)

DATA: dict[str, Any] = {
    "account_id": "ann",
    "follower_id": "bob",
    "action": "follow",
    "event_id": "e1",
}
DATA |= {"occurred_at": 1_700_000_000_000}
HEADERS = {
    "ce_specversion": "1.0",
    "ce_id": "17",
    "ce_source": "/app",
    "ce_type": "com.example.follow",
    "ce_time": "2023-11-14T22:13:20.5Z",
    "content-type": "application/json",
}
ENVELOPE = {name.removeprefix("ce_"): text for name, text in HEADERS.items() if "ce_" in name}


def binary(data: object, *, key: bytes = b"ann", **changes: str | None) -> LogRecord:
    """A record in binary mode; a change of None leaves the header out."""
    headers = {
        **HEADERS,
        **{name.replace("content_", "content-"): v for name, v in changes.items()},
    }
    kept = [(name, text.encode()) for name, text in headers.items() if text is not None]
    return LogRecord(0, 1_700_000_000_000, key, json.dumps(data).encode(), kept)


def structured(
    envelope: object, *, content_type: str = "application/cloudevents+json; charset=utf-8"
) -> LogRecord:
    value = json.dumps(envelope).encode()
    headers = [("content-type", content_type.encode())]
    return LogRecord(0, 1_700_000_000_000, b"ann", value, headers)


def without(*names: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**DATA, **changes}.items() if name not in names}


def refusal(record: LogRecord) -> tuple[Reason, str]:
    verdict = judge(record)
    assert isinstance(verdict, Rejection)
    return verdict.reason, verdict.detail


WHOLE = PlainEvent("e1", "ann", "bob", "follow", 1_700_000_000_000)
STOOD_IN = PlainEvent("/app#17", "ann", "bob", "follow", 1_700_000_000_500)


@pytest.mark.parametrize("record", [binary(DATA), structured({**ENVELOPE, "data": DATA})])
def test_the_data_says_what_it_says(record: LogRecord) -> None:
    assert judge(record) == read(record) == WHOLE


def test_what_the_data_leaves_out_the_attributes_stand_in_for() -> None:
    data = without("event_id", "action", "occurred_at", "account_id")
    assert judge(binary(data, ce_subject="ann")) == STOOD_IN
    assert judge(structured({**ENVELOPE, "subject": "ann", "data": data})) == STOOD_IN


def test_without_a_subject_the_account_is_missing() -> None:
    assert refusal(binary(without("account_id"))) == (Reason.MISSING_FIELD, "account_id")


def test_a_null_in_the_data_is_not_left_out() -> None:
    assert refusal(binary({**DATA, "event_id": None}))[0] is Reason.WRONG_TYPE


def test_a_baseline_comes_in_an_envelope_too() -> None:
    data = {"account_id": "ann", "followers": 7}
    assert judge(binary(data, ce_type="baseline")) == Baseline(
        "/app#17", "ann", 7, 1_700_000_000_500
    )


@pytest.mark.parametrize("kind", ["com.example.unfollow", "unfollow", "a.b.c.unfollow"])
def test_the_last_part_of_the_type_is_the_action(kind: str) -> None:
    verdict = judge(binary(without("action"), ce_type=kind))
    assert isinstance(verdict, PlainEvent)
    assert verdict.action == "unfollow"


def test_a_type_of_another_kind_is_an_unknown_action() -> None:
    record = binary(without("action"), ce_type="com.example.like")
    assert refusal(record) == (Reason.UNKNOWN_ACTION, '"like"')


def test_the_record_key_must_be_the_account_whichever_says_it() -> None:
    record = binary(without("account_id"), key=b"eve", ce_subject="ann")
    assert refusal(record)[0] is Reason.KEY_MISMATCH


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"ce_specversion": "0.3"}, "specversion 0.3"),
        ({"ce_id": None}, "no id"),
        ({"ce_source": ""}, "no source"),
        ({"ce_type": None}, "no type"),
        ({"content_type": "application/avro"}, "content-type application/avro"),
        ({"content_type": "application/cloudevents-batch+json"}, "content-type application/clou"),
        ({"content_type": "application/cloudevents+avro"}, "content-type application/clou"),
    ],
)
def test_an_envelope_that_is_not_one_is_refused(change: dict[str, Any], detail: str) -> None:
    reason, found = refusal(binary(DATA, **change))
    assert reason is Reason.BAD_ENVELOPE
    assert found.startswith(detail)


@pytest.mark.parametrize(
    "envelope",
    [
        [],
        "text",
        {},
        {**ENVELOPE},
        {**ENVELOPE, "specversion": "2.0", "data": DATA},
        {**ENVELOPE, "id": 17, "data": DATA},
        {**ENVELOPE, "id": "", "data": DATA},
        {**ENVELOPE, "data_base64": "e30="},
        {**ENVELOPE, "datacontenttype": "text/xml", "data": DATA},
    ],
)
def test_a_structured_envelope_that_is_not_one_is_refused(envelope: object) -> None:
    assert refusal(structured(envelope))[0] is Reason.BAD_ENVELOPE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("text", Reason.NOT_AN_OBJECT),
        ([DATA], Reason.NOT_AN_OBJECT),
        (without("follower_id"), Reason.MISSING_FIELD),
        (without(occurred_at="yesterday"), Reason.BAD_TIME),
    ],
)
def test_the_data_is_judged_as_a_plain_event_is(data: object, reason: Reason) -> None:
    assert refusal(binary(data))[0] is reason
    assert refusal(structured({**ENVELOPE, "data": data}))[0] is reason


def test_a_time_in_the_envelope_is_judged_as_well() -> None:
    assert refusal(binary(without("occurred_at"), ce_time="1999-12-31T23:59:59Z"))[0] is (
        Reason.BAD_TIME
    )


@pytest.mark.parametrize(
    "value", [b"", b"\xff", b"{" * 200 + b"}" * 200, b'{"data":{"a":"\xff"}}', b"[" * 100_000]
)
def test_no_bytes_in_an_envelope_raise(value: bytes) -> None:
    for headers in (
        [("content-type", b"application/cloudevents+json")],
        [("ce_specversion", b"1.0")],
    ):
        assert isinstance(judge(LogRecord(0, -1, b"ann", value, headers)), Rejection)


@pytest.mark.parametrize("first", ["1", "null", '"6"', "[1]", "1e400", "9" * 5_000, '{"id":1}'])
@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "time", "specversion"])
def test_of_an_attribute_that_comes_twice_the_last_one_counts(name: str, first: str) -> None:
    whole = structured({**ENVELOPE, "subject": "ann", "data": without("event_id")})
    value = (whole.value or b"").replace(b"{", b'{"%s":%s,' % (name.encode(), first.encode()), 1)
    twice = LogRecord(0, -1, whole.key, value, whole.headers)
    assert judge(twice) == judge(whole)
    found = input_record.read(input_record.LogRecord(0, -1, twice.key, value, twice.headers))
    assert isinstance(found, input_record.Arrival)
    assert found.event_id == "/app#17"


def test_the_last_of_two_attributes_must_be_right() -> None:
    whole = structured({**ENVELOPE, "data": DATA})
    value = (whole.value or b"")[:-1] + b',"id":7}'
    assert refusal(LogRecord(0, -1, b"ann", value, whole.headers))[0] is Reason.BAD_ENVELOPE


def test_a_header_that_is_not_text_is_refused() -> None:
    record = binary(DATA)
    headers = [*record.headers, ("ce_subject", b"\xff")]
    assert refusal(LogRecord(0, -1, b"ann", record.value, headers)) == (
        Reason.BAD_ENVELOPE, "ce_subject is not UTF-8",
    )  # fmt: skip


def test_other_headers_change_nothing() -> None:
    record = LogRecord(0, -1, b"ann", json.dumps(DATA).encode(), [("trace", b"1")])
    assert judge(record) == WHOLE


def test_a_heartbeat_is_a_heartbeat_before_it_is_a_cloud_event() -> None:
    record = binary({"occurred_at": 1_700_000_000_000}, ce_specversion="0.3")
    headers = [*record.headers, ("netfollowers-heartbeat", b"")]
    verdict = judge(LogRecord(0, -1, None, record.value, headers))
    assert not isinstance(verdict, Rejection)
