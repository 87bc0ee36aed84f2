"""What a stream client has seen, as the `id` of its last event.

The client can resume at any worker.

    1.7:1024:1730000000000,3:...      version; partition, applied offset, watermark (-1: no event)

A row depends only on the log. It is unchanged if its last record is before the offset, and if no
watermark since then has closed or dropped one of its windows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from service.web.responses import GrainRule, ShardStatus

_VERSION: Final = "1."
_ENTRY: Final = re.compile(r"(\d{1,5}):(\d{1,18}):(-1|\d{1,18})", re.ASCII)
_MOST_CHARS: Final = 7_000


class Moment(NamedTuple):
    """A point in the log of one partition."""

    applied_offset: int
    watermark_ms: int


Seen = dict[int, Moment]
"""By partition."""


def moments(shards: Iterable[ShardStatus]) -> Seen:
    """Return the point of each shard that has answered."""
    return {
        shard.partition: Moment(
            shard.freshness.applied_offset,
            -1 if shard.freshness.watermark_ms is None else shard.freshness.watermark_ms,
        )
        for shard in shards
        if shard.freshness is not None
    }


def to_id(seen: Seen) -> str:
    """Encode the points as an event id."""
    entries = (f"{partition}:{at[0]}:{at[1]}" for partition, at in sorted(seen.items()))
    return _VERSION + ",".join(entries)


def from_id(text: str) -> Seen:
    """Decode an event id. Return {} for an id that this service did not write."""
    if not text.startswith(_VERSION) or len(text) > _MOST_CHARS:
        return {}
    matches = [_ENTRY.fullmatch(entry) for entry in text.removeprefix(_VERSION).split(",")]
    return {
        int(match[1]): Moment(int(match[2]), int(match[3]))
        for match in matches
        if match is not None
    }


def is_same(
    before: Moment | None, row_offset: int, watermark_ms: int, grains: Sequence[GrainRule]
) -> bool:
    """Tell whether a client that saw `before` knows the row with its last record there."""
    if before is None or row_offset >= before.applied_offset:
        return False
    return all(
        (before.watermark_ms - after_ms) // grain.size_ms
        == (watermark_ms - after_ms) // grain.size_ms
        for grain in grains
        for after_ms in (grain.grace_ms, grain.keep_ms)
    )
