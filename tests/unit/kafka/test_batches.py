"""Batches as brokers hand them out: unpacked as aiokafka does, and where it cannot."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any

import cramjam
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from service.contract.input_record import LogRecord
from service.kafka.aiokafka_ext import batches
from service.kafka.aiokafka_ext.batches import Batches, UnpackError
from service.kafka.aiokafka_ext.partition_records import Records
from tests.support import batch_bytes
from tests.support.batch_bytes import latin, repaired
from tests.support.record_mutations import offset_places

Sent = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
TP = TopicPartition("follow-events", 3)
FEW: list[Sent] = [
    (b"a", b"v0", []),
    (None, b"v1", [("trace", b"1")]),
    (b"c", None, [("XXXX", b"2"), ("x", None)]),
    (b"d", b"v3", []),
]


def built(sent: Sequence[Sent], *, codec: int = 0, first: int = 0) -> bytes:
    """A batch as aiokafka's producer builds it."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2**30)
    for place, (key, value, headers) in enumerate(sent):
        builder.append(place, 1_700_000_000_000 + place, key, value, headers)
    return repaired(struct.pack(">q", first) + bytes(builder.build())[8:])


def unpacked(data: bytes, *, first: int = 0, records: Any = Batches) -> list[Any]:
    """What a consumer of the partition gets."""
    kept = Records(TP, records(data), [], first, None, None, True, 1)  # noqa: FBT003
    return [(one.offset, one.timestamp, one.key, one.value, list(one.headers)) for one in kept]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_what_aiokafka_can_unpack_is_unpacked_as_it_does(codec: int) -> None:
    random = Random(codec)
    for count in (1, 2, 499, 500, 501, 1_200):
        sent: list[Sent] = [
            (random.choice((None, b"", b"k")), random.randbytes(random.randrange(9)), FEW[1][2])
            for _ in range(count)
        ]
        data = built(sent, codec=codec) + built(FEW, codec=codec, first=count)
        assert unpacked(data) == unpacked(data, records=MemoryRecords)
        assert len(unpacked(data)) == count + len(FEW)
        assert unpacked(data[:-1]) == unpacked(data[:-1], records=MemoryRecords)
        assert unpacked(data, first=count - 1)[0][0] == count - 1


def test_a_name_that_is_not_utf_8_is_read_and_so_are_its_neighbours() -> None:
    data = built(FEW, first=7) + latin(built(FEW, first=11))
    found = unpacked(data, first=7)
    assert [one[0] for one in found] == list(range(7, 15))
    assert found[6][4] == [("caf\udce9", b"2"), ("x", None)]
    assert [one[2:] for one in found[:4]] == [tuple(one) for one in FEW]


@pytest.mark.parametrize("place", [0, 1, 499, 500, 501, 999, 1_199])
def test_each_record_comes_once_wherever_the_bad_name_is(place: int) -> None:
    sent: list[Sent] = [(b"k", b"%d" % number, []) for number in range(1_200)]
    sent[place] = (b"k", b"%d" % place, [("XXXX", b"")])
    found = unpacked(latin(built(sent)))
    assert [one[3] for one in found] == [one[1] for one in sent]
    assert found[place][4] == [("caf\udce9", b"")]


def spoilt(batch: bytes, at: int, to: int, *, crc: bool = True) -> bytes:
    changed = bytearray(batch)
    changed[at] = to
    return repaired(bytes(changed)) if crc else bytes(changed)


BROKEN = {
    "a wrong CRC": spoilt(built(FEW), 70, 0xFF, crc=False),
    "an unknown format": spoilt(built(FEW), 16, 3, crc=False),
    "an unknown codec": spoilt(built(FEW), 22, 5),
    "a codec that its bytes are not of": spoilt(built(FEW), 22, 4),
    "a number of records that are not there": spoilt(built(FEW), 60, 200),
    "a record that is longer than the batch": spoilt(built(FEW), 61, 0x7E),
    "a length below nothing": spoilt(built(FEW), 8, 0xFF),
    "no bytes but a length": built(FEW)[:8] + struct.pack(">i", 2) + b"\0\0",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_unpacked_is_named_with_its_place(broken: bytes) -> None:
    data = built(FEW) + broken
    assert [one[0] for one in unpacked(data)] == [0, 1, 2, 3], "what comes before is handed out"
    with pytest.raises(UnpackError) as found:
        unpacked(data, first=4)  # where the next fetch begins
    assert "follow-events" in str(found.value)
    assert "partition=3 offset=4 next=" in str(found.value)


def numbered(offsets: Sequence[int], last: int, *, name: str = "trace") -> bytes:
    """A batch whose records say that they have these offsets, and its header that it ends there."""
    records = [LogRecord(at, 1_700_000_000_000, b"k", b"%d" % at, [(name, b"1")]) for at in offsets]
    batch = bytearray(batch_bytes.packed(records))
    struct.pack_into(">i", batch, 23, last)
    return repaired(bytes(batch))


LYING: dict[str, tuple[list[int], int]] = {
    "all the same": ([0, 0, 0, 0], 9),
    "one goes back": ([0, 1, 9, 3], 9),
    "one is beyond the last": ([0, 1, 2, 17], 9),
    "one is before the first": ([0, -3, 1, 2], 9),
    "more than there is room for": ([0, 1, 2, 3], 2),
    "the last is before the first": ([0, 1, 2, 3], -1),
    "the last of the batch comes before its others": ([*range(499), 600, 499, 500], 600),
    "one goes back, later": ([*range(600), 3], 700),
}


@pytest.mark.parametrize("name", ["trace", "tr\udcffce"])
@pytest.mark.parametrize(("offsets", "last"), LYING.values(), ids=LYING)
@pytest.mark.parametrize("codec", [0, 4])
def test_offsets_that_lie_are_refused_and_no_record_is_left_out_silently(
    codec: int, offsets: list[int], last: int, name: str
) -> None:
    data = batch_bytes.compressed(numbered(offsets, last, name=name), codec)
    found, position, why = batch_bytes.fetched(data, 0)
    assert "cannot unpack" in why
    assert position <= max(0, last), "whoever goes on from there comes to the same batch"
    assert [one.offset for one in found] == list(range(position))


@pytest.mark.parametrize("name", ["trace", "tr\udcffce"])
@pytest.mark.parametrize(
    "offsets",
    [[0, 0, 0, 0], [3, 2, 1, 0], [0, 1, 2, 7], [0, -3, 1, 2], [*range(600), *range(600)]],
    ids=["all the same", "falling", "one beyond the last", "one before the first", "twice"],
)
def test_records_that_lie_have_the_offsets_that_the_broker_has_counted(
    offsets: list[int], name: str
) -> None:
    data = numbered(offsets, len(offsets) - 1, name=name)
    data = struct.pack(">q", 0) + data[8:]  # as the broker writes it
    records, position, why = batch_bytes.fetched(data, 2)
    assert [one.offset for one in records] == list(range(2, len(offsets)))
    values = [b"%d" % at for at in offsets]
    assert [one.value for one in records] == values[2:]
    assert [one.headers for one in records] == [[(name, b"1")]] * (len(offsets) - 2)
    assert (position, why) == (len(offsets), "")


@pytest.mark.parametrize("attributes", [1, 0x7F, 0x80, 0xFE])
@pytest.mark.parametrize("key", [b"a", b"b", b"account"])
def test_attributes_of_a_record_are_one_byte_whatever_they_are(key: bytes, attributes: int) -> None:
    sent = [LogRecord(at, 1_700_000_000_000, key, b"v" * at, [("t", b"1")]) for at in range(8)]
    batch = bytearray(batch_bytes.packed(sent))
    place = offset_places(bytes(batch))[4] - 2
    assert batch[place - 1 : place + 3] == bytes([batch[place - 1], 0, 0, 8])
    batch[place] = attributes
    assert unpacked(repaired(bytes(batch))) == [
        (one.offset, one.timestamp, one.key, one.value, one.headers) for one in sent
    ]


def test_offsets_with_gaps_and_a_fetch_that_begins_among_them_are_fine() -> None:
    data = numbered([0, 3, *range(10, 1_500)], 1_600)
    records, position, why = batch_bytes.fetched(data, 2)
    assert [one.offset for one in records] == [3, *range(10, 1_500)]
    assert (position, why) == (1_601, "")


def test_a_value_of_a_header_that_is_cut_is_refused_beside_a_bad_name_too() -> None:
    whole = bytearray(latin(built([*FEW, (b"e", b"v4", [("trace", b"long")])]))[:-1])
    struct.pack_into(">i", whole, 8, len(whole) - 12)
    with pytest.raises(UnpackError, match="in a batch of"):
        unpacked(repaired(bytes(whole)))


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
def test_a_batch_that_unpacks_to_too_much_is_refused_before_it_fills_the_memory(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST_BYTES", 1_000_000)
    bomb = built([(b"k", bytes(1_100_000), [])], codec=CODECS[codec])
    with pytest.raises(UnpackError, match="more than 1,000,000 bytes"):
        unpacked(bomb)
    below = built([(b"k", bytes(900_000), [("XXXX", b"1")])], codec=CODECS[codec])
    assert unpacked(below)[0][3] == bytes(900_000)
    assert unpacked(below) == unpacked(below, records=MemoryRecords)


def test_the_room_for_unpacking_is_what_it_says() -> None:
    """One byte of a codec never becomes more than the ratio that decides on a closer look."""
    for unpacker, ratio in batches._PACKED.values():
        assert 2**26 / len(bytes(unpacker.compress(bytes(2**26)))) < ratio
    assert 2**26 / len(bytes(cramjam.snappy.compress_raw(bytes(2**26)))) < 22


def test_no_bytes_raise_anything_else() -> None:
    """Batches with some bytes changed, most of them with the CRC that belongs."""
    random = Random(5)
    for number in range(3_000):
        data = bytearray(built(FEW, codec=random.choice((0, 0, 0, 1, 3, 4)), first=number))
        for _ in range(random.choice((1, 1, 2, 5))):
            data[random.randrange(8, len(data))] = random.randrange(256)
        changed = repaired(bytes(data)) if random.random() < 0.7 else bytes(data)
        with suppress(UnpackError):
            assert all(one[0] >= number for one in unpacked(changed, first=number))
