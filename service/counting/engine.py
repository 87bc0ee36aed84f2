"""The counting engine of one partition: the hot loop and the verbs around it.

    restore(checkpoint) -> load(rows)... -> remember(records)... -> apply(records)... -> seal()...

`apply` takes raw records and never raises because of their contents. Each record is applied, late,
duplicate, rejected or a heartbeat, and the five counts sum to the records seen. `seal` returns what
changed since the last seal. Both run to completion. Nothing is published in any other way.

What must hold (G3): three things depend only on the log prefix and the rules, whatever the batches,
seals and restarts. These are the totals, the content of every (account, grain, start, revision),
and the last revision of every window whose keep has ended.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final

from service.contract.input_record import (
    PLAIN_BYTES,
    Baseline,
    Forget,
    Heartbeat,
    PlainEvent,
    RawRecord,
    Reason,
    Rejection,
    decode_plain,
    is_plain_though_long,
    judge,
    read,
)
from service.contract.results import (
    ResultRecord,
    ResultTopics,
    Source,
    Update,
    Window,
    WindowResult,
    encode,
    late_record,
    rejected_record,
)
from service.contract.rule_versions import (
    ACTION_IS_PART_OF_THE_ID,
    BASELINES_HAVE_A_TIME,
    CURRENT,
    Ranges,
    continued,
    version_at,
)
from service.contract.skipped_ranges import Skipped
from service.counting.checkpoint import (
    MOST_UNFORESEEN,
    Checkpoint,
    Counts,
    Publisher,
    Sealed,
    SweepPosition,
)
from service.counting.leaders import Leaders
from service.counting.row_expiry import Endings
from service.counting.rows import (
    GAINED,
    LOST,
    REVISION,
    Row,
    from_record,
    new_row,
    pack,
    to_record,
    unpack,
    window_at,
    windows_by_name,
)
from service.counting.rules import Rules, differences
from service.counting.seen_ids import BIT_OF, UNFOLLOWED, SeenIds
from service.counting.sweep import NEVER_MS, Sweep

SLICE_WINDOWS: Final = 20_000
"""One slice: the number of final windows that a seal publishes. The next seal publishes more."""
OPENED_PER_SLICE: Final = 20_000
"""A seal publishes one more slice for each time that its records may have opened this many windows.

So waiting windows do not pile up when event time runs faster than the clock.
"""
LONG_ROW_WINDOWS: Final = 4_096
"""A changed row with more windows is not left to the next seal: it would outgrow a message."""

NO_DEFAULTS: Final[Mapping[str, str | int]] = MappingProxyType({})
"""Of an engine in memory, whose checkpoints are its own."""


class Tally:
    """Counts of what happened since the engine was made, for metrics. Decides nothing."""

    __slots__ = (
        "baselines_ignored",
        "baselines_uncertain",
        "clamped",
        "expired_on_arrival",
        "finals",
        "followed",
        "ids_under_two_accounts",
        "ids_with_two_actions",
        "late_by_grain",
        "rejected_by_reason",
        "revisions",
        "unfollowed",
        "unforeseen",
    )

    def __init__(self) -> None:
        """Start with all counts at 0."""
        self.clamped = 0
        self.baselines_ignored = self.baselines_uncertain = 0
        self.expired_on_arrival = 0
        self.ids_under_two_accounts = 0
        self.ids_with_two_actions = 0
        self.followed = 0
        self.unfollowed = 0
        self.finals = 0
        self.revisions = 0
        self.late_by_grain: Counter[str] = Counter()
        self.rejected_by_reason: Counter[str] = Counter()
        self.unforeseen = ""
        """The first record that could not be judged: its offset, and the error."""


class Engine:
    """Counts one partition of the input. Mutable; belongs to one shard."""

    def __init__(  # noqa: PLR0913 - keyword-only, each with its default
        self,
        rules: Rules,
        source: Source,
        *,
        topics: ResultTopics = ResultTopics(),  # noqa: B008 - it is immutable
        settings: Mapping[str, str | int] | None = None,
        defaults: Mapping[str, str | int] = NO_DEFAULTS,
        ranked: Iterable[str] = ("1h",),
        version: int = CURRENT,
    ) -> None:
        """`source`: named in late and rejected records. `settings`: written into each checkpoint.

        `topics`: what the result topics are called. `defaults`: what a fingerprint that lacks a
        setting means by it.

        `ranked`: names of the grains whose leaders are kept. `version`: of the rules; a worker
        counts by the current one.
        """
        self.rules = rules
        self.tally = Tally()
        self._source = source
        self._publisher = Publisher(topics)
        self._defaults = defaults
        self._settings = dict(rules.fingerprint() if settings is None else settings)
        self._names = tuple(grain.name for grain in rules.grains)
        self._windows_of = windows_by_name(self._names)
        self._sizes = tuple(grain.size_ms for grain in rules.grains)
        self._spans = tuple(grain.size_ms + grain.grace_ms for grain in rules.grains)
        self._keeps = tuple(grain.size_ms + grain.keep_ms for grain in rules.grains)
        self._quiet_ms = min(grain.grace_ms for grain in rules.grains)
        self._finest, self._shared_ms = self._shared()
        self._position = 0
        self._sealed_position = 0
        self._version = version
        self._versions: Ranges = ((0, version),)
        self._skipped: Skipped = ()
        self._unforeseen: tuple[int, ...] = ()
        self._watermark_ms = NEVER_MS
        self._applied = self._late_count = self._duplicate = 0
        self._rejected_count = self._heartbeat = 0
        self._sweep = Sweep(rules.sweep_buckets)
        self._seen = SeenIds(rules.dedup_generation)
        self._endings = Endings(self._keeps, rules.expire_after_ms)
        self._table_gained = self._table_lost = 0
        self.leaders: Final = tuple(
            Leaders(
                index,
                grain.size_ms,
                grain.size_ms + grain.grace_ms,
                grain.size_ms + grain.keep_ms,
                is_kept=grain.name in ranked,
            )
            for index, grain in enumerate(rules.grains)
        )
        self._below_zero: set[bytes] = set()
        self._packed: dict[bytes, bytes] = {}
        self._awake: dict[bytes, Row] = {}
        self._corrected: dict[tuple[bytes, int, int], None] = {}
        self._late: list[ResultRecord] = []
        self._rejected: list[ResultRecord] = []

    def _shared(self) -> tuple[int, int]:
        """Return the smallest grain's index, and its size if it divides all other sizes (else 0).

        With such sizes the hot loop needs one comparison instead of one per grain, for an event
        within `quiet` of the watermark. An event that counts in its window of the smallest grain is
        late for no other grain, because keep >= grace >= quiet. And a newer window of another grain
        would need a newer event, which the smallest grain would have counted too.
        """
        smallest = min(self._sizes)
        does_nest = all(size % smallest == 0 for size in self._sizes)
        return self._sizes.index(smallest), smallest if does_nest else 0

    # ---- what the runtime asks (service/runtime/engine_port.py)

    @property
    def table_topics(self) -> tuple[str, ...]:
        """The one table: a row for each account."""
        return self._publisher.table_topics

    @property
    def output_topics(self) -> tuple[str, ...]:
        """Updates, windows, late, rejected."""
        return self._publisher.output_topics

    @property
    def unforeseen(self) -> str:
        """The first record that could not be judged: its offset and the error; empty without."""
        return self.tally.unforeseen

    def decode_checkpoint(self, position: int, metadata: str) -> Checkpoint:
        """Decode; ValueError when it is not counting's."""
        return self._publisher.decode_checkpoint(position, metadata)

    def initial_checkpoint(self, start: int) -> Checkpoint:
        """Make the checkpoint before the first record, at the log start of the input."""
        rules = ((start, self._version),)
        return Checkpoint(start, NEVER_MS, Counts(), SweepPosition(), self._settings, rules=rules)

    def differences(
        self, found: Mapping[str, str | int]
    ) -> list[tuple[str, str | int | None, str | int | None]]:
        """Compare a checkpoint's settings with these.

        Return (name, its value, own value), by name.
        """
        return differences(found, self._settings, self._defaults)

    def committed(self, checkpoint: Checkpoint) -> None:
        """Do nothing: the seal has already dropped what it sealed."""

    # ---- queries

    @property
    def position(self) -> int:
        """Offset of the next record."""
        return self._position

    @property
    def settings(self) -> Mapping[str, str | int]:
        """The fingerprint that is written into each checkpoint."""
        return self._settings

    @property
    def watermark_ms(self) -> int:
        """Largest event time seen, in epoch ms; -1 before the first event."""
        return self._watermark_ms

    @property
    def counts(self) -> Counts:
        """The five outcomes until now."""
        return Counts(
            applied=self._applied,
            late=self._late_count,
            duplicate=self._duplicate,
            rejected=self._rejected_count,
            heartbeat=self._heartbeat,
        )

    @property
    def accounts(self) -> int:
        """Number of rows in the table, without rows that were never sealed."""
        return len(self._packed)

    @property
    def awake(self) -> int:
        """Rows changed since the last seal."""
        return len(self._awake)

    @property
    def table_gained(self) -> int:
        """Sum of `gained` over all rows."""
        return self._table_gained

    @property
    def table_lost(self) -> int:
        """Sum of `lost` over all rows."""
        return self._table_lost

    @property
    def below_zero(self) -> AbstractSet[bytes]:
        """Accounts with fewer than 0 followers: their baseline and their changes contradict."""
        return self._below_zero

    @property
    def open_windows(self) -> int:
        """Number of windows in rows that are not published (or were, before a forget)."""
        return self._sweep.unpublished

    @property
    def remembered_ids(self) -> int:
        """Number of event ids that are remembered to recognise duplicates."""
        return len(self._seen.current) + len(self._seen.previous)

    def row(self, key: bytes) -> Row | None:
        """Return an account's row, or None. The caller must not change it."""
        row = self._awake.get(key)
        if row is None and (packed := self._packed.get(key)) is not None:
            row = unpack(packed)
        return row

    def packed_rows(self) -> list[bytes]:
        """Return all rows as they are stored, to measure them."""
        return list(self._packed.values())

    @property
    def has_unsealed(self) -> bool:
        """True if the position moved since the last seal, or if a seal would continue a sweep."""
        return (
            self._position != self._sealed_position
            or self._sweep.is_due(self._watermark_ms)
            or self._endings.is_due(self._watermark_ms)
        )

    # ---- restore

    def restore(self, checkpoint: Checkpoint) -> None:
        """Start from a checkpoint.

        Then `load` all rows, and `remember` the records from `replay_from` on.

        Records from its position on are judged by the rules of this version. RulesTooNewError
        if the checkpoint was counted by newer rules.
        """
        assert self._position == 0, "restore comes first"
        assert not self._packed, "restore comes first"
        self._position = self._sealed_position = checkpoint.position
        self._versions = continued(checkpoint.rules, checkpoint.position, self._version)
        self._skipped = checkpoint.skipped
        self._unforeseen = checkpoint.unforeseen
        self._watermark_ms = checkpoint.watermark_ms
        counts = checkpoint.counts
        self._applied, self._late_count = counts.applied, counts.late
        self._duplicate, self._rejected_count = counts.duplicate, counts.rejected
        self._heartbeat = counts.heartbeat
        self._sweep.closed_to_ms = checkpoint.sweep.closed_to_ms
        self._sweep.closing_to_ms = checkpoint.sweep.closing_to_ms
        self._sweep.bucket = checkpoint.sweep.bucket
        self._seen.turn(max(0, self.replay_from(checkpoint)))
        for leaders in self.leaders:
            leaders.restore(self._watermark_ms, self._sweep.closed_to_ms, self._sweep.closing_to_ms)

    def replay_from(self, checkpoint: Checkpoint) -> int:
        """Return the first offset of the log that `remember` must read again."""
        return self._seen.replay_from(checkpoint.position)

    def load(self, rows: Iterable[tuple[bytes, bytes]], table: str = "") -> int:  # noqa: ARG002
        """Load rows (key, value) of the one table, each key once.

        Return the largest row offset.
        """
        newest = -1
        sweep, does_expire = self._sweep, self.rules.expire_after_ms > 0
        waiting, closing_to, names = sweep.waiting, sweep.closing_to_ms, self._names
        kept = [leaders for leaders in self.leaders if leaders.is_kept]
        for key, value in rows:
            row = from_record(value, names)
            newest = max(newest, row.offset)
            self._packed[key] = pack(row)
            if does_expire or row.is_empty:
                self._endings.expect(key, row)
            self._table_gained += row.gained
            self._table_lost += row.lost
            if row.baseline is not None:
                self._look_at_followers(key, row, ())
            for leaders in kept:
                leaders.load(key, row)
            for windows, span in zip(row.windows, self._spans, strict=True):
                for window in windows:
                    final_at = window[0] + span
                    if final_at > closing_to:
                        waiting[final_at].append(key)
                    elif not sweep.is_published(final_at, key):
                        sweep.expect(final_at, key)
        return newest

    def remember(self, records: Iterable[RawRecord]) -> None:
        """Fill the seen ids again from records before the position, by the rules of their time."""
        for record in records:
            assert record.offset < self._position
            if record.offset in self._unforeseen:
                continue  # it was not counted: if it is sent again, it must not be a duplicate
            event = read(record, version_at(self._versions, record.offset))
            if isinstance(event, PlainEvent | Baseline | Forget):
                if record.offset >= self._seen.end:
                    self._seen.turn(record.offset)
                assert record.key is not None
                self._seen.note(event.event_id, record.key, BIT_OF[event.action])

    # ---- apply

    def apply(self, records: Sequence[RawRecord], position: int) -> None:  # noqa: C901, PLR0912, PLR0915
        """Count `records`; `position` is the offset after them, control records included.

        The one hot loop: locals, no calls for what is usual, and only that; the rest is in
        `judge`, `_behind` and `_other`. Any change here needs the benchmark before and after.
        """
        assert position >= self._position
        awake, sizes, spans = self._awake, self._sizes, self._spans
        finest, shared = self._finest, self._shared_ms
        waiting = self._sweep.waiting
        seen = self._seen
        current, previous, end = seen.current, seen.previous, seen.end
        watermark, quiet = self._watermark_ms, self._quiet_ms
        quiet_until = watermark - quiet
        max_ahead = self.rules.max_ahead_ms
        expire_after = self.rules.expire_after_ms
        does_expire = expire_after > 0
        duplicates = others = unfollowed = 0
        for record in records:
            offset = record.offset
            if offset >= end:
                seen.turn(offset)
                current, previous, end = seen.current, seen.previous, seen.end
            key: bytes = record.key  # type: ignore[assignment] # None goes to `judge`
            value: bytes = record.value  # type: ignore[assignment] # the same
            try:
                event = decode_plain(value)
                is_plain = (
                    key == event.account_id.encode()
                    and value.isascii()
                    and not record.headers
                    and (len(value) <= PLAIN_BYTES or is_plain_though_long(value, event))
                )
            except Exception:  # noqa: BLE001 - whatever it is, `judge` decides
                is_plain = False
            if not is_plain:
                verdict = judge(record, self._version)
                if not isinstance(verdict, PlainEvent):
                    self._watermark_ms = watermark
                    self._other(record, verdict)
                    watermark = self._watermark_ms
                    quiet_until = watermark - quiet
                    others += 1
                    continue
                event = verdict
            event_id = event.event_id
            if event_id in current or event_id in previous:
                if self._is_duplicate(event_id, key, event.action):
                    duplicates += 1
                    continue
            elif event.action == "follow":
                current[event_id] = key
            else:
                current[event_id] = key + UNFOLLOWED
            at = event.occurred_at
            stamp = record.timestamp
            if at > stamp + max_ahead and stamp >= 0:
                at = stamp
                self.tally.clamped += 1
            if at > watermark:
                watermark = at
                quiet_until = at - quiet
            row = awake.get(key)
            if row is None:
                row = self._wake(key)
            if offset <= row.offset:  # replayed: the row has it already
                if event.action == "unfollow":
                    unfollowed += 1
                    self._table_lost -= 1
                else:
                    self._table_gained -= 1
                self._behind(record, row, at, watermark, 0)
                continue
            row.offset = offset
            last = row.last_event_ms
            if does_expire and watermark - last >= expire_after:
                self._clear(row)
                last = NEVER_MS
                self.tally.expired_on_arrival += watermark - at >= expire_after
            if at > last:
                row.last_event_ms = at
            elif row.baseline_ms is not None and at < row.baseline_ms:
                row.contain(event.action)
            if event.action == "follow":
                row.gained += 1
                side = GAINED
            else:
                row.lost += 1
                unfollowed += 1
                side = LOST
            if at <= quiet_until:
                self._behind(record, row, at, watermark, side)
                continue
            by_grain = row.windows
            newest = by_grain[finest]
            if newest and 0 <= at - newest[-1][0] < shared:
                for windows in by_grain:
                    windows[-1][side] += 1
                continue
            for windows, size, span in zip(by_grain, sizes, spans):  # noqa: B905 - same length
                start = at - at % size
                if windows and windows[-1][0] == start:
                    windows[-1][side] += 1
                elif windows and windows[-1][0] > start:
                    self._open_window(key, windows, start, span)[side] += 1
                else:
                    window = [start, 0, 0, 0]
                    window[side] = 1
                    windows.append(window)
                    waiting[start + span].append(key)
        self._watermark_ms = watermark
        self._position = position
        counted = len(records) - others - duplicates
        self._duplicate += duplicates
        self._applied += counted
        self.tally.followed += counted - unfollowed
        self.tally.unfollowed += unfollowed
        self._table_gained += counted - unfollowed
        self._table_lost += unfollowed

    def _clear(self, row: Row) -> None:
        self._table_gained -= row.gained
        self._table_lost -= row.lost
        row.clear()

    def _wake(self, key: bytes) -> Row:
        packed = self._packed.get(key)
        row = new_row(len(self._sizes)) if packed is None else unpack(packed)
        self._awake[key] = row
        return row

    def _open_window(self, key: bytes, windows: list[Window], start: int, span: int) -> Window:
        """Return a window that is still open and is not the newest; insert it if needed."""
        window, is_new = window_at(windows, start)
        if is_new:
            self._sweep.waiting[start + span].append(key)
        return window

    def _is_duplicate(self, event_id: str, key: bytes, action: str) -> bool:
        """Note an id in the generation of its offset.

        Return whether this action came with it before.

        The same id with another action is another event: it counts, and the conflict is counted. By
        version 1 of the rules it was a duplicate.
        """
        bit = BIT_OF[action]
        before, account = self._seen.note(event_id, key, bit)
        if before & bit or (before and self._version < ACTION_IS_PART_OF_THE_ID):
            self.tally.ids_under_two_accounts += account != key
            return True
        self.tally.ids_with_two_actions += before != 0
        return False

    def _behind(self, record: RawRecord, row: Row, at: int, watermark: int, side: int) -> None:
        """Count an event far behind the watermark, whose windows may be final or gone.

        `side`: the column of a window to increase; 0 for a replayed record, which the row already
        contains.
        """
        key = record.key
        assert key is not None
        missed = []
        for index, grain in enumerate(self.rules.grains):
            start = at - at % grain.size_ms
            end = start + grain.size_ms
            if watermark >= end + grain.keep_ms:
                missed.append(grain.name)
            elif side:
                self._correct(key, row, index, start, watermark)[side] += 1
        if missed:
            self._late_count += 1
            self._applied -= 1
            self.tally.late_by_grain.update(missed)
            self._late.append(
                late_record(
                    record, self._source, event_ms=at, watermark_ms=watermark, missed=missed
                )
            )

    def _correct(self, key: bytes, row: Row, index: int, start: int, watermark: int) -> Window:
        """Return a kept window; insert it if needed. A final window gets its next revision."""
        final_at = start + self._spans[index]
        window, is_new = window_at(row.windows[index], start)
        is_published = self._sweep.is_published(final_at, key)
        if is_new and not is_published:
            self._sweep.expect(final_at, key)
        if watermark >= final_at:
            window[REVISION] += 1
            if is_published:
                self._corrected[key, index, start] = None
        return window

    def _other(self, record: RawRecord, verdict: Baseline | Forget | Heartbeat | Rejection) -> None:
        """Count a record that is neither a follow nor an unfollow."""
        if isinstance(verdict, Rejection):
            self._rejected_count += 1
            self.tally.rejected_by_reason[verdict.reason] += 1
            if verdict.reason is Reason.UNFORESEEN:
                self._unforeseen = (*self._unforeseen, record.offset)[-MOST_UNFORESEEN:]
                told = f"offset={record.offset} error={verdict.detail}"
                self.tally.unforeseen = self.tally.unforeseen or told
            self._rejected.append(rejected_record(record, self._source, verdict))
        elif isinstance(verdict, Heartbeat):
            self._heartbeat += 1
            self._watermark_ms = max(self._watermark_ms, self._clamp(record, verdict.occurred_at))
        else:
            self._about_account(record, verdict)

    def _about_account(self, record: RawRecord, event: Baseline | Forget) -> None:
        key = record.key
        assert key is not None
        if self._is_duplicate(event.event_id, key, event.action):
            self._duplicate += 1
            return
        self._applied += 1
        if isinstance(event, Forget):
            self._forget(record, key)
            return
        at = self._clamp(record, event.occurred_at)
        self._watermark_ms = max(self._watermark_ms, at)
        row = self._awake.get(key) or self._wake(key)
        if record.offset > row.offset:
            if self._endings.has_expired(row, self._watermark_ms):
                self._clear(row)
            self._rebase(row, event, at)
            row.offset = record.offset
            row.last_event_ms = max(row.last_event_ms, at)
            self.tally.expired_on_arrival += self._endings.has_expired(row, self._watermark_ms)

    def _rebase(self, row: Row, event: Baseline, at: int) -> None:
        """Take a baseline. Events between its time and its arrival count on top of it.

        The windows of the smallest grain that are still kept at this watermark give these events.
        Older windows may or may not be in the row, depending on the seals, so they are not used.
        Nothing of the window that contains the baseline's time counts, because its older part is
        unknown.
        """
        if self._version < BASELINES_HAVE_A_TIME:
            row.rebase(event)
            return
        if row.baseline_ms is not None and at < row.baseline_ms:
            self.tally.baselines_ignored += 1
            return
        size, keep = self._sizes[self._finest], self._keeps[self._finest]
        oldest = self._watermark_ms - keep
        is_uncertain = at - at % size <= oldest and (row.gained > 0 or row.lost > 0)
        net_since = 0
        for start, gained, lost, _ in reversed(row.windows[self._finest]):
            if start <= oldest or start + size <= at:
                break
            if start >= at:
                net_since += gained - lost
            else:
                is_uncertain |= gained > 0 or lost > 0
        self.tally.baselines_uncertain += is_uncertain and row.last_event_ms >= at
        row.rebase(event, at, net_since)

    def _forget(self, record: RawRecord, key: bytes) -> None:
        """Erase an account's totals, and those of its windows that can still be corrected.

        An open window vanishes, because nothing of it was published. A final window becomes empty
        in a new revision. A window past keep stays for its sweep, because its last revision is
        decided.
        """
        row = self._awake.get(key)
        if row is None and key in self._packed:
            row = self._wake(key)
        if row is None or record.offset <= row.offset:
            return
        self._clear(row)
        row.offset = record.offset
        for leaders in self.leaders:
            leaders.forget(key)
        watermark = self._watermark_ms
        for index, (span, keep) in enumerate(zip(self._spans, self._keeps, strict=True)):
            windows = row.windows[index]
            windows[:] = [window for window in windows if window[0] + span <= watermark]
            for window in windows:
                if window[0] + keep > watermark and (window[GAINED] or window[LOST]):
                    window[GAINED] = window[LOST] = 0
                    window[REVISION] += 1
                    if self._sweep.is_published(window[0] + span, key):
                        self._corrected[key, index, window[0]] = None

    def _clamp(self, record: RawRecord, at: int) -> int:
        """Return the event time of a record: its log timestamp if it claims a future time."""
        if at > record.timestamp + self.rules.max_ahead_ms and record.timestamp >= 0:
            self.tally.clamped += 1
            return record.timestamp
        return at

    # ---- seal

    def seal(self) -> Sealed:
        """Return all that changed since the last seal, and mark it as sealed.

        The sweep moves only here. So a correction was judged rightly when it was counted: a window
        that the sweep has passed is published now, and a later one by the sweep, with its revision
        raised.
        """
        windows = self._corrections()
        windows += self._sweep_slice()
        removed = self._end_rows()
        for leaders in self.leaders:
            leaders.turn(self._watermark_ms)
            leaders.mend(self._sweep.waiting, self.row)
        updates = self._pack_awake() + removed
        late, self._late = self._late, []
        rejected, self._rejected = self._rejected, []
        self._sealed_position = self._position
        topics = self._publisher.topics
        return Sealed(self._checkpoint(), topics, updates, windows, late, rejected)

    def _checkpoint(self) -> Checkpoint:
        sweep = self._sweep
        return Checkpoint(
            position=self._position,
            watermark_ms=self._watermark_ms,
            counts=self.counts,
            sweep=SweepPosition(sweep.closed_to_ms, sweep.closing_to_ms, sweep.bucket),
            settings=self._settings,
            rows=len(self._packed),
            rules=self._versions,
            skipped=self._skipped,
            unforeseen=self._unforeseen,
        )

    def _corrections(self) -> list[tuple[bytes, bytes]]:
        published = []
        for key, index, start in self._corrected:
            window, _ = window_at(self._awake[key].windows[index], start)
            published.append((key, self._window_result(key, index, window)))
            self.leaders[index].published(key, window)
        self.tally.revisions += len(published)
        self._corrected.clear()
        return published

    def _sweep_slice(self) -> list[tuple[bytes, bytes]]:
        """Publish windows that have become final, in whole buckets, until the slice is full."""
        sweep = self._sweep
        opened_at_most = (self._position - self._sealed_position) * len(self._sizes)
        limit = SLICE_WINDOWS * (1 + opened_at_most // OPENED_PER_SLICE)
        published: list[tuple[bytes, bytes]] = []
        while sweep.is_due(self._watermark_ms):
            if len(published) >= limit:
                if not self._has_long_row():
                    break
                limit = sys.maxsize
            sweep.begin(self._watermark_ms)
            for leaders in self.leaders:
                leaders.begin_sweep(sweep.closing_to_ms)
            while sweep.is_running and len(published) < limit:
                for key in sweep.take():
                    self._publish_finals(key, published)
            if not sweep.is_running:
                for leaders in self.leaders:
                    leaders.end_sweep(sweep.closed_to_ms)
        self.tally.finals += len(published)
        return published

    def _has_long_row(self) -> bool:
        """Tell whether a changed row has more windows than fit well into a message."""
        return any(sum(map(len, row.windows)) > LONG_ROW_WINDOWS for row in self._awake.values())

    def _publish_finals(self, key: bytes, published: list[tuple[bytes, bytes]]) -> None:
        row = self._awake.get(key)
        if row is None:
            packed = self._packed.get(key)
            if packed is None:  # its windows were forgotten, and its row has ended
                return
            row = unpack(packed)
        closed_to, closing_to = self._sweep.closed_to_ms, self._sweep.closing_to_ms
        for index, span in enumerate(self._spans):
            leaders, before = self.leaders[index], len(published)
            for window in row.windows[index]:
                final_at = window[0] + span
                if final_at > closing_to:
                    break
                if final_at > closed_to:
                    published.append((key, self._window_result(key, index, window)))
                    leaders.published(key, window)
            if len(published) > before:
                leaders.grow(key, row)

    def _window_result(self, key: bytes, index: int, window: Window) -> bytes:
        start, gained, lost, revision = window
        grain = self.rules.grains[index]
        end = start + grain.size_ms
        return encode(
            WindowResult(
                key.decode(), grain.name, start, end, gained, lost, gained - lost, revision
            )
        )

    def _end_rows(self) -> list[Update]:
        """Remove rows that have ended, and wake those whose end comes nearer.

        A row is removed only if the last seal was past its offset. With at least once, a replay
        from there must still find the offset that protects the row.
        """
        removed: list[Update] = []
        endings, packed, watermark = self._endings, self._packed, self._watermark_ms
        for key in endings.take(watermark, SLICE_WINDOWS):
            row = self.row(key)
            if row is None:
                continue
            does_stay = key in self._awake or row.offset >= self._sealed_position
            if does_stay or not endings.has_ended(row, watermark):
                if self.rules.expire_after_ms or row.is_empty:
                    endings.expect(key, row)
            elif any(row.windows):
                self._awake[key] = row  # so that its old windows are dropped
                endings.expect(key, row)
            else:
                del packed[key]
                self._below_zero.discard(key)
                removed.append((key, None))
                self._table_gained -= row.gained
                self._table_lost -= row.lost
        return removed

    def _pack_awake(self) -> list[Update]:
        """Encode every changed row, for the topic and for memory. This is the other hot loop."""
        packed, windows_of, watermark = self._packed, self._windows_of, self._watermark_ms
        limits = [watermark - keep for keep in self._keeps]
        updates: list[Update] = []
        expect, has_expired = self._endings.expect, self._endings.has_expired
        does_expire, below_zero = self.rules.expire_after_ms > 0, self._below_zero
        kept = [one for one in self.leaders if one.is_kept]
        boards = [(one.index, one.current) for one in kept]
        for key, row in self._awake.items():
            for index, board in boards:
                if windows := row.windows[index]:
                    window = windows[-1]
                    if (
                        window[GAINED] >= board.least_gained or window[LOST] >= board.least_lost
                    ) and window[0] == board.start_ms:
                        board.look(key, window[GAINED], window[LOST])
            if row.baseline is not None or key in below_zero:
                self._look_at_followers(key, row, kept)
            for windows, limit in zip(row.windows, limits):  # noqa: B905 - same length by build
                if windows and windows[0][0] <= limit:
                    self._drop_unkept(key, row)
            is_empty = not row.gained and row.is_empty
            if is_empty or (does_expire and (key not in packed or has_expired(row, watermark))):
                expect(key, row)
            packed[key] = pack(row)
            updates.append((key, to_record(key, row, windows_of)))
        self._awake.clear()
        return updates

    def _look_at_followers(self, key: bytes, row: Row, kept: Iterable[Leaders]) -> None:
        """Update growth in the boards that are kept, and whether followers are below 0."""
        followers = row.followers
        for leaders in kept:
            leaders.grow(key, row)
        if followers is not None and followers < 0:
            self._below_zero.add(key)
        else:
            self._below_zero.discard(key)

    def _drop_unkept(self, key: bytes, row: Row) -> None:
        """Drop windows that are past keep and published."""
        watermark, sweep = self._watermark_ms, self._sweep
        for windows, keep, span in zip(row.windows, self._keeps, self._spans, strict=True):
            gone = 0
            for window in windows:
                is_past_keep = window[0] + keep <= watermark
                if not (is_past_keep and sweep.is_published(window[0] + span, key)):
                    break
                gone += 1
            del windows[:gone]
