"""What a restart needs besides the rows, and what a seal gives to the journal. Immutable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from service.contract.results import Output, ResultRecord, ResultTopics, Target, Update
from service.contract.rule_versions import BEFORE_RANGES, Ranges
from service.contract.skipped_ranges import Skipped

METADATA_VERSION: Final = 1
MAX_METADATA_BYTES: Final = 4_095
MOST_UNFORESEEN: Final = 20
SAMPLED_KEYS: Final = 8
"""Number of changed accounts of a seal whose partitioner is looked at."""


class Counts(msgspec.Struct, frozen=True, gc=False):
    """The five outcomes of a partition's records; they sum to the number of records seen."""

    applied: int = 0
    late: int = 0
    duplicate: int = 0
    rejected: int = 0
    heartbeat: int = 0

    @property
    def total(self) -> int:
        """Records seen."""
        return self.applied + self.late + self.duplicate + self.rejected + self.heartbeat


class SweepPosition(msgspec.Struct, frozen=True, gc=False):
    """The position of the sweep (see `sweep.py`). Times in epoch ms, -1 before the first sweep."""

    closed_to_ms: int = -1
    closing_to_ms: int = -1
    bucket: int = 0


class _Metadata(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The JSON that is committed with the offset; under 4,096 bytes."""

    v: int
    watermark_ms: int | None
    counts: Counts
    sweep: SweepPosition
    settings: dict[str, str | int]
    rows: int | None = None
    rules: Ranges = BEFORE_RANGES
    skipped: Skipped = ()
    unforeseen: tuple[int, ...] = ()


class Checkpoint(msgspec.Struct, frozen=True, gc=False):
    """A position in the log, and all state there that is not in the rows.

    `position`: offset of the next record. `watermark_ms`: -1 before the first event. `settings`:
    the fingerprint of what changes results. `rows`: number of rows in the table; None in a
    checkpoint of a version that did not store it. `rules`: which version judged which offsets.
    `skipped`: ranges that an operator has stepped over. `unforeseen`: offsets of records that no
    restart may remember, because an error prevented their judgement; the newest MOST_UNFORESEEN.
    """

    position: int
    watermark_ms: int
    counts: Counts
    sweep: SweepPosition
    settings: Mapping[str, str | int]
    rows: int | None = None
    rules: Ranges = BEFORE_RANGES
    skipped: Skipped = ()
    unforeseen: tuple[int, ...] = ()

    def to_metadata(self) -> str:
        """Encode all except the position as JSON."""
        watermark = self.watermark_ms if self.watermark_ms >= 0 else None
        settings = dict(self.settings)
        metadata = msgspec.json.encode(
            _Metadata(
                METADATA_VERSION,
                watermark,
                self.counts,
                self.sweep,
                settings,
                self.rows,
                self.rules,
                self.skipped,
                self.unforeseen,
            )
        )
        assert len(metadata) <= MAX_METADATA_BYTES, len(metadata)
        return metadata.decode()

    @classmethod
    def from_metadata(cls, position: int, text: str) -> Checkpoint:
        """Decode. ValueError if the text is of another format or version."""
        found = msgspec.json.decode(text, type=_Metadata)
        if found.v != METADATA_VERSION:
            message = f"checkpoint metadata of version {found.v}, not {METADATA_VERSION}"
            raise ValueError(message)
        starts = [start for start, _ in found.rules]
        if not starts or starts != sorted(set(starts)):
            message = f"checkpoint metadata with rules {found.rules!r}"
            raise ValueError(message)
        watermark = -1 if found.watermark_ms is None else found.watermark_ms
        return cls(
            position,
            watermark,
            found.counts,
            found.sweep,
            found.settings,
            found.rows,
            found.rules,
            found.skipped,
            found.unforeseen,
        )


class Publisher(NamedTuple):
    """Where counting writes and how its checkpoints are read, for a journal without an engine."""

    topics: ResultTopics

    @property
    def table_topics(self) -> tuple[str, ...]:
        """The one table: a row for each account."""
        return (self.topics.updates,)

    @property
    def output_topics(self) -> tuple[str, ...]:
        """Updates, windows, late, rejected."""
        return self.topics

    def decode_checkpoint(self, position: int, metadata: str) -> Checkpoint:
        """Decode; ValueError when it is not counting's."""
        return Checkpoint.from_metadata(position, metadata)


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """What one transaction makes durable: the records of each result topic, and the checkpoint.

    `updates` and `windows` have no headers. An update without a value removes the row.
    """

    checkpoint: Checkpoint
    topics: ResultTopics
    updates: list[Update]
    windows: list[tuple[bytes, bytes]]
    late: list[ResultRecord]
    rejected: list[ResultRecord]

    @property
    def records(self) -> int:
        """Result records in it."""
        return len(self.updates) + len(self.windows) + len(self.late) + len(self.rejected)

    @property
    def outputs(self) -> Mapping[Target, Output]:
        """The records by topic, in the order of at least once: the rows come last."""
        topics = self.topics
        return {
            topics.windows: self.windows,
            topics.late: self.late,
            topics.rejected: self.rejected,
            topics.updates: self.updates,
        }

    @property
    def sampled_keys(self) -> Sequence[bytes]:
        """A few of the accounts that have changed."""
        return [key for key, _ in self.updates[:SAMPLED_KEYS]]
