"""The packed form of the channel: columns of integers under one xz stream. No I/O on the log.

    magic | counts of times, events, followers as 3 x uint32
    times      uint32 x times      seconds since the time before (the first: since the epoch)
    per time   uint32 x times      events at that time
    references uint32 x events     0: a follower not seen before, who follows
                                   1: a follower not seen before, who unfollows
                                   n: the (n - 1)-th last new follower, counted from 1
    followers  8 bytes x followers in order of first appearance

An action need not be stored: what a follower does alternates. All integers are little-endian
and stored as four planes of bytes, lowest first, which xz takes better.
"""

from __future__ import annotations

import lzma
import struct
import sys
from array import array
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAGIC: Final = b"NFCH0001"
NEW_FOLLOWS: Final = 0
NEW_UNFOLLOWS: Final = 1
_HEAD: Final = struct.Struct("<8sIII")
_FOLLOWER_BYTES: Final = 8


class ChannelEvent(NamedTuple):
    """One event: the follower (16 hex digits), the action, the time (epoch seconds)."""

    follower_id: str
    is_follow: bool
    occurred_s: int


def pack(events: Iterable[ChannelEvent]) -> bytes:
    """Pack events in time order. AssertionError if a follower does the same thing twice."""
    times, per_time, references = array("I"), array("I"), array("I")
    seen: dict[str, int] = {}
    last: dict[str, bool] = {}
    now_s = -1
    for event in events:
        if event.occurred_s != now_s:
            times.append(event.occurred_s - max(now_s, 0))
            per_time.append(0)
            now_s = event.occurred_s
        per_time[-1] += 1
        index = seen.setdefault(event.follower_id, len(seen))
        is_new = event.follower_id not in last
        assert is_new or last[event.follower_id] != event.is_follow, "actions alternate"
        first = NEW_FOLLOWS if event.is_follow else NEW_UNFOLLOWS
        references.append(first if is_new else 1 + len(seen) - index)
        last[event.follower_id] = event.is_follow
    head = _HEAD.pack(MAGIC, len(times), len(references), len(seen))
    columns = b"".join(map(_to_planes, (times, per_time, references)))
    return lzma.compress(
        head + columns + bytes.fromhex("".join(seen)), preset=9 | lzma.PRESET_EXTREME
    )


def unpack(packed: bytes) -> Iterator[ChannelEvent]:
    """Yield the events in order."""
    whole = lzma.decompress(packed)
    magic, times_count, events_count, followers_count = _HEAD.unpack_from(whole)
    assert magic == MAGIC, "not a packed channel, or of another version"
    cuts = [_HEAD.size]
    for length in (4 * times_count, 4 * times_count, 4 * events_count):
        cuts.append(cuts[-1] + length)
    times, per_time, references = (_from_planes(whole[start:end]) for start, end in pairwise(cuts))
    digits = whole[cuts[-1] :].hex()
    width = 2 * _FOLLOWER_BYTES
    assert len(digits) == width * followers_count, "followers are cut off"
    ids = [digits[at : at + width] for at in range(0, len(digits), width)]
    yield from _walk(times, per_time, references, ids)


def _walk(
    times: array[int], per_time: array[int], references: array[int], ids: list[str]
) -> Iterator[ChannelEvent]:
    follows: list[bool] = []  # by follower: whether the last action was a follow
    coming = iter(references)
    now_s = 0
    for gap_s, count in zip(times, per_time, strict=True):
        now_s += gap_s
        for _, reference in zip(range(count), coming, strict=False):
            if reference <= NEW_UNFOLLOWS:
                index = len(follows)
                follows.append(reference == NEW_FOLLOWS)
            else:
                index = len(follows) + 1 - reference
                follows[index] = not follows[index]
            yield ChannelEvent(ids[index], follows[index], now_s)


def _to_planes(column: array[int]) -> bytes:
    octets = _little_endian(column).tobytes()
    return b"".join(octets[plane::4] for plane in range(4))


def _from_planes(planes: bytes) -> array[int]:
    length = len(planes) // 4
    octets = bytearray(len(planes))
    for plane in range(4):
        octets[plane::4] = planes[plane * length : (plane + 1) * length]
    column = array("I")
    column.frombytes(octets)
    return _little_endian(column)


def _little_endian(column: array[int]) -> array[int]:
    assert column.itemsize == 4, "array('I') has four bytes wherever CPython runs"  # noqa: PLR2004
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column
