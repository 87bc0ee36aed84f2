"""Finds the checkpoint that fits the results and the input, and lets the audit judge it.

Two implementations must agree. The engine counts the input again. The audit, which shares no code
with it, compares its own numbers with that checkpoint and with all that was published.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from service.audit.published import Committed
from service.audit.run import Begin, Report, audit
from service.audit.sources.source import INPUT, Extent, Snapshot, Source, Topics
from service.commands.rebuild_count import Counted, Recount, checkpoint_of
from service.commands.rebuild_traces import Result, Traces
from service.contract.results import Source as Place
from service.contract.rule_versions import CURRENT, Ranges
from service.contract.skipped_ranges import around
from service.counting import Checkpoint
from service.errors import RefusedError
from service.kafka.aiokafka_ext.batches import UnpackError
from service.runtime.journal_kafka import KafkaJournal
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """A checkpoint to commit, the findings of the audit, and what remains unknown."""

    checkpoint: Checkpoint
    report: Report
    unknown: list[str] = field(default_factory=list)


class Proposed:
    """The source of an audit, with a checkpoint instead of the group's commit."""

    def __init__(self, source: Source, snapshot: Snapshot, checkpoint: Checkpoint) -> None:
        """`snapshot`: of the partition of the checkpoint."""
        committed = Committed(checkpoint.position, checkpoint.to_metadata())
        self._source = source
        self._snapshot = snapshot._replace(committed=committed)
        self.topics: Final[Topics] = source.topics
        self.at_least_once: Final = source.at_least_once
        self.partitions = source.partitions
        self.records = source.records
        self.end = source.end

    async def snapshot(self, _: int) -> Snapshot:
        """Return the snapshot that was taken before."""
        return self._snapshot


@dataclass(slots=True)
class Planner:
    """Plans one partition. `settings`: of the workers. `partitions`: of the input."""

    settings: Settings
    partitions: int
    source: Source
    journal: KafkaJournal
    begin: Begin

    async def plan(self, ranges: Ranges | None, before: Checkpoint | None) -> Plan | None:
        """Return the first plan with which the audit agrees, else the first plan.

        `ranges`: versions of the rules, if they are known. `before`: the worker's checkpoint that
        is replaced. Returns None if nothing was ever counted. Refused: the text names what is
        missing.
        """
        snapshot = await self.source.snapshot(self.journal.source.partition)
        traces = await read_traces(self.source, snapshot, self.settings)
        if snapshot.committed is None and not traces.has_results:
            return None
        if before is not None:
            traces.skipped = tuple(sorted({*traces.skipped, *before.skipped}))
            traces.unforeseen |= set(before.unforeseen)
            ranges = ranges or before.rules
        tried = [ranges] if ranges else [((0, one),) for one in range(CURRENT, 0, -1)]
        plans: list[Plan] = []
        for one in tried:
            plans.append(await self._plan(snapshot, traces, one))
            if plans[-1].report.is_published:
                return plans[-1]
        return plans[0]

    async def _plan(self, snapshot: Snapshot, traces: Traces, ranges: Ranges) -> Plan:
        counted = await self._recount(snapshot.extents[INPUT], traces, ranges)
        is_cut = snapshot.extents["windows"].start > 0
        ranges = begun(ranges, counted.position)
        settings = self.settings.fingerprint(self.partitions)
        checkpoint = checkpoint_of(counted, traces, settings, ranges, is_cut=is_cut)
        proposed = Proposed(self.source, snapshot, checkpoint)
        report = await audit(proposed, only=snapshot.partition, begin=self.begin)
        return Plan(checkpoint, report, self._unknown(snapshot, checkpoint))

    async def _recount(self, extent: Extent, traces: Traces, ranges: Ranges) -> Counted:
        tp = self.journal.source
        check_log(tp.topic, extent, traces)
        place = Place(tp.topic, tp.partition)
        recount = Recount(self.settings.rules, place, extent.start, ranges, traces)
        watch = self.begin(f"partition {tp.partition}, counted again", extent.stop - extent.start)
        parts = around(traces.skipped, extent.start, extent.stop)
        end = extent.stop
        try:
            async with aclosing(self.journal.input(parts)) as batches:
                async for records in batches:
                    watch(len(records))
                    if not recount.feed(records):
                        break
        except UnpackError as error:
            if error.offset < traces.counted_to:
                message = (
                    f"{error}. No rejected record says that it was stepped over, and what lies "
                    "behind it was counted: the rejected topic no longer holds what is needed"
                )
                raise RefusedError(message) from None
            end = error.offset  # no worker has come past it either
        counted = recount.counted(end)
        if counted.watermark_ms < traces.reached_ms:
            message = (
                f"the results speak of the time {traces.reached_ms}, which no record of "
                f"{tp.topic} reaches: its log is not the one that was counted"
            )
            raise RefusedError(message)
        return counted

    def _unknown(self, snapshot: Snapshot, checkpoint: Checkpoint) -> list[str]:
        start = snapshot.extents[INPUT].start
        lines = []
        if start > 0:
            lines.append(
                f"the log begins at offset {start}: the five counts begin there too, and the "
                "watermark is the latest time that the log and the results know"
            )
            if start > checkpoint.position - 2 * self.settings.dedup_generation:
                lines.append(
                    f"an event before offset {start} that is sent again may count twice, as after "
                    "any restart"
                )
        if snapshot.extents["windows"].start > 0:
            lines.append(
                "the windows topic has lost its oldest results: windows of that time are taken "
                "for published"
            )
        return lines


def begun(ranges: Ranges, position: int) -> Ranges:
    """Leave out versions that begin after a position. The next worker's version begins there."""
    return (ranges[0], *(one for one in ranges[1:] if one[0] <= position))


def check_log(topic: str, extent: Extent, traces: Traces) -> None:
    """RefusedError: the log does not reach from what was counted to what comes next."""
    if extent.stop < traces.counted_to:
        message = (
            f"the results name offset {traces.counted_to - 1}, and the log of {topic} ends at "
            f"{extent.stop}: it was deleted and created again, or has lost records"
        )
        raise RefusedError(message)
    if traces.has_results and extent.start > traces.counted_to:
        message = (
            f"the log of {topic} begins at {extent.start}, and the results name no offset after "
            f"{traces.counted_to - 1}: it cannot be known what was counted of the records between"
        )
        raise RefusedError(message)


async def read_traces(source: Source, snapshot: Snapshot, settings: Settings) -> Traces:
    """Read the four result topics of a partition."""
    traces = Traces(settings.rules)

    async def read(kind: str, see: Callable[[Result], None]) -> None:
        batches: AsyncIterator[list[Result]] = source.records(  # type: ignore[assignment]
            kind, snapshot.partition, snapshot.extents[kind]
        )
        async for batch in batches:
            for record in batch:
                see(record)

    await read("updates", traces.see_row)
    traces.rows_are_read()
    await read("windows", traces.see_window)
    await read("late", traces.see_late)
    await read("rejected", traces.see_rejected)
    return traces
