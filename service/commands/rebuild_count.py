"""Counts the input again with the engine, up to the first record that was not counted. Pure.

    offsets   [start ------------ counted_to)[ duplicates, heartbeats )[first event not counted
               counted, results say so        the same counted or not   the position

After the last record that a result names, only duplicates and heartbeats can have been counted. It
is unknown how many of them were. This does not matter: they change the counts and the watermark,
and no published result. So the rebuilt position is after all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from service.commands.rebuild_traces import Traces
from service.contract.input_record import Forget, RawRecord, read
from service.contract.results import Source
from service.contract.rule_versions import Ranges, version_at
from service.counting import Checkpoint, Counts, Engine, Rules
from service.counting.checkpoint import MOST_UNFORESEEN, SweepPosition


class Counted(NamedTuple):
    """The state of a partition at a position, without what is in the rows."""

    position: int
    watermark_ms: int
    counts: Counts


def checkpoint_of(
    counted: Counted,
    traces: Traces,
    settings: Mapping[str, str | int],
    ranges: Ranges,
    *,
    is_cut: bool,
) -> Checkpoint:
    """Combine what was counted with what the results show. `is_cut`: see `Traces.sweep`."""
    return Checkpoint(
        counted.position,
        counted.watermark_ms,
        counted.counts,
        traces.sweep(counted.watermark_ms, is_cut=is_cut),
        settings,
        rows=len(traces.rows),
        rules=ranges,
        skipped=traces.skipped,
        unforeseen=tuple(sorted(traces.unforeseen))[-MOST_UNFORESEEN:],
    )


class _Engine(Engine):
    """Continues by another version of the rules, as after an upgrade."""

    def go_on_by(self, version: int) -> None:
        self._version = version


class Recount:
    """Feed it the input in order from its start, without the skipped ranges."""

    def __init__(
        self, rules: Rules, source: Source, start: int, ranges: Ranges, traces: Traces
    ) -> None:
        """`start`: first offset of the log; if it is above 0, retention has cut the log."""
        version = version_at(ranges, start)
        self._engine = _Engine(rules, source, ranked=(), version=version)
        fresh = Checkpoint(start, -1, Counts(), SweepPosition(), {}, rules=((start, version),))
        self._engine.restore(fresh)
        self._start = start
        self._ranges = ranges
        self._traces = traces
        self._unforeseen = 0
        self._stopped: Counted | None = None

    def feed(self, records: Sequence[RawRecord]) -> bool:
        """Count records. Return False if one of them was not counted before: it is the next one."""
        counted_to = self._traces.counted_to
        named = [record for record in records if record.offset < counted_to]
        self._count(named)
        return all(self._goes_on_over(record) for record in records[len(named) :])

    def counted(self, end: int) -> Counted:
        """Return the state of the counting. `end`: the end of the log, if no record stopped it."""
        found = self._stopped or Counted(end, self._engine.watermark_ms, self._engine.counts)
        ranges = self._traces.skipped
        stepped_over = sum(stop - max(first, self._start) for first, stop, _ in ranges
                           if stop > self._start)  # fmt: skip
        rejected = found.counts.rejected + self._unforeseen + stepped_over
        counts = msgspec.structs.replace(found.counts, rejected=rejected)
        watermark = found.watermark_ms
        if self._is_cut:
            watermark = max(watermark, self._traces.reached_ms)
        return Counted(found.position, watermark, counts)

    @property
    def _is_cut(self) -> bool:
        return self._start > 0

    def _count(self, records: Sequence[RawRecord]) -> None:
        """Count what was counted by the results.

        Records that could not be judged are not judged now.
        """
        unforeseen = self._traces.unforeseen
        judged = [record for record in records if record.offset not in unforeseen]
        self._unforeseen += len(records) - len(judged)
        for version, some in groupby(judged, lambda one: version_at(self._ranges, one.offset)):
            self._apply(list(some), version)
        while self._engine.has_unsealed:
            self._engine.seal()

    def _apply(self, records: list[RawRecord], version: int) -> None:
        self._engine.go_on_by(version)
        self._engine.apply(records, records[-1].offset + 1)

    def _goes_on_over(self, record: RawRecord) -> bool:
        """Count a record that no result names, unless it would leave a trace.

        A record that would leave a trace was not counted. The exception: event time was further, so
        that its row has ended.
        """
        engine = self._engine
        before = Counted(record.offset, engine.watermark_ms, engine.counts)
        version = version_at(self._ranges, record.offset)
        self._apply([record], version)
        is_known = self._is_cut or before.watermark_ms >= self._traces.reached_ms
        if is_known and self._leaves_trace(record, version, before.counts):
            self._stopped = before
            return False
        return True

    def _leaves_trace(self, record: RawRecord, version: int, before: Counts) -> bool:
        counts = self._engine.counts
        if counts.total - before.total == _traceless(counts) - _traceless(before):
            return False
        is_forget = isinstance(read(record, version), Forget)
        return not (is_forget and record.key not in self._traces.rows)


def _traceless(counts: Counts) -> int:
    return counts.duplicate + counts.heartbeat
