"""Records as the bytes of a Kafka batch (format 2), whatever their header names are, and back.

Written from the protocol's description: aiokafka's own encoder takes no name that is not UTF-8.
https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from aiokafka import codec
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from service.contract.input_record import LogRecord
from service.kafka.aiokafka_ext import batches
from service.kafka.aiokafka_ext.partition_records import Records

TP = TopicPartition("fuzzed", 0)
BODY: Final = 61
"""Where the records of a batch begin."""
_PACK: Final[dict[int, Callable[[bytes], bytes]]] = {
    1: lambda body: codec.gzip_encode(body, 1),
    2: codec.snappy_encode,
    3: codec.lz4_encode,
    4: codec.zstd_encode,
}


def packed(records: Sequence[LogRecord]) -> bytes:
    """Pack one batch. The offsets of `records` must rise."""
    base, first = records[0].offset, max(0, records[0].timestamp)
    body = b"".join(_sized(_record(one, base, first)) for one in records)
    span, last = records[-1].offset - base, max(one.timestamp for one in records)
    checked = struct.pack(">hiqqqhii", 0, span, first, last, -1, -1, -1, len(records)) + body
    crc = calc_crc32c(checked)
    return struct.pack(">qiibI", base, 9 + len(checked), 0, 2, crc) + checked


def compressed(batch: bytes, by: int) -> bytes:
    """Return the batch with records packed by a codec (0: none), with the right length and CRC."""
    whole = bytearray(batch)
    if by:
        whole[BODY:] = _PACK[by](bytes(whole[BODY:]))
        whole[22] |= by
        struct.pack_into(">i", whole, 8, len(whole) - 12)
    return repaired(bytes(whole))


def repaired(batch: bytes) -> bytes:
    whole = bytearray(batch)
    if len(whole) > BODY:
        struct.pack_into(">I", whole, 17, calc_crc32c(bytes(whole[21:])))
    return bytes(whole)


def fetched(data: bytes, first: int) -> tuple[list[LogRecord], int, str]:
    """Return what a consumer gets that fetches until it has all: records, next offset, why no more.

    AssertionError if offsets do not rise, if one was not asked for, or if the consumer makes no
    progress.
    """
    found: list[LogRecord] = []
    position = first
    while True:
        source = batches.Batches(data)
        if not source.has_next():
            return found, position, "the batch is cut"  # aiokafka's fetcher refuses it
        kept = Records(TP, source, [], position, None, None, True, 1)  # noqa: FBT003
        try:
            part = [
                LogRecord(one.offset, one.timestamp, one.key, one.value, list(one.headers))
                for one in kept
            ]
        except batches.UnpackError as error:
            return found, position, str(error)
        end = kept.next_fetch_offset
        offsets = [position - 1, *(one.offset for one in part), end]
        assert all(one < after for one, after in pairwise(offsets)), f"{offsets} do not rise"
        found, position = found + part, end
        if position >= source.end:
            return found, position, ""


def unpacked(data: bytes, first: int = 0) -> list[LogRecord]:
    """What a consumer gets. `UnpackError`."""
    records, _, why = fetched(data, first)
    if why:
        raise batches.UnpackError(why)
    return records


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


def latin(batch: bytes) -> bytes:
    """The name XXXX as a client would write it that does not know UTF-8."""
    return repaired(batch.replace(b"XXXX", b"caf\xe9"))
