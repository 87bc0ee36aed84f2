"""What a stream client has seen, as the `id` of its last event: it resumes at any worker.

    1.7:1024:1730000000000,3:...      version; partition, applied offset, watermark (-1: none)

Rows are functions of the log: a row whose last record lies before the offset, and whose windows no
watermark has closed since, is as it was.
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
    """A point of one partition's log."""

    applied_offset: int
    watermark_ms: int


Seen = dict[int, Moment]
"""By partition."""


def moments(shards: Iterable[ShardStatus]) -> Seen:
    """Where the shards that have answered stand."""
    return {
        shard.partition: Moment(
            shard.freshness.applied_offset,
            -1 if shard.freshness.watermark_ms is None else shard.freshness.watermark_ms,
        )
        for shard in shards
        if shard.freshness is not None
    }


def to_id(seen: Seen) -> str:
    """Encode."""
    entries = (f"{partition}:{at[0]}:{at[1]}" for partition, at in sorted(seen.items()))
    return _VERSION + ",".join(entries)


def from_id(text: str) -> Seen:
    """Decode; what is not ours means: nothing seen."""
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
    """Tell whether who saw `before` knows a row whose last record is at `row_offset`."""
    if before is None or row_offset >= before.applied_offset:
        return False
    return all(
        (before.watermark_ms - after_ms) // grain.size_ms
        == (watermark_ms - after_ms) // grain.size_ms
        for grain in grains
        for after_ms in (grain.grace_ms, grain.keep_ms)
    )
