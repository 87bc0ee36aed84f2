"""Work is linear in the bytes of a record, whatever they are: for the engine and for the auditor.

Measured as a ratio of CPU time in this run, against a plain value of the same length.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from service.audit.model import input_record
from service.contract.input_record import MAX_VALUE_BYTES, Headers, LogRecord, read
from service.contract.results import Source
from service.counting import Checkpoint, Counts, Engine, Rules
from service.counting.checkpoint import SweepPosition

Judge = Callable[[LogRecord], object]
MOST = 2_000
"""Twenty thousand small lists cost up to 200 times what one string does, on a busy machine. A
quadratic value of 64 KiB costs more than 100,000 times as much."""
LENGTH = MAX_VALUE_BYTES - 100
HEAD = b'{"event_id":"e","account_id":"a","follower_id":"f","action":"follow","occurred_at":%d,"x":'
OPEN = HEAD % 1_700_000_000_000
IN_ENVELOPE: Headers = [("content-type", b"application/cloudevents+json")]
IN_HEADERS: Headers = [
    *(("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"s"), ("ce_type", b"x.follow"))
]


def filled(part: bytes, end: bytes = b"", start: bytes = OPEN) -> bytes:
    return start + part * ((LENGTH - len(start) - len(end)) // len(part)) + end


WORST: dict[str, bytes] = {
    "escaped quotes in a string that never ends": filled(b'\\"', start=OPEN + b"[" * 130 + b'"'),
    "backslashes in a string that never ends": filled(b"\\", start=OPEN + b"[" * 130 + b'"'),
    "quotes": filled(b'"', start=OPEN + b"[" * 130),
    "quote and backslash": filled(b'"\\', start=OPEN + b"[" * 130),
    "brackets that open": filled(b"["),
    "brackets that close": filled(b"]", start=OPEN + b"[" * 130),
    "pairs of brackets": filled(b"[],", b"[]]}", OPEN + b"["),
    "objects in turn": filled(b'{"a":[', start=OPEN),
    "the same name again and again": filled(b'"k":1,', b'"k":1}', b"{"),
    "a known name again and again": filled(b'"event_id":1,', b'"event_id":1}', b"{"),
    "a number of 64,000 digits": filled(b"9", b"}"),
    "a time of 64,000 digits": filled(b"9", b"}", OPEN[:-5] + b',"occurred_at":'),
    "a fraction of 64,000 digits": filled(b"9", b"}", OPEN + b"0."),
    "an exponent of 64,000 digits": filled(b"9", b"}", OPEN + b"1e"),
    "followers of 64,000 digits": filled(b"9", b"}", b'{"action":"baseline","followers":'),
    "a time of 64,000 characters": filled(b"2023-", b'"}', b'{"occurred_at":"'),
    "an id of escapes": filled(b"\\u00e9", b'"}', b'{"event_id":"'),
    "halves of surrogate pairs": filled(b"\\ud800", b'"}', OPEN + b'"'),
    "blanks": filled(b" ", b"1}"),
    "zero bytes": filled(b"\0", start=b""),
    "bytes that are not UTF-8": filled(b"\xff", b'"}', OPEN + b'"'),
    "base64": filled(b"QUJD", b'"}', b'{"data_base64":"'),
}


def remember(record: LogRecord) -> None:
    """Judge a record as a restore does."""
    engine = Engine(Rules(), Source("in", 0))
    engine.restore(Checkpoint(9, -1, Counts(), SweepPosition(), {}))
    engine.remember([record])


def auditor(record: LogRecord) -> object:
    return input_record.read(
        input_record.LogRecord(
            record.offset, record.timestamp, record.key, record.value, record.headers
        )
    )


def cost(judge: Judge, record: LogRecord) -> float:
    """CPU seconds of one call: the least of a few tries."""
    tries = []
    for _ in range(3):
        began = time.process_time()
        judge(record)
        tries.append(time.process_time() - began)
    return min(tries)


def plain_cost(judge: Judge) -> float:
    """CPU seconds for a plain event of the same length: mean of many, the clock is coarse."""
    record = LogRecord(0, -1, b"a", filled(b"x", b'"}', OPEN + b'"'), [])
    began = time.process_time()
    for _ in range(50):
        judge(record)
    return (time.process_time() - began) / 50


@pytest.mark.parametrize("judge", [read, remember, auditor])
@pytest.mark.parametrize("headers", [[], IN_ENVELOPE, IN_HEADERS], ids=["plain", "in", "binary"])
def test_the_worst_value_costs_no_more_than_a_few_plain_ones(
    judge: Judge, headers: Headers
) -> None:
    plain = plain_cost(judge)
    ratios = {
        name: cost(judge, LogRecord(0, -1, b"a", value, headers)) / plain
        for name, value in WORST.items()
    }
    assert {name: ratio for name, ratio in ratios.items() if ratio > MOST} == {}
