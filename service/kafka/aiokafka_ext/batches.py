"""Unpacks batches of records: aiokafka's decoder, corrected where a record can stop it.

`install` sets it for every consumer of the process, also the auditor's, so that all readers of a
partition see the same records. Five things differ from aiokafka:

- A header name that is not UTF-8 does not raise. Its bytes become what `surrogateescape` makes of
  them, and the judge rejects the record.
- A batch that unpacks to more than `MOST_BYTES` raises before it fills the memory.
- Data that cannot be unpacked (a wrong CRC, an unknown codec, a broken record) raises
  `UnpackError`, which names topic, partition and offset (`partition_records`).
- Records with wrong offsets get the offsets that the broker counted for them. aiokafka drops some
  of them silently. If the right offsets are not known, such a batch cannot be unpacked.
- The attributes of a record are one byte. aiokafka reads them as a number of several bytes.

tests/unit/kafka/test_batches.py compares it with aiokafka's decoder.
"""

from __future__ import annotations

import dataclasses
import mmap
import struct
from collections.abc import Iterator
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Final

import cramjam
from aiokafka.errors import CorruptRecordException
from aiokafka.record import default_records
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.util import decode_varint_py

from service.errors import NetFollowersError

MOST_BYTES: Final = 256 * 2**20
"""Largest size of an unpacked batch. By default, brokers accept 1 MiB of packed bytes."""

_whole: Final = default_records.DefaultRecordBatch
_LENGTH: Final = struct.Struct(">i")
_LENGTH_AT: Final = 8
_BASE: Final = struct.Struct(">q")
_LAST_AT: Final = 23
_OVERHEAD: Final = 12
_MAGIC_AT: Final = 16
_CODEC_AT: Final = 22
_COUNT_AT: Final = 57
_HEADER_BYTES: Final = 61
_CODEC_MASK: Final = 0x07
_AT_A_TIME: Final = 500
_OFFSET: Final = attrgetter("offset")
_PACKED: Final = {1: (cramjam.gzip, 1_040), 3: (cramjam.lz4, 256), 4: (cramjam.zstd, 33_000)}
"""By codec: the decompressor, and how many bytes one byte can become. Snappy's (2) is 22."""


class UnpackError(NetFollowersError):
    """The broker stores bytes that cannot be unpacked. The text says what and where."""

    def __init__(self, message: str, offset: int = -1) -> None:
        """`offset`: of the first record that cannot be read; -1 if it is not known."""
        super().__init__(message)
        self.offset = offset


class Batches:
    """The batches in the bytes of one fetch. Replaces aiokafka's `MemoryRecords`."""

    def __init__(self, data: bytes) -> None:
        """`data`: its last batch may be cut, because a fetch ends where its bytes end."""
        self._data = memoryview(data)
        self._at = 0
        self.end = -1

    def size_in_bytes(self) -> int:
        """Length of all bytes."""
        return len(self._data)

    def has_next(self) -> bool:
        """Tell whether a whole batch is left."""
        left = len(self._data) - self._at
        return left >= _OVERHEAD and left >= _OVERHEAD + self._length()

    def next_batch(self) -> Any:  # noqa: ANN401 - aiokafka is untyped
        """Take the next batch. CorruptRecordException if it is shorter than its own header."""
        length = _OVERHEAD + self._length()
        if length <= _MAGIC_AT:
            message = f"a batch of {length} bytes is shorter than its header"
            raise CorruptRecordException(message)
        batch = self._data[self._at : self._at + length]
        self._at += length
        magic = batch[_MAGIC_AT]
        if magic < 2:  # noqa: PLR2004 - the oldest formats know no headers
            return LegacyRecordBatch(batch, magic)
        if magic > 2:  # noqa: PLR2004 - aiokafka takes every later format for this one
            message = f"format {magic} is not known"
            raise CorruptRecordException(message)
        if length < _HEADER_BYTES:
            message = f"a batch of {length} bytes is shorter than its header"
            raise CorruptRecordException(message)
        self.end = _BASE.unpack_from(batch)[0] + _LENGTH.unpack_from(batch, _LAST_AT)[0] + 1
        return Batch(batch)

    def _length(self) -> int:
        found: int = _LENGTH.unpack_from(self._data, self._at + _LENGTH_AT)[0]
        return found


class Batch:
    """One batch. It uses aiokafka's fast decoder until a record cannot be read that way."""

    def __init__(self, data: memoryview) -> None:
        """`data`: with its header."""
        whole = _whole(data)
        self._data = data
        self._whole = whole
        self.base_offset: int = whole.base_offset
        self.next_offset: int = whole.next_offset
        self.producer_id: int = whole.producer_id
        self.is_control_batch: bool = whole.is_control_batch
        self.is_transactional: bool = whole.is_transactional
        if self.next_offset <= self.base_offset:
            message = f"a batch of offsets {self.base_offset} to {self.next_offset - 1}"
            raise CorruptRecordException(message)
        records = _LENGTH.unpack_from(data, _COUNT_AT)[0]
        self._is_dense = records == self.next_offset - self.base_offset

    def validate_crc(self) -> bool:
        """Tell whether the bytes are those that the producer sent."""
        return bool(self._whole.validate_crc())

    def __next__(self) -> Any:  # noqa: ANN401 - aiokafka is untyped
        """Take the first record. aiokafka reads the marker of a control batch in this way."""
        return next(iter(self))

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the records in order. A generator would double the cost per record."""
        return chain.from_iterable(self._parts())

    def _parts(self) -> Iterator[list[Any]]:
        """Yield the records in parts. A part is yielded when the next part is known to be sound.

        So a record with the last offset of the batch is not yielded before all others. From there a
        consumer continues after the batch, and would not find out that the batch is broken.
        """
        waiting = list[Any]()
        for part in self._sound():
            yield waiting
            waiting = part
        yield waiting

    def _sound(self) -> Iterator[list[Any]]:
        """Yield the records with the C decoder, and those that it cannot read with the slow one."""
        unpacked, given, last = _bounded(self._data), 0, self.base_offset - 1
        try:
            whole = self._whole if unpacked is None else _whole(unpacked)
            records = chain(
                whole
            )  # it requests aiokafka's iterator once, because a second request raises
            while part := list(islice(records, _AT_A_TIME)):
                self._check(part, last)
                yield part
                given, last = given + len(part), part[-1].offset
        except (UnicodeDecodeError, CorruptRecordException):
            records = chain(islice(_leniently(unpacked or self._data), given, None))
            while part := list(islice(records, _AT_A_TIME)):
                part = self._numbered(part, last + 1) if self._is_dense else part
                self._check(part, last)
                yield part
                last = part[-1].offset

    def _numbered(self, part: list[Any], first: int) -> list[Any]:
        """Give each record the offset that the broker counted for it, whatever the record says.

        A broker checks only the header of an uncompressed batch, where each record has its offset.
        """
        return [
            dataclasses.replace(one, offset=offset) for offset, one in enumerate(part, start=first)
        ]

    def _check(self, part: list[Any], last: int) -> None:
        """Check the offsets. CorruptRecordException if they do not rise, or leave the batch."""
        offsets = list(map(_OFFSET, part))
        if self._is_dense and offsets == list(range(last + 1, last + 1 + len(part))):
            return
        offsets = [last, *offsets, self.next_offset]
        at = next((at for at in range(1, len(offsets)) if offsets[at - 1] >= offsets[at]), 0)
        if at or self._is_dense:
            message = (
                f"offset {offsets[at]} behind {offsets[at - 1]}, in a batch of "
                f"{self.base_offset} to {self.next_offset - 1}"
            )
            raise CorruptRecordException(message)


def _leniently(data: memoryview) -> Iterator[Any]:
    """Read a batch with aiokafka's slower decoder, with names as in `surrogateescape`.

    Its fast `decode_varint` checks no limits: a wrong length would end the process.
    """
    batch = default_records._DefaultRecordBatchPy(data)  # noqa: SLF001 - the mend
    batch._maybe_uncompress()  # noqa: SLF001
    batch._buffer = _Lenient(batch._buffer)  # noqa: SLF001
    for _ in range(batch._num_records):  # noqa: SLF001
        yield batch._read_msg(_Numbers())  # noqa: SLF001
    if batch._pos != len(batch._buffer):  # noqa: SLF001
        message = f"{batch._pos} bytes of records, in a batch of {len(batch._buffer)}"  # noqa: SLF001
        raise CorruptRecordException(message)


class _Numbers:
    """Decodes the numbers of one record. The second number, its attributes, is one byte.

    aiokafka reads it as a varint. From 0x80 on it then reads all later fields at a wrong place.
    """

    def __init__(self) -> None:
        self._decoded = 0

    def __call__(self, buffer: bytearray, at: int) -> tuple[int, int]:
        """Return the number at a position, and the position after it."""
        self._decoded += 1
        if self._decoded == 2:  # noqa: PLR2004
            return buffer[at], at + 1
        number, end = decode_varint_py(buffer, at)
        return int(number), int(end)


class _Lenient(bytearray):
    """Bytes of which each part can be decoded, valid UTF-8 or not."""

    def __getitem__(self, part: Any) -> Any:  # noqa: ANN401 - an index or a slice
        found = super().__getitem__(part)
        return _Lenient(found) if isinstance(found, bytearray) else found

    def decode(self, *_: str) -> str:
        """Keep each byte that is not UTF-8 as half a surrogate pair."""
        return super().decode(errors="surrogateescape")


def _bounded(data: memoryview) -> memoryview | None:
    """Unpack a batch into one without a codec, if it may become too large; else return None.

    CorruptRecordException if the batch is broken, or becomes larger than MOST_BYTES.
    """
    codec, packed = data[_CODEC_AT] & _CODEC_MASK, data[_HEADER_BYTES:]
    unpacker, ratio = _PACKED.get(codec, (None, 0))
    if unpacker is None or len(packed) * ratio <= MOST_BYTES:
        return None
    room = memoryview(mmap.mmap(-1, _HEADER_BYTES + MOST_BYTES))  # only written pages use memory
    room[:_HEADER_BYTES] = data[:_HEADER_BYTES]
    room[_CODEC_AT] &= ~_CODEC_MASK & 0xFF
    try:
        length = unpacker.decompress_into(packed, room[_HEADER_BYTES:])
    except cramjam.DecompressionError as error:
        message = f"it is broken, or unpacks to more than {MOST_BYTES:,} bytes: {error}"
        raise CorruptRecordException(message) from error
    return room[: _HEADER_BYTES + length]
