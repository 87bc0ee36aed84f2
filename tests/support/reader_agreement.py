"""Tests whether all readers of a record agree: the decoder, the auditor, and the protocol."""

from __future__ import annotations

from itertools import pairwise, zip_longest
from typing import Final

import msgspec

from service.audit.model import input_record
from service.contract.input_record import (
    Baseline,
    Forget,
    Heartbeat,
    LogRecord,
    PlainEvent,
    Rejection,
    read,
)
from service.contract.rule_versions import CURRENT
from tests.support.batch_bytes import fetched
from tests.support.kafka_protocol import MAGIC, ProtocolError, is_control, last_offset, opened

VERSIONS: Final = range(1, CURRENT + 1)
Words = tuple[object, ...]


def said(verdict: object) -> Words:
    """Return the decoder's verdict in words that can be compared with those of the auditor."""
    if isinstance(verdict, Rejection):
        return ("rejected",)
    if isinstance(verdict, Heartbeat):
        return "heartbeat", verdict.occurred_at
    assert isinstance(verdict, PlainEvent | Baseline | Forget)
    more: object = ""
    if isinstance(verdict, PlainEvent):
        more = verdict.follower_id
    elif isinstance(verdict, Baseline):
        more = verdict.followers
    return verdict.action, verdict.event_id, verdict.account_id, verdict.occurred_at, more


def judged(record: LogRecord, version: int) -> tuple[Words, tuple[str, ...]]:
    """The auditor's words, and every reason that it finds true."""
    found = input_record.read(
        input_record.LogRecord(
            record.offset, record.timestamp, record.key, record.value, record.headers
        ),
        version,
    )
    if isinstance(found, input_record.Faults):
        return ("rejected",), found.reasons
    if found.action == "heartbeat":
        return ("heartbeat", found.occurred_ms), ()
    more = {"baseline": found.followers, "forget": ""}.get(found.action, found.follower_id)
    return (found.action, found.event_id, found.account_id, found.occurred_ms, more), ()


def agree(record: LogRecord) -> None:
    """AssertionError: decoder and auditor differ by a version of the rules, or are surprised."""
    for version in VERSIONS:
        ours, (theirs, reasons) = read(record, version), judged(record, version)
        reason = str(ours.reason) if isinstance(ours, Rejection) else ""
        words = f"by rules {version} the decoder: {ours}; the auditor: {theirs} {reasons}"
        assert said(ours) == theirs, words
        assert not reason or reason in reasons, words
        assert "unforeseen" not in (reason, *reasons), words


def arrived(data: bytes, first: int) -> tuple[list[LogRecord], int, str]:
    """Return what a consumer gets of a batch: records, next offset, why no more.

    AssertionError if that is not what the protocol says. (It says nothing here about the formats
    before 2.) One thing may differ: a record with attributes above 0x7f may be misread. No producer
    sets them.
    """
    records, end, why = fetched(data, first)
    if is_control(data):
        assert not records, f"records of a control batch: {records}"
        return records, end, why
    try:
        told, is_odd = opened(data)
    except ProtocolError:
        assert why or data[MAGIC] < 2, f"it is not of the protocol, and unpacked to {records}"
        return records, end, why
    if why:
        offsets = [first - 1, *(one.offset for one in told), last_offset(data) + 1]
        is_sound = all(one < after for one, after in pairwise(offsets))
        assert not is_sound, f"it can be read by the protocol, and is refused: {why}"
        return records, end, why
    for ours, theirs in zip_longest(records, told):
        is_odd_too = is_odd and ours and theirs and ours.offset == theirs.offset
        assert is_odd_too or _is_same(ours, theirs), f"unpacked {ours}; by the protocol {theirs}"
    return records, end, why


def _is_same(ours: LogRecord | None, theirs: LogRecord | None) -> bool:
    """Tell whether two records are the same; aiokafka's slow decoder lets a time grow too long."""
    if ours is None or theirs is None:
        return False
    is_time_same = (ours.timestamp - theirs.timestamp) % 2**64 == 0
    return is_time_same and msgspec.structs.replace(ours, timestamp=theirs.timestamp) == theirs
