"""The records of a Kafka batch of format 2 by the letter of the protocol: judges our decoder.

Shares nothing with aiokafka but the codecs.
https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

import msgspec
from aiokafka import codec
from aiokafka.record.util import calc_crc32c

from service.contract.input_record import LogRecord
from tests.support.batch_bytes import BODY

FORMAT: Final = 2
MAGIC: Final = 16
"""Where a batch says its format."""
_UNPACK: Final[dict[int, Callable[[bytes], bytes]]] = {
    0: bytes,
    1: codec.gzip_decode,
    2: codec.snappy_decode,
    3: codec.lz4_decode,
    4: codec.zstd_decode,
}


class ProtocolError(Exception):
    """The bytes are no batch of format 2."""


def opened(batch: bytes) -> tuple[list[LogRecord], bool]:
    """Read the records of one batch; whether one has attributes beyond 0x7f. ProtocolError.

    Nothing is left out, whatever offsets the records say.
    """
    _demand(len(batch) >= BODY and struct.unpack_from(">i", batch, 8)[0] == len(batch) - 12)
    base, _, _, magic, crc = struct.unpack_from(">qiibI", batch)
    attributes, span, first, last, _, _, _, count = struct.unpack_from(">hiqqqhii", batch, 21)
    _demand(magic == FORMAT and crc == calc_crc32c(batch[21:]) and attributes & 7 in _UNPACK)
    try:
        body = _UNPACK[attributes & 7](batch[BODY:])
    except Exception as error:
        raise ProtocolError from error
    rest = _Bytes(body)
    stamp = last if attributes & 8 else None
    records = [rest.record(base, first, stamp) for _ in range(count)]
    _demand(rest.at == len(body))
    if count == span + 1:  # an offset for each: so the broker has counted them
        records = [msgspec.structs.replace(one, offset=base + at) for at, one in enumerate(records)]
    return records, rest.is_odd


def is_control(batch: bytes) -> bool:
    """Tell whether a batch of format 2 says that it is a marker, which holds nothing for us."""
    return len(batch) > BODY and batch[MAGIC] == FORMAT and batch[22] & 32 > 0


def last_offset(batch: bytes) -> int:
    """Read the offset of a batch's last record, as its header says."""
    base, span = struct.unpack_from(">q", batch)[0], struct.unpack_from(">i", batch, 23)[0]
    return int(base + span)


def _demand(is_so: bool) -> None:  # noqa: FBT001 - an assertion of the protocol
    if not is_so:
        raise ProtocolError


class _Bytes:
    """Bytes that are read from the front. ProtocolError: they end too early."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0
        self.is_odd = False

    def record(self, base: int, first: int, stamp: int | None) -> LogRecord:
        length = self._number()
        end = self.at + length
        self.is_odd |= self._take(1) >= b"\x80"
        at = first + self._number()
        offset = base + self._number()
        key, value = self._text(), self._text()
        headers, count = [], self._number()
        _demand(count >= 0)
        for _ in range(count):
            name = self._text()
            _demand(name is not None)
            headers.append(((name or b"").decode(errors="surrogateescape"), self._text()))
        _demand(self.at == end)
        at = (at + 2**63) % 2**64 - 2**63  # a time is 64 bits
        return LogRecord(offset, at if stamp is None else stamp, key, value, headers)

    def _text(self) -> bytes | None:
        length = self._number()
        return None if length < 0 else self._take(length)

    def _take(self, length: int) -> bytes:
        part = self._data[self.at : self.at + length]
        _demand(0 <= length == len(part))
        self.at += length
        return part

    def _number(self) -> int:
        number = shift = 0
        while True:
            byte = self._take(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                _demand(number < 2**64)
                return (number >> 1) ^ -(number & 1)
            _demand(shift <= 63)
