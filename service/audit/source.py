"""Where an audit reads from: a broker (`kafka.py`) or files that were dumped from one (`files.py`).

Partition by partition; of each first a snapshot: what was committed, and how far each topic reached
when it was. What comes later does not concern the audit.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from service.audit.arrival import LogRecord
from service.audit.published import Committed

INPUT: Final = "input"
KINDS: Final = (INPUT, "updates", "windows", "late", "rejected")

Topics = Mapping[str, str]
"""Kind, one of KINDS -> name."""


class Extent(NamedTuple):
    """Offsets [start, stop) of one partition of one topic."""

    start: int
    stop: int


class Snapshot(NamedTuple):
    """One partition at one moment. `is_stamped`: the input's log times are the broker's."""

    partition: int
    committed: Committed | None
    extents: Mapping[str, Extent]
    is_stamped: bool = True

    @property
    def counted(self) -> Extent:
        """The input that the commit covers; all of it when there is none."""
        extent = self.extents[INPUT]
        if self.committed is None:
            return extent
        return Extent(extent.start, max(extent.start, min(self.committed.position, extent.stop)))


class AuditSourceError(Exception):
    """The source is not what was asked for; the message says how."""


class Source(Protocol):
    """Committed records only, in the order of their offsets."""

    @property
    def topics(self) -> Topics:
        """Names by kind."""

    @property
    def at_least_once(self) -> bool:
        """True when results may repeat."""

    async def partitions(self) -> int:
        """Count the partitions, the same of every topic. AuditSourceError: they differ."""

    async def snapshot(self, partition: int) -> Snapshot:
        """Take a moment at which commit and results belong together."""

    def records(self, kind: str, partition: int, extent: Extent) -> AsyncIterator[list[LogRecord]]:
        """Yield what is there, in batches."""

    async def end(self, kind: str, partition: int) -> int:
        """Offset after what can be read now: later than the snapshot's, if there is more."""


def parts_of(extent: Extent, skipped: Iterable[tuple[int, int]]) -> Iterator[Extent]:
    """Yield what can be read of an extent: all but the ranges that were stepped over."""
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
    """Yield the input; a range that was stepped over is one record without bytes, at its first."""
    ranges = [one for one in skipped if extent.start <= one[0] < extent.stop]
    for part in parts_of(extent, skipped):
        while ranges and ranges[0][0] < part.start:
            yield [LogRecord(ranges.pop(0)[0], -1, None, None, [])]
        async for batch in source.records(INPUT, partition, part):
            yield batch
    for first, _ in ranges:
        yield [LogRecord(first, -1, None, None, [])]
