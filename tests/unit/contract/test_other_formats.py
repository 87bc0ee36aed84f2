"""A record in another format is rejected with the name of that format in its detail."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.input_record import LogRecord, Reason, Rejection, judge
from service.contract.other_formats import _recognised
from tests.support.property_examples import many
from tests.unit.contract.good_event import EVENT

GOOD = json.dumps(EVENT).encode()
CLOUD_EVENT = json.dumps(
    {"specversion": "1.0", "id": "1", "source": "/s", "type": "follow", "data": EVENT}
).encode()
Case = tuple[bytes, list[tuple[str, bytes | None]], Reason, str]


def renamed(names: dict[str, str]) -> bytes:
    """The good event with other names."""
    return json.dumps({names.get(name, name): found for name, found in EVENT.items()}).encode()


def protobuf(*texts: str) -> bytes:
    """A message of text fields, and a number."""
    fields = [
        bytes([(number << 3) | 2, len(text)]) + text.encode()
        for number, text in enumerate(texts, 1)
    ]
    return b"".join(fields) + bytes([(len(texts) + 1) << 3]) + b"\x80\x01"


def packed(kind: str) -> bytes:
    """The text fields of the good event as a map of MessagePack or CBOR."""
    first, short = {"msgpack": (0x80, 0xA0), "cbor": (0xA0, 0x60)}[kind]
    texts = [text for pair in list(EVENT.items())[:4] for text in pair]
    return bytes([first + 4]) + b"".join(bytes([short + len(t)]) + t.encode() for t in texts)


def bson() -> bytes:
    """One text field as BSON."""
    body = b"\x02event_id\x00" + struct.pack("<i", 3) + b"e1\x00" + b"\x00"
    return struct.pack("<i", len(body) + 4) + body


CASES: dict[str, Case] = {
    "Confluent, JSON Schema": (
        b"\0\0\0\0*" + GOOD, [], Reason.NOT_JSON,
        "Confluent wire format with schema id 42, then JSON",
    ),
    "Confluent, Avro": (
        b"\0\0\0\1\0\x04e1\x04a1", [], Reason.NOT_JSON,
        "Confluent wire format with schema id 256, then Avro or Protobuf",
    ),
    "Avro without a prefix": (b"\x04e1\x04a1\x04f1\x0cfollow", [], Reason.NOT_JSON, "Avro"),
    "Avro, single object": (b"\xc3\x01" + bytes(range(8)) + b"\x04e1", [], Reason.NOT_JSON, "Avro"),
    "Protobuf": (protobuf("e1", "a1", "f1", "follow"), [], Reason.NOT_JSON, "Protobuf"),
    "gzip": (gzip.compress(GOOD), [], Reason.NOT_JSON, "gzip: set compression.type"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, [], Reason.NOT_JSON, "byte order mark (BOM)"),
    "UTF-16 with a mark": (GOOD.decode().encode("utf-16"), [], Reason.NOT_JSON, "UTF-16"),
    "UTF-16 LE": (GOOD.decode().encode("utf-16-le"), [], Reason.NOT_JSON, "UTF-16"),
    "UTF-16 BE": (GOOD.decode().encode("utf-16-be"), [], Reason.NOT_JSON, "UTF-16"),
    "Latin-1": (
        json.dumps({**EVENT, "more": "é"}, ensure_ascii=False).encode("latin-1"), [],
        Reason.NOT_JSON, "Latin-1",
    ),
    "MessagePack": (packed("msgpack"), [], Reason.NOT_JSON, "MessagePack"),
    "CBOR": (packed("cbor"), [], Reason.NOT_JSON, "CBOR"),
    "BSON": (bson(), [], Reason.NOT_JSON, "BSON"),
    "pickle": (pickle.dumps(EVENT), [], Reason.NOT_JSON, "Python pickle"),
    "a dict as text": (str(EVENT).encode(), [], Reason.NOT_JSON, "single quotes"),
    "base64": (base64.b64encode(GOOD), [], Reason.NOT_JSON, "base64"),
    "a form": (b"event_id=e1&account_id=a1", [], Reason.NOT_JSON, "query string"),
    "XML": (b"<event id='e1'/>", [], Reason.NOT_JSON, "XML"),
    "lines": (GOOD + b"\n" + GOOD, [], Reason.NOT_JSON, "several lines of JSON"),
    "a C string": (GOOD + b"\0", [], Reason.NOT_JSON, "zero byte after the JSON"),
    "an array of events": (b"[" + GOOD + b"]", [], Reason.NOT_AN_OBJECT, "an array"),
    "JSON in JSON": (
        json.dumps(GOOD.decode()).encode(), [], Reason.NOT_AN_OBJECT, "inside a JSON string",
    ),
    "Connect": (
        json.dumps({"schema": {"type": "struct"}, "payload": EVENT}).encode(), [],
        Reason.MISSING_FIELD, "Kafka Connect envelope",
    ),
    "Debezium": (
        json.dumps({"before": None, "after": EVENT, "op": "c", "ts_ms": 1}).encode(), [],
        Reason.MISSING_FIELD, "Debezium change event",
    ),
    "Debezium in Connect": (
        json.dumps({"schema": {}, "payload": {"before": None, "after": EVENT, "op": "c"}}).encode(),
        [], Reason.MISSING_FIELD, "its payload is a Debezium change event",
    ),
    "capitals": (
        renamed({name: name.upper() for name in EVENT}), [], Reason.MISSING_FIELD,
        "names in capitals (ksqlDB?): EVENT_ID should be event_id",
    ),
    "camelCase": (
        renamed({"event_id": "eventId", "account_id": "accountId"}), [], Reason.MISSING_FIELD,
        "names in camelCase: eventId should be event_id",
    ),
    "inside another field": (
        json.dumps({"message": EVENT}).encode(), [], Reason.MISSING_FIELD, "inside 'message'",
    ),
    "a CloudEvent without its header": (
        CLOUD_EVENT, [], Reason.MISSING_FIELD,
        "without the header content-type: application/cloudevents+json",
    ),
    "a CloudEvent, header in capitals": (
        CLOUD_EVENT, [("Content-Type", b"application/cloudevents+json")], Reason.MISSING_FIELD,
        "header is written Content-Type: write content-type",
    ),
    "headers of HTTP": (
        json.dumps({"follower_id": "f1"}).encode(),
        [("ce-specversion", b"1.0"), ("ce-id", b"1"), ("ce-source", b"/s")],
        Reason.MISSING_FIELD, "begin with ce_",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_detail_names_the_format(name: str) -> None:
    value, headers, reason, words = CASES[name]
    verdict = judge(LogRecord(0, 0, b"a1", value, headers))
    assert isinstance(verdict, Rejection)
    assert verdict.reason == reason
    assert words in verdict.detail.partition("; it looks like ")[2]
    assert len(verdict.detail) < 400


@pytest.mark.parametrize(
    "value", [b"hello", b"{", b"17", b"{}", b'{"event_id": "e1"}', b'"text"', b"\xff", b"null"]
)
def test_what_is_only_wrong_is_not_given_a_name(value: bytes) -> None:
    verdict = judge(LogRecord(0, 0, b"a1", value, []))
    assert isinstance(verdict, Rejection)
    assert "it looks like" not in verdict.detail


def test_a_cloud_event_that_was_read_as_one_lacks_no_header() -> None:
    """It lacks a field: its header is right."""
    envelope = {**json.loads(CLOUD_EVENT), "data": {"event_id": "e1", "account_id": "a1"}}
    headers: list[tuple[str, bytes | None]] = [("content-type", b"Application/CloudEvents+JSON")]
    verdict = judge(LogRecord(0, 0, b"a1", json.dumps(envelope).encode(), headers))
    assert verdict == Rejection(Reason.MISSING_FIELD, "occurred_at")


@many(200)
@given(st.binary(max_size=200))
def test_no_bytes_raise_an_error(value: bytes) -> None:
    for start in (b"", b"\x08", b"\n\x02e1", b"{", b"\0"):
        assert isinstance(_recognised(start + value, [("ce-id", None)]), str)


def test_an_event_with_a_right_name_beside_a_wrong_one_is_an_event() -> None:
    value = json.dumps({**EVENT, "EVENT_ID": "x", "payload": EVENT}).encode()
    assert not isinstance(judge(LogRecord(0, 0, b"a1", value, [])), Rejection)
