"""What a careless or malicious producer changes: values, keys, headers, and the bytes of batches.

Each mutation is drawn by the caller's `Random`, and counted by its name in `drawn`.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple

from aiokafka.record.util import decode_varint_py

from service.contract.input_record import MAX_VALUE_BYTES, LogRecord
from service.kafka.aiokafka_ext import batches
from tests.support.batch_bytes import BODY, compressed, packed, repaired

Drawn = Counter[str]
_TOKENS: Final = (
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"1e400", b"-0", b"NaN"),
    *(b"\xff", b"\xc3", b"\x00", b"\\u0000", b"\\ud800", b"\xef\xbb\xbf", b"[" * 200, b"{" * 130),
    *(b'"id":1,', b'"type":null,', b'"subject":[],', b'"data":', b'"specversion":"1.0",'),
    *(b'"event_id"', b'"followers":', b'"follower_id":null', b"9" * 30, b"2023-02-30T00:00:00Z"),
    *(b"1969-12-31T23:59:59Z", b"0000-00-00T00:00:00Z", b"2023-11-14T22:13:20+99:99", b"A" * 300),
)
_MEMBERS: Final = (
    *(b'"id":1', b'"type":null', b'"source":[]', b'"specversion":0.3', b'"subject":7'),
    *(b'"time":"soon"', b'"datacontenttype":"text/plain"', b'"data":7', b'"id":""', b'"id":"7"'),
    *(b'"event_id":null', b'"action":"baseline"', b'"action":"forget"', b'"action":7'),
    *(b'"followers":-1', b'"followers":1.5', b'"followers":9007199254740992', b'"followers":3'),
    *(b'"follower_id":"f"', b'"follower_id":null', b'"account_id":["a"]', b'"event_id":""'),
    *(b'"occurred_at":true', b'"occurred_at":"2023-11-14T22:13:20Z"', b'"occurred_at":0'),
)
"""Most of them come beside another member of the same name. The last one counts."""
_KEYS: Final[dict[str, bytes | None]] = {
    "another account": b"a",
    "empty": b"",
    "null": None,
    "not UTF-8": b"\xff",
    "longer than an id may be": b"k" * 257,
    "70,000 bytes": b"k" * 70_000,
}
_HEADERS: Final[tuple[tuple[str, bytes | None], ...]] = (
    *(("ce_specversion", b"1.0"), ("ce_specversion", b"0.3"), ("ce_id", b"7"), ("ce_id", b"\xff")),
    *(("ce_source", b"/s"), ("ce_type", b"x.follow"), ("ce_type", b""), ("ce_subject", b"a")),
    *(("ce_time", b"2023-11-14T22:13:20Z"), ("ce_time", b"soon"), ("trace", b"\xff")),
    *(("content-type", b"application/cloudevents+json"), ("content-type", b"text/plain")),
    *(("content-type", b"application/json"), ("netfollowers-heartbeat", b"")),
    *(("ce_specversion", None), ("ce_id", None), ("ce_type", None), ("ce_subject", None)),
    *(("ce_time", None), ("content-type", None), ("netfollowers-heartbeat", None)),
    *(("trace", None), ("tr\udcffce", b"1"), ("\udce9", None), ("ce_id\udc80", b"7"), ("ü", b"")),
    *(("", b""), ("x" * 300, None), ("trace", b"v" * 70_000), ("netfollowers-reason", b"skipped")),
)


def mutated(random: Random, record: LogRecord, drawn: Drawn) -> LogRecord:
    """The record with a few bytes changed, cut, doubled or replaced, another key, other headers."""
    if random.random() < 0.4:
        return record
    key, value = record.key, _value(random, record.value or b"", drawn)
    if random.random() < 0.2:
        name = random.choice(sorted(_KEYS))
        key = _KEYS[name]
        drawn[f"key: {name}"] += 1
    elif random.random() < 0.03 and value and key:
        moved = random.choice((b"q", b"elsewhere", "ü".encode()))
        value = value.replace(b'"%s"' % key, b'"%s"' % moved)
        key = moved
        drawn["key: of another partition"] += 1
    headers = _headers(random, record.headers, drawn)
    return LogRecord(record.offset, record.timestamp, key, value, headers)


def _value(random: Random, whole: bytes, drawn: Drawn) -> bytes | None:
    kind = random.random()
    if kind < 0.03:
        name = random.choice(("null", "empty", "at the limit", "beyond the limit"))
        drawn[f"value: {name}"] += 1
        padded = whole.ljust(MAX_VALUE_BYTES + (name == "beyond the limit"))
        return {"null": None, "empty": b""}.get(name, padded)
    if kind < 0.15:
        drawn["value: a member twice"] += 1
        member = random.choice(_MEMBERS)
        if random.random() < 0.3:
            return whole[:1] + member + b"," + whole[1:]
        return whole[:-1] + b"," + member + whole[-1:]
    value = bytearray(whole)
    for _ in range(random.choice((0, 1, 1, 2, 5))):
        _change(random, value)
        drawn["value: bytes"] += 1
    return bytes(value)


def _change(random: Random, value: bytearray) -> None:
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


def _headers(
    random: Random, told: Iterable[tuple[str, bytes | None]], drawn: Drawn
) -> list[tuple[str, bytes | None]]:
    headers = list(told)
    for _ in range(random.choice((0, 0, 0, 0, 1, 3))):
        name, value = header = random.choice(_HEADERS)
        headers.insert(random.randrange(len(headers) + 1), header)
        is_utf_8 = name.encode(errors="replace") == name.encode(errors="surrogateescape")
        kind = "any" if is_utf_8 else "name that is not UTF-8"
        drawn[f"header: {'null' if value is None and is_utf_8 else kind}"] += 1
    return headers


class Spoil(NamedTuple):
    """How the bytes of a batch are changed on their way."""

    codec: int = 0
    changes: tuple[tuple[int, int], ...] = ()
    """(place, byte)"""
    is_inside: bool = False
    """They are changed before the records are compressed."""
    repair: bool = True
    """The CRC is made to fit."""
    cut: int = 0
    """Bytes that are missing at the end."""

    def of(self, plain: bytes) -> bytes:
        """Spoil the batch `plain`."""
        if self.is_inside:
            return compressed(_with(plain, self.changes), self.codec)
        whole = _with(compressed(plain, self.codec), self.changes)
        whole = repaired(whole) if self.repair else whole
        return whole[: len(whole) - self.cut]


_FIELDS: Final = {
    "length": (8, 12),
    "magic": (16, 17),
    "attributes": (21, 23),
    "last offset": (23, 27),
    "time": (27, 43),
    "producer": (43, 57),
    "number of records": (57, 61),
}
_KINDS: Final = ("CRC", "cut", "records", "records", "packed bytes", "offset of a record")


def spoil(random: Random, plain: bytes, drawn: Drawn) -> Spoil:
    """Draw how a batch comes: as it was sent or with changed bytes, in any codec."""
    codec = random.choice((0, 0, 0, 0, 1, 2, 3, 4))
    drawn[f"batch: codec {codec}"] += 1
    if random.random() < 0.5:
        return Spoil(codec)
    name = random.choice((*_KINDS, *sorted(_FIELDS)))
    drawn[f"batch: {name}"] += 1
    if name == "offset of a record":
        lie = (random.choice(offset_places(plain)), random.choice((0, 1, 2, 4, 6, 80, 126)))
        return Spoil(codec, (lie,), is_inside=True)
    if name == "cut":
        return Spoil(codec, cut=random.choice((1, 10, len(plain) // 2)))
    first, stop = _FIELDS.get(name, (BODY, len(plain)))
    times = random.choice((1, 1, 2, 5)) if first == BODY else 1
    near = (0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 48, 64, 126, 127, 128, 254, 255)
    changes = tuple(
        (random.randrange(first, stop), random.choice((random.randrange(256), *near)))
        for _ in range(times)
    )
    return Spoil(codec, changes, is_inside=name == "records", repair=name != "CRC")


def offset_places(plain: bytes) -> list[int]:
    """Where the records of a batch say their offsets."""
    places, at = [], BODY
    while at < len(plain):
        length, at = decode_varint_py(bytearray(plain), at)
        _, place = decode_varint_py(bytearray(plain[: at + 12]), at + 1)
        places.append(place)
        at += length
    return places


def _with(data: bytes, changes: Iterable[tuple[int, int]]) -> bytes:
    whole = bytearray(data)
    for at, byte in changes:
        whole[at if at < len(whole) else BODY + at % (len(whole) - BODY)] = byte
    return bytes(whole)


@lru_cache
def _zeros(codec: int, size: int) -> bytes:
    return compressed(packed([LogRecord(0, 0, b"a", bytes(size))]), codec)


def bomb(offset: int, codec: int) -> bytes:
    """A batch of one record that unpacks to more than is let in."""
    size = batches.MOST_BYTES + batches.MOST_BYTES // 8
    return struct.pack(">q", offset) + _zeros(codec, size)[8:]
