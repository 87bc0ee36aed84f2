"""Records as the bytes of a Kafka batch (format 2), whatever their header names are, and back.

Written from the protocol's description: aiokafka's own encoder takes no name that is not UTF-8.
https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from service.events import LogRecord
from service.kafka import batches

TP = TopicPartition("fuzzed", 0)


def packed(records: Sequence[LogRecord]) -> bytes:
    """One batch; the offsets of `records` must rise."""
    base, first = records[0].offset, max(0, records[0].timestamp)
    body = b"".join(_sized(_record(one, base, first)) for one in records)
    span, last = records[-1].offset - base, max(one.timestamp for one in records)
    checked = struct.pack(">hiqqqhii", 0, span, first, last, -1, -1, -1, len(records)) + body
    crc = calc_crc32c(checked)
    return struct.pack(">qiibI", base, 9 + len(checked), 0, 2, crc) + checked


def unpacked(data: bytes, first: int = 0) -> list[LogRecord]:
    """What a consumer gets. `CannotUnpack`."""
    kept = batches._Records(TP, batches.Batches(data), [], first, None, None, True, 1)  # noqa: FBT003
    return [
        LogRecord(one.offset, one.timestamp, one.key, one.value, list(one.headers)) for one in kept
    ]


def _record(one: LogRecord, base: int, first: int) -> bytes:
    fields = b"\0" + _varint(one.timestamp - first) + _varint(one.offset - base)
    fields += _nullable(one.key) + _nullable(one.value) + _varint(len(one.headers))
    for name, value in one.headers:
        fields += _sized(name.encode(errors="surrogateescape")) + _nullable(value)
    return fields


def _nullable(text: bytes | None) -> bytes:
    return _varint(-1) if text is None else _sized(text)


def _sized(text: bytes) -> bytes:
    return _varint(len(text)) + text


def _varint(number: int) -> bytes:
    number = number << 1 if number >= 0 else ((-number) << 1) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
