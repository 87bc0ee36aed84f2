"""Every reason for which a record is rejected. The engine then continues."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.contract.input_record import (
    HEARTBEAT_HEADER,
    MAX_EVENT_MS,
    MAX_FOLLOWERS,
    MAX_ID_BYTES,
    MAX_VALUE_BYTES,
    MIN_EVENT_MS,
    PLAIN_BYTES,
    REASON_TEXT,
    Reason,
)
from service.contract.strict_json import MAX_DEPTH
from tests.support.small_log import SECOND, T0, Counted

BEAT = [(HEARTBEAT_HEADER, b"")]


def event(**changes: Any) -> bytes:
    """A good event with some fields changed; `...` takes one out."""
    fields: dict[str, Any] = {
        "event_id": "e", "account_id": "a", "follower_id": "f",
        "action": "follow", "occurred_at": T0,
    }  # fmt: skip
    fields = {name: value for name, value in {**fields, **changes}.items() if value is not ...}
    return json.dumps(fields, ensure_ascii=False).encode()


def baseline(**changes: Any) -> bytes:
    """A good baseline with some fields changed."""
    return event(**{"action": "baseline", "follower_id": ..., "followers": 5, **changes})


def padded(length: int) -> bytes:
    """Return a valid event of exactly `length` bytes."""
    return event(padding="p" * (length - len(event(padding=""))))


def nested(depth: int) -> bytes:
    """A good event, its unknown field nested so that the whole is `depth` deep."""
    return event()[:-1] + b', "more": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


BAD: dict[str, tuple[Reason, bytes | None, bytes | None]] = {
    "no value": (Reason.EMPTY_VALUE, b"a", None),
    "an empty value": (Reason.EMPTY_VALUE, b"a", b""),
    "neither key nor value": (Reason.EMPTY_VALUE, None, None),
    "one byte too long": (Reason.VALUE_TOO_LARGE, b"a", padded(MAX_VALUE_BYTES + 1)),
    "text": (Reason.NOT_JSON, b"a", b"hello"),
    "cut off": (Reason.NOT_JSON, b"a", event()[:-1]),
    "two events": (Reason.NOT_JSON, b"a", event() + event()),
    "zero bytes": (Reason.NOT_JSON, b"a", b"\x00" * 20),
    "blanks": (Reason.NOT_JSON, b"a", b"  "),
    "UTF-16": (Reason.NOT_JSON, b"a", event().decode().encode("utf-16")),
    "a byte order mark": (Reason.NOT_JSON, b"a", b"\xef\xbb\xbf" + event()),
    "Latin-1": (Reason.NOT_JSON, b"a", event(follower_id="ü").decode().encode("latin-1")),
    "no UTF-8 in an unknown field": (Reason.NOT_JSON, b"a", event()[:-1] + b', "m": "\xff"}'),
    "NaN": (Reason.NOT_JSON, b"a", event(occurred_at=float("nan"))),
    "a lone surrogate": (Reason.NOT_JSON, b"a", event().replace(b'"f"', rb'"\ud800"')),
    "too deep by one": (Reason.NOT_JSON, b"a", nested(MAX_DEPTH + 1)),
    "very deep": (Reason.NOT_JSON, b"a", nested(20_000)),
    "a list": (Reason.NOT_AN_OBJECT, b"a", b"[1, 2]"),
    "a list of events": (Reason.NOT_AN_OBJECT, b"a", b"[" + event() + b"]"),
    "null": (Reason.NOT_AN_OBJECT, b"a", b"null"),
    "a number": (Reason.NOT_AN_OBJECT, b"a", b"5"),
    "a string": (Reason.NOT_AN_OBJECT, b"a", b'"follow"'),
    "an empty object": (Reason.MISSING_FIELD, b"a", b"{}"),
    "no event_id": (Reason.MISSING_FIELD, b"a", event(event_id=...)),
    "no account_id": (Reason.MISSING_FIELD, b"a", event(account_id=...)),
    "no follower_id": (Reason.MISSING_FIELD, b"a", event(follower_id=...)),
    "no action": (Reason.MISSING_FIELD, b"a", event(action=...)),
    "no occurred_at": (Reason.MISSING_FIELD, b"a", event(occurred_at=...)),
    "a baseline without followers": (Reason.MISSING_FIELD, b"a", baseline(followers=...)),
    "an unmarked heartbeat": (Reason.MISSING_FIELD, None, b'{"occurred_at": %d}' % T0),
    "a number as event_id": (Reason.WRONG_TYPE, b"a", event(event_id=1)),
    "null as account_id": (Reason.WRONG_TYPE, b"a", event(account_id=None)),
    "null as follower_id": (Reason.WRONG_TYPE, b"a", event(follower_id=None)),
    "a list as action": (Reason.WRONG_TYPE, b"a", event(action=["follow"])),
    "null as time": (Reason.WRONG_TYPE, b"a", event(occurred_at=None)),
    "true as time": (Reason.WRONG_TYPE, b"a", event(occurred_at=True)),
    "a fraction as time": (Reason.WRONG_TYPE, b"a", event(occurred_at=T0 + 0.5)),
    "a fraction of followers": (Reason.WRONG_TYPE, b"a", baseline(followers=5.5)),
    "followers as text": (Reason.WRONG_TYPE, b"a", baseline(followers="5")),
    "true followers": (Reason.WRONG_TYPE, b"a", baseline(followers=True)),
    "null followers": (Reason.WRONG_TYPE, b"a", baseline(followers=None)),
    "another action": (Reason.UNKNOWN_ACTION, b"a", event(action="like")),
    "a capital": (Reason.UNKNOWN_ACTION, b"a", event(action="Follow")),
    "no action's name": (Reason.UNKNOWN_ACTION, b"a", event(action="")),
    "an empty event_id": (Reason.BAD_ID, b"a", event(event_id="")),
    "an empty account_id": (Reason.BAD_ID, b"", event(account_id="")),
    "an empty follower_id": (Reason.BAD_ID, b"a", event(follower_id="")),
    "an id too long": (Reason.BAD_ID, b"a", event(event_id="x" * (MAX_ID_BYTES + 1))),
    "a follower too long": (Reason.BAD_ID, b"a", event(follower_id="x" * (MAX_ID_BYTES + 1))),
    "an id too long in bytes": (Reason.BAD_ID, b"a", event(event_id="ü" * 129)),
    "an account too long": (Reason.BAD_ID, b"x" * 257, event(account_id="x" * 257)),
    "before 2000": (Reason.BAD_TIME, b"a", event(occurred_at=MIN_EVENT_MS - 1)),
    "after 9999": (Reason.BAD_TIME, b"a", event(occurred_at=MAX_EVENT_MS + 1)),
    "before 2000 by its offset": (
        Reason.BAD_TIME, b"a", event(occurred_at="2000-01-01T00:00:00+00:01")
    ),
    "after 9999 by its offset": (
        Reason.BAD_TIME, b"a", event(occurred_at="9999-12-31T23:59:59-00:01")
    ),
    "seconds, not ms": (Reason.BAD_TIME, b"a", event(occurred_at=T0 // SECOND)),
    "a negative time": (Reason.BAD_TIME, b"a", event(occurred_at=-1)),
    "a time beyond 64 bits": (Reason.BAD_TIME, b"a", event(occurred_at=2**70)),
    "a leap second": (Reason.BAD_TIME, b"a", event(occurred_at="2016-12-31T23:59:60Z")),
    "a local time": (Reason.BAD_TIME, b"a", event(occurred_at="2023-11-14T22:14:00")),
    "ms as text": (Reason.BAD_TIME, b"a", event(occurred_at=str(T0))),
    "followers below nothing": (Reason.BAD_FOLLOWERS, b"a", baseline(followers=-1)),
    "too many followers": (Reason.BAD_FOLLOWERS, b"a", baseline(followers=MAX_FOLLOWERS)),
    "followers beyond 64 bits": (Reason.BAD_FOLLOWERS, b"a", baseline(followers=2**70)),
    "a baseline by somebody": (Reason.UNEXPECTED_FIELD, b"a", baseline(follower_id="f")),
    "no key": (Reason.MISSING_KEY, None, event()),
    "an empty key": (Reason.MISSING_KEY, b"", event()),
    "another key": (Reason.KEY_MISMATCH, b"b", event()),
    "a longer key": (Reason.KEY_MISMATCH, b"a ", event()),
    "a key in quotes": (Reason.KEY_MISMATCH, b'"a"', event()),
    "a key that is no UTF-8": (Reason.KEY_MISMATCH, b"\xff", event()),
    "a baseline under another key": (Reason.KEY_MISMATCH, b"b", baseline()),
}  # fmt: skip


@pytest.mark.parametrize(("reason", "key", "value"), BAD.values(), ids=BAD)
def test_a_bad_record_is_refused_with_its_reason_and_the_engine_goes_on(
    reason: Reason, key: bytes | None, value: bytes | None
) -> None:
    counted = Counted()
    counted.event(0)
    counted.put(key, value, stamp=T0 + 10**9)
    counted.event(1)
    counted.seal()
    found = [headers["netfollowers-reason"] for headers in counted.rejected]
    assert found == [reason], "if it was applied: `is_plain` in Engine.apply must leave it to judge"
    assert counted.engine.tally.rejected_by_reason == {reason: 1}
    assert counted.counts() == {"applied": 2, "rejected": 1}
    assert counted.engine.watermark_ms == T0 + SECOND
    assert {name: row["gained"] for name, row in counted.rows.items()} == {"a": 2}


def test_the_list_of_bad_records_knows_every_reason_and_every_reason_has_its_text() -> None:
    elsewhere = {Reason.BAD_ENVELOPE, Reason.BAD_HEADER_NAME, Reason.UNFORESEEN, Reason.SKIPPED}
    assert {reason for reason, _, _ in BAD.values()} == set(Reason) - elsewhere
    assert set(REASON_TEXT) == set(Reason)


def test_all_bad_records_in_one_batch_are_refused_and_nothing_is_lost() -> None:
    counted = Counted()
    for _, key, value in BAD.values():
        counted.put(key, value)
        counted.event(0)
    sealed = counted.seal()
    assert counted.counts() == {"applied": len(BAD), "rejected": len(BAD)}
    assert [(one.key, one.value) for one in sealed.rejected] == [
        (key, value if value is None else value[:MAX_VALUE_BYTES]) for _, key, value in BAD.values()
    ]


GOOD: dict[str, tuple[bytes, bytes]] = {
    "plain": (b"a", event()),
    "as long as may be": (b"a", padded(MAX_VALUE_BYTES)),
    "at the end of the short way": (b"a", padded(PLAIN_BYTES)),
    "just beyond the short way": (b"a", padded(PLAIN_BYTES + 1)),
    "as deep as may be": (b"a", nested(MAX_DEPTH)),
    "as deep as may be, and wide": (b"a", nested(MAX_DEPTH)[:-1] + b', "wide": [[], []]}'),
    "brackets in a text": (b"a", event(follower_id="[" * (MAX_DEPTH + 1))),
    "the longest ids": (b"x" * 256, event(event_id="e" * 256, account_id="x" * 256)),
    "the longest ids in bytes": ("ü".encode() * 128, event(account_id="ü" * 128)),
    "an account beyond ASCII": ("ann😀".encode(), event(account_id="ann😀")),
    "an escaped account": (b"a", event().replace(b'"a"', rb'"\u0061"')),
    "an account of spaces": (b" ", event(account_id=" ")),
    "an unknown field": (b"a", event(more={"of": ["any", 1.5e300, None]})),
    "followers in a follow": (b"a", event(followers="many")),
    "a field twice, the last one counts": (b"a", b'{"action": "like", ' + event()[1:]),
    "blanks around": (b"a", b" \n" + event() + b"\t "),
    "a time as text": (b"a", event(occurred_at="2023-11-14T22:14:00Z")),
    "no follower of a baseline": (b"a", baseline(follower_id=None)),
    "a baseline of nobody": (b"a", baseline(followers=0)),
    "the greatest baseline": (b"a", baseline(followers=MAX_FOLLOWERS - 1)),
}


@pytest.mark.parametrize(("key", "value"), GOOD.values(), ids=GOOD)
def test_what_only_looks_bad_is_applied(key: bytes, value: bytes) -> None:
    counted = Counted()
    counted.put(key, value)
    assert counted.counts() == {"applied": 1}
    assert counted.engine.watermark_ms == T0


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.EMPTY_VALUE),
        (b" " * (MAX_VALUE_BYTES + 1), Reason.VALUE_TOO_LARGE),
        (b"beat", Reason.NOT_JSON),
        (b"[]", Reason.NOT_AN_OBJECT),
        (b"{}", Reason.MISSING_FIELD),
        (b'{"occurred_at": null}', Reason.WRONG_TYPE),
        (b'{"occurred_at": 1700000000}', Reason.BAD_TIME),
        (b'{"occurred_at": "soon"}', Reason.BAD_TIME),
    ],
)
def test_a_bad_heartbeat_is_rejected_like_any_record(value: bytes | None, reason: Reason) -> None:
    counted = Counted()
    counted.put(None, value, headers=BEAT)
    counted.seal()
    assert counted.counts() == {"rejected": 1}
    assert counted.rejected[0]["netfollowers-reason"] == reason
    assert counted.engine.watermark_ms == -1


@pytest.mark.parametrize("key", [None, b"", b"a", b"\xff"])
@pytest.mark.parametrize("value", [b'{"occurred_at": %d}' % T0, event(), event(event_id=1)])
def test_a_heartbeat_is_what_its_header_says_whatever_else_it_holds(
    key: bytes | None, value: bytes
) -> None:
    counted = Counted()
    counted.put(key, value, headers=[("trace", b"1"), *BEAT])
    assert counted.counts() == {"heartbeat": 1}
    assert counted.engine.watermark_ms == T0
    assert counted.seal().updates == []


def test_another_header_does_not_make_a_heartbeat() -> None:
    counted = Counted()
    counted.put(b"a", event(), headers=[("trace", b"1")])
    assert counted.counts() == {"applied": 1}


@pytest.mark.parametrize(
    ("value", "key", "reason"),
    [
        (event(action=..., event_id=1), None, Reason.MISSING_FIELD),
        (event(event_id=1, occurred_at=0), None, Reason.WRONG_TYPE),
        (event(action="like", follower_id="", occurred_at=0), b"b", Reason.UNKNOWN_ACTION),
        (event(follower_id="", occurred_at=0), b"b", Reason.BAD_ID),
        (event(occurred_at=0), None, Reason.MISSING_KEY),
        (event(occurred_at=0), b"b", Reason.KEY_MISMATCH),
        (baseline(occurred_at=0, followers=-1), b"a", Reason.BAD_TIME),
        (baseline(followers=-1, follower_id="f"), b"a", Reason.BAD_FOLLOWERS),
    ],
)
def test_of_several_faults_the_first_in_the_order_of_the_rules_is_named(
    value: bytes, key: bytes | None, reason: Reason
) -> None:
    counted = Counted()
    counted.put(key, value)
    counted.seal()
    assert counted.rejected[0]["netfollowers-reason"] == reason


def test_a_corrected_replay_of_a_rejected_record_counts() -> None:
    counted = Counted()
    counted.put(b"b", event())
    counted.put(b"a", event())
    assert counted.counts() == {"applied": 1, "rejected": 1}
