"""python -m tests.engine.fuzz: mutated records by the million, against the second decoder.

Never an exception, never an unaccounted record, never another verdict than the auditor's reader,
which shares no code with ours. Bytes are mutated as a careless or malicious producer would.
"""

# ruff: noqa: T201 - a command line

from __future__ import annotations

import argparse
import json
import multiprocessing
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from aiokafka.record.util import calc_crc32c

from service.audit import arrival
from service.engine import Engine, Rules
from service.events import Baseline, Forget, Heartbeat, LogRecord, PlainEvent, Rejection, read
from service.kafka.batches import CannotUnpack
from service.results import Source
from tests.engine.randomlog import random_log
from tests.engine.wire import packed, unpacked

CHUNK: Final = 5_000
BATCH: Final = 50
_TOKENS: Final = (
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"1e400", b"-0", b"NaN"),
    *(b"\xff", b"\xc3", b"\x00", b"\\u0000", b"\\ud800", b"\xef\xbb\xbf", b"[" * 200, b"{" * 130),
    *(b'"id":1,', b'"type":null,', b'"subject":[],', b'"data":', b'"specversion":"1.0",'),
    *(b'"event_id"', b'"followers":', b'"follower_id":null', b"9" * 30, b"2023-02-30T00:00:00Z"),
    *(b"1969-12-31T23:59:59Z", b"0000-00-00T00:00:00Z", b"2023-11-14T22:13:20+99:99", b"A" * 300),
)
_HEADERS: Final[tuple[tuple[str, bytes | None], ...]] = (
    *(("ce_specversion", b"1.0"), ("ce_specversion", b"0.3"), ("ce_id", b"7"), ("ce_id", b"\xff")),
    *(("ce_source", b"/s"), ("ce_type", b"x.follow"), ("ce_type", b""), ("ce_subject", b"a")),
    *(("ce_time", b"2023-11-14T22:13:20Z"), ("ce_time", b"soon"), ("trace", b"\xff")),
    *(("content-type", b"application/cloudevents+json"), ("content-type", b"text/plain")),
    *(("content-type", b"application/json"), ("netfollowers-heartbeat", b"")),
    *(("ce_specversion", None), ("ce_id", None), ("ce_type", None), ("ce_subject", None)),
    *(("ce_time", None), ("content-type", None), ("netfollowers-heartbeat", None)),
    *(("trace", None), ("tr\udcffce", b"1"), ("\udce9", None), ("ce_id\udc80", b"7"), ("ü", b"")),
)


def mutated(random: Random, record: LogRecord) -> LogRecord:
    """The record with a few bytes changed, cut, doubled or replaced, and other headers."""
    value = bytearray(record.value or b"")
    for _ in range(random.choice((0, 1, 1, 2, 5))):
        at, kind = random.randrange(len(value) + 1), random.random()
        end = at + random.choice((0, 1, 1, 3, 10))
        if kind < 0.3:
            value[at:end] = random.choice(_TOKENS)
        elif kind < 0.6:
            value[at:end] = bytes([random.randrange(256)])
        elif kind < 0.8:
            del value[at:end]
        else:
            value[at:at] = value[at:end]
    headers = list(record.headers)
    for _ in range(random.choice((0, 0, 0, 1, 3, 6))):
        headers.insert(random.randrange(len(headers) + 1), random.choice(_HEADERS))
    key = random.choice((record.key, record.key, record.key, b"a", b"", None, b"\xff"))
    return LogRecord(record.offset, record.timestamp, key, bytes(value), headers)


def said(verdict: object) -> tuple[object, ...]:
    """A verdict of ours in words that the auditor's can be compared with."""
    if isinstance(verdict, Rejection):
        return ("rejected",)
    if isinstance(verdict, Heartbeat):
        return "heartbeat", verdict.occurred_at
    assert isinstance(verdict, PlainEvent | Baseline | Forget)
    action = {Baseline: "baseline", Forget: "forget"}.get(type(verdict))
    action = action or getattr(verdict, "action", "")
    return action, verdict.event_id, verdict.account_id, verdict.occurred_at


def judged(record: LogRecord) -> tuple[tuple[object, ...], tuple[str, ...]]:
    """The auditor's words, and every reason that it finds true."""
    found = arrival.read(
        arrival.LogRecord(record.offset, record.timestamp, record.key, record.value, record.headers)
    )
    if isinstance(found, arrival.Faults):
        return ("rejected",), found.reasons
    if found.action == "heartbeat":
        return ("heartbeat", found.occurred_ms), ()
    return (found.action, found.event_id, found.account_id, found.occurred_ms), ()


def through_the_wire(
    random: Random, records: Sequence[LogRecord], seen: Counter[str]
) -> Iterator[LogRecord]:
    """The records as a consumer unpacks them, batch by batch; beside each batch one with bad bytes.

    AssertionError: a record is not what was sent. Any error but `CannotUnpack` passes through.
    """
    for first in range(0, len(records), BATCH):
        sent = list(records[first : first + BATCH])
        data = packed(sent)
        found = unpacked(data, sent[0].offset)
        assert found == sent, (first, found, sent)
        yield from found
        spoilt = bytearray(data)
        for _ in range(random.choice((1, 1, 3))):
            spoilt[random.randrange(8, len(spoilt))] = random.randrange(256)
        if random.random() < 0.8:
            struct.pack_into(">I", spoilt, 17, calc_crc32c(bytes(spoilt[21:])))
        try:
            unpacked(bytes(spoilt), sent[0].offset)
            seen["(spoilt batches that can be unpacked)"] += 1
        except CannotUnpack:
            seen["(spoilt batches that cannot)"] += 1


def fuzz(seed: int) -> Counter[str]:
    """Mutate and judge `CHUNK` records; -> how many of each outcome. AssertionError."""
    random = Random(seed)
    engine = Engine(Rules(), Source("fuzzed", 0))
    seen: Counter[str] = Counter()
    records: list[LogRecord] = []
    while len(records) < CHUNK:
        records += random_log(random, 100)
    moved = [
        mutated(random, LogRecord(offset, one.timestamp, one.key, one.value, one.headers))
        for offset, one in enumerate(records[:CHUNK])
    ]
    for offset, record in enumerate(through_the_wire(random, moved, seen)):
        ours, (theirs, reasons) = read(record), judged(record)
        assert said(ours) == theirs, (seed, record, ours, theirs)
        if isinstance(ours, Rejection):
            assert str(ours.reason) in reasons, (seed, record, ours, reasons)
        seen[str(ours.reason) if isinstance(ours, Rejection) else str(theirs[0])] += 1
        engine.apply([record], offset + 1)
        assert engine.counts.total == offset + 1, (seed, record)
    json.loads(engine.seal().checkpoint.to_metadata())
    return seen


def main(arguments: Sequence[str]) -> int:
    """Fuzz as many inputs as are asked for, on some processes."""
    parser = argparse.ArgumentParser("tests.engine.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args(arguments)
    began, seen = time.monotonic(), Counter[str]()
    seeds = range(asked.start, asked.start + -(-asked.inputs // CHUNK))
    with multiprocessing.Pool(asked.processes) as pool:
        for found in pool.imap_unordered(fuzz, seeds):
            seen += found
    for name, number in seen.most_common():
        print(f"{number:>12,}  {name}")
    total = sum(number for name, number in seen.items() if not name.startswith("("))
    print(f"{total:>12,}  inputs in {time.monotonic() - began:.0f} s: all accounted for")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
