"""Finds in the four result topics of a partition which input was counted. Pure.

    row        offset of the last input record in it; its windows
    window     was final, so event time had reached that point
    late       offset of the input record, and the watermark when it came
    rejected   offset of the input record; skipped ranges; records that could not be judged

A duplicate and a heartbeat leave no trace. Counting them again changes no result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import msgspec

from service.commands.rebuild_sweep import FirstSweep, SweepGapError, Swept, sweep_position
from service.contract.input_record import Reason
from service.contract.results import WindowResult, decode_row
from service.contract.skipped_ranges import Skipped
from service.counting import Rules
from service.counting.checkpoint import SweepPosition
from service.counting.sweep import NEVER_MS, Sweep
from service.errors import RefusedError

_RANGE: Final = re.compile(r"offsets (\d+) to (\d+): (.*)")
_decode_window: Final = msgspec.json.Decoder(WindowResult).decode
_SETTINGS: Final = "use the settings that the workers had (NETFOLLOWERS_GRAINS)"

WindowKey = tuple[bytes, str, int]
"""account, grain, start"""


class Result(Protocol):
    """A record of a result topic."""

    @property
    def offset(self) -> int:
        """Of the record itself."""

    @property
    def key(self) -> bytes | None:
        """Its key."""

    @property
    def value(self) -> bytes | None:
        """Its value."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Its headers."""


class Traces:
    """Takes all rows first, then the other results, each topic in its order.

    RefusedError if a record is not from a worker.
    """

    def __init__(self, rules: Rules) -> None:
        """`rules`: of the workers."""
        self.rows: dict[bytes, bytes] = {}
        self.counted_to = 0
        """Offset after the last input record that a result names."""
        self.reached_ms = NEVER_MS
        """The watermark was at least this time."""
        self.skipped: Skipped = ()
        self.unforeseen: set[int] = set()
        self.has_results = False
        self._spans = {one.name: one.size_ms + one.grace_ms for one in rules.grains}
        self._sweep = Sweep(rules.sweep_buckets)
        self._newest_final_ms = NEVER_MS
        self._first_sweep = FirstSweep()
        self._published: dict[WindowKey, bool] = {}

    def see_row(self, record: Result) -> None:
        """Take a record of the updates topic."""
        self.has_results = True
        key = record.key or b""
        if record.value is None:
            self.rows.pop(key, None)
            return
        try:
            row = decode_row(record.value)
        except msgspec.DecodeError as error:
            message = f"offset {record.offset} of the updates topic holds no row ({error})"
            raise RefusedError(message) from None
        self.rows[key] = record.value
        self._note(row.offset, row.last_event_ms)

    def rows_are_read(self) -> None:
        """Note the windows that the rows have now.

        For these it matters whether they are published.
        """
        for key, value in self.rows.items():
            for grain, windows in decode_row(value).windows.items():
                self._span(grain)
                self._published |= {(key, grain, window[0]): False for window in windows}

    def see_window(self, record: Result) -> None:
        """Take a record of the windows topic."""
        self.has_results = True
        key = record.key or b""
        try:
            result = _decode_window(record.value or b"")
        except msgspec.DecodeError as error:
            message = f"offset {record.offset} of the windows topic holds no result ({error})"
            raise RefusedError(message) from None
        final_at = result.start_ms + self._span(result.grain)
        self._note(-1, final_at)
        self._newest_final_ms = max(self._newest_final_ms, final_at)
        if result.revision == 0:
            self._first_sweep.see(final_at, self._sweep.bucket_of(key))
        if (place := (key, result.grain, result.start_ms)) in self._published:
            self._published[place] = True

    def see_late(self, record: Result) -> None:
        """Take a record of the late topic."""
        self.has_results = True
        labels = _labels(record)
        watermark = int(labels.get("netfollowers-watermark-ms", NEVER_MS))
        self._note(_source_offset(labels, record), watermark)

    def see_rejected(self, record: Result) -> None:
        """Take a record of the rejected topic."""
        self.has_results = True
        labels = _labels(record)
        offset = _source_offset(labels, record)
        self._note(offset, NEVER_MS)
        reason = labels.get("netfollowers-reason")
        if reason == Reason.UNFORESEEN:
            self.unforeseen.add(offset)
        elif reason == Reason.SKIPPED:
            found = _RANGE.fullmatch(labels.get("netfollowers-detail", ""))
            if found is None:
                message = f"the rejected record of offset {offset} does not say what was skipped"
                raise RefusedError(message)
            first, last, why = int(found[1]), int(found[2]), found[3]
            self.skipped = tuple(sorted({*self.skipped, (first, last + 1, why)}))
            self._note(last, NEVER_MS)

    def sweep(self, watermark_ms: int, *, is_cut: bool) -> SweepPosition:
        """Return the position of the sweeps at a watermark. `is_cut`: the oldest results are gone.

        Windows that such a topic cannot show count as published.
        """
        known_ms = self._known_ms(watermark_ms) if is_cut else NEVER_MS
        newest = max(self._newest_final_ms, known_ms)
        try:
            return sweep_position(
                self._windows(known_ms), watermark_ms=watermark_ms, newest_final_ms=newest
            )
        except SweepGapError as gap:
            message = f"the windows topic lacks results: {gap}"
            raise RefusedError(message) from None

    def _known_ms(self, watermark_ms: int) -> int:
        """Return the time up to which all final windows count as published, in a cut topic."""
        if self._newest_final_ms == NEVER_MS:
            return watermark_ms
        first = self._first_sweep
        return first.reached_ms if first.is_over else self._newest_final_ms

    def _windows(self, known_ms: int) -> Iterator[Swept]:
        for (key, grain, start), is_found in self._published.items():
            final_at = start + self._spans[grain]
            yield Swept(final_at, self._sweep.bucket_of(key), is_found or final_at <= known_ms)

    def _note(self, offset: int, time_ms: int) -> None:
        self.counted_to = max(self.counted_to, offset + 1)
        self.reached_ms = max(self.reached_ms, time_ms)

    def _span(self, grain: str) -> int:
        span = self._spans.get(grain)
        if span is None:
            message = f"the results have windows of {grain}, these settings do not: {_SETTINGS}"
            raise RefusedError(message)
        return span


def _labels(record: Result) -> dict[str, str]:
    return {name: (value or b"").decode(errors="replace") for name, value in record.headers}


def _source_offset(labels: dict[str, str], record: Result) -> int:
    text = labels.get("netfollowers-source-offset", "")
    if not text.isdecimal():
        message = f"offset {record.offset} of a result topic does not say where it comes from"
        raise RefusedError(message)
    return int(text)
