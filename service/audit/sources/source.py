"""What an audit reads: a broker (`kafka.py`), or files that were dumped from one (`files.py`).

It reads one partition after the other. For each it first takes a snapshot: what was committed, and
where each topic ended at that moment. Later records do not concern the audit.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from service.audit.model.input_record import LogRecord
from service.audit.published import Committed

INPUT: Final = "input"
KINDS: Final = (INPUT, "updates", "windows", "late", "rejected")

Topics = Mapping[str, str]
"""Name of each kind of topic (KINDS)."""


class Extent(NamedTuple):
    """Offsets [start, stop) of one partition of one topic."""

    start: int
    stop: int


class Snapshot(NamedTuple):
    """One partition at one moment. `is_stamped`: the broker set the log times of the input."""

    partition: int
    committed: Committed | None
    extents: Mapping[str, Extent]
    is_stamped: bool = True

    @property
    def counted(self) -> Extent:
        """The input that the commit covers; all of it if there is no commit."""
        extent = self.extents[INPUT]
        if self.committed is None:
            return extent
        return Extent(extent.start, max(extent.start, min(self.committed.position, extent.stop)))


class AuditSourceError(Exception):
    """The source cannot be read as requested. The text says why."""


class Source(Protocol):
    """Committed records only, in the order of their offsets."""

    @property
    def topics(self) -> Topics:
        """Topic names by kind."""

    @property
    def at_least_once(self) -> bool:
        """True if results may repeat."""

    async def partitions(self) -> int:
        """Return the number of partitions. AuditSourceError if the topics differ."""

    async def snapshot(self, partition: int) -> Snapshot:
        """Take a moment at which the commit and the results belong together."""

    def records(self, kind: str, partition: int, extent: Extent) -> AsyncIterator[list[LogRecord]]:
        """Yield the records in batches."""

    async def end(self, kind: str, partition: int) -> int:
        """Return the offset after what can be read now. It may be later than in the snapshot."""


def parts_of(extent: Extent, skipped: Iterable[tuple[int, int]]) -> Iterator[Extent]:
    """Yield the readable parts of an extent: all but the ranges that were stepped over."""
    start = extent.start
    for first, stop in skipped:
        if start < min(first, extent.stop):
            yield Extent(start, min(first, extent.stop))
        start = max(start, stop)
    if start < extent.stop:
        yield Extent(start, extent.stop)


async def input_of(
    source: Source, partition: int, extent: Extent, skipped: Sequence[tuple[int, int]]
) -> AsyncIterator[list[LogRecord]]:
    """Yield the input. A range that was stepped over is one record without bytes, at its start."""
    ranges = [one for one in skipped if extent.start <= one[0] < extent.stop]
    for part in parts_of(extent, skipped):
        while ranges and ranges[0][0] < part.start:
            yield [LogRecord(ranges.pop(0)[0], -1, None, None, [])]
        async for batch in source.records(INPUT, partition, part):
            yield batch
    for first, _ in ranges:
        yield [LogRecord(first, -1, None, None, [])]
