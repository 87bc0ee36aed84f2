"""The counting rules, slow and obvious: one record after the other, everything remembered.

Written from the design alone, to judge the engine. The model never forgets a window by itself, so
at the end every revision of every window can be compared. Times are epoch milliseconds.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from service.audit.model.input_record import SKIPPED, UNFORESEEN, Arrival, Faults, LogRecord, read
from service.audit.model.types import (
    Account,
    Content,
    Final,
    Grain,
    Judgement,
    Late,
    Rejected,
    Rules,
    WindowKey,
)

__all__ = ["Account", "Final", "Grain", "Late", "LogRecord", "Model", "Rejected", "Rules"]

NOTHING_YET = Judgement("")


class Sighting(NamedTuple):
    """An event id: the account of its last event, and by action the offset of its first event."""

    account: str
    first: dict[str, int]


UNSEEN = Sighting("", {})


def _no_counts() -> dict[str, int]:
    return dict.fromkeys(("applied", "late", "duplicate", "rejected", "heartbeat"), 0)


@dataclass
class Model:
    """The state after a prefix of a partition's log. Feed it every record, in offset order."""

    rules: Rules = field(default_factory=Rules)
    position: int = 0  # the offset after the last record fed
    watermark_ms: int | None = None
    counts: dict[str, int] = field(default_factory=_no_counts)
    clamped: int = 0
    duplicate_other_account: int = 0
    id_with_other_action: int = 0
    baselines_ignored: int = 0
    baselines_uncertain: int = 0
    accounts: dict[str, Account] = field(default_factory=dict)
    windows: dict[WindowKey, list[Content]] = field(default_factory=dict)  # index = revision
    late: list[Late] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    faults: dict[int, tuple[str, ...]] = field(default_factory=dict)  # offset: every true reason
    seen: dict[int, dict[str, Sighting]] = field(default_factory=dict)  # generation: event_id
    last: Judgement = field(default=NOTHING_YET)  # of the record fed last
    is_cut: bool = False  # what came before the first record fed is not known
    unforeseen: AbstractSet[int] = frozenset()  # offsets that the worker could not judge

    def feed(self, record: LogRecord) -> str:
        """Judge one record; return its outcome, one of the five counts."""
        assert record.offset >= self.position, "records come in offset order"
        width = self.rules.skipped_from(record.offset)
        self.position = record.offset + max(1, width)
        self.last = self._reject(record, Faults((SKIPPED,))) if width else self._judge(record)
        self.counts[self.last.outcome] += max(1, width)
        return self.last.outcome

    def revision(self, account_id: str, grain: str, start_ms: int, n: int) -> Content | None:
        """Return (gained, lost) of a window at revision n; None if there is no such revision."""
        contents = self.windows.get((account_id, grain, start_ms), [])
        return contents[n] if 0 <= n < len(contents) else None

    def last_revision(self, account_id: str, grain: str, start_ms: int) -> int:
        """Return the newest revision of a window that had events."""
        return len(self.windows[account_id, grain, start_ms]) - 1

    def finals(self) -> dict[WindowKey, Final]:
        """Return every window past its grace, at its newest revision."""
        graces = {grain.name: grain.size_ms + grain.grace_ms for grain in self.rules.grains}
        return self._passed(graces)

    def kept_ended(self) -> dict[WindowKey, Final]:
        """Return every window past its keep. Nothing can change these any more."""
        keeps = {grain.name: grain.size_ms + grain.keep_ms for grain in self.rules.grains}
        return self._passed(keeps)

    def kept(self) -> dict[WindowKey, Final]:
        """Return every window that still takes corrections, at its newest revision."""
        ended = self.kept_ended()
        return {
            key: Final(len(contents) - 1, *contents[-1])
            for key, contents in self.windows.items()
            if key not in ended
        }

    def is_final(self, key: WindowKey) -> bool:
        """Tell whether a window is past its grace."""
        grain = self._grain(key[1])
        return self._watermark_reached(key[2] + grain.size_ms + grain.grace_ms)

    def is_past_keep(self, key: WindowKey) -> bool:
        """Tell whether nothing can change a window any more."""
        grain = self._grain(key[1])
        return self._watermark_reached(key[2] + grain.size_ms + grain.keep_ms)

    def has_expired(self, account: Account, *, for_ms: int = 0) -> bool:
        """Tell whether an account has expired; with `for_ms`, whether it expired that long ago."""
        after_ms = self.rules.expire_after_ms
        return after_ms > 0 and self._watermark_reached(account.last_event_ms + after_ms + for_ms)

    def may_have_no_row(self, account: Account) -> bool:
        """Tell whether the row of an account may have been removed."""
        return account.is_empty or self.has_expired(account)

    def _grain(self, name: str) -> Grain:
        return next(grain for grain in self.rules.grains if grain.name == name)

    def _passed(self, after_start_ms: dict[str, int]) -> dict[WindowKey, Final]:
        return {
            key: Final(len(contents) - 1, *contents[-1])
            for key, contents in self.windows.items()
            if self._watermark_reached(key[2] + after_start_ms[key[1]])
        }

    def _watermark_reached(self, moment_ms: int) -> bool:
        return self.watermark_ms is not None and self.watermark_ms >= moment_ms

    def _judge(self, record: LogRecord) -> Judgement:
        is_unforeseen = record.offset in self.unforeseen
        arrival = Faults((UNFORESEEN,)) if is_unforeseen else self._read(record)
        if isinstance(arrival, Faults):
            return self._reject(record, arrival)
        event_time_ms = self._event_time_ms(arrival, record)
        judged = Judgement("applied", arrival, event_time_ms)
        if arrival.action == "heartbeat":
            self._move_time(arrival, event_time_ms)
            return judged._replace(outcome="heartbeat")
        duplicate_of, another = self._was_seen(arrival, record.offset)
        if duplicate_of is not None:
            return judged._replace(outcome="duplicate", duplicate_of=duplicate_of)
        judged = judged._replace(another=another)
        if arrival.action == "forget":
            self._forget(arrival.account_id, record.offset)
            return judged
        self._move_time(arrival, event_time_ms)
        ignored = self.baselines_ignored
        is_contained = self._count_in_totals(arrival, event_time_ms, record.offset)
        if arrival.action == "baseline":
            return judged._replace(is_ignored=self.baselines_ignored > ignored)
        judged = judged._replace(is_contained=is_contained)
        missed = self._count_in_windows(arrival, event_time_ms, record.offset)
        return judged._replace(outcome="late", grains_missed=missed) if missed else judged

    def _reject(self, record: LogRecord, faults: Faults) -> Judgement:
        self.rejected.append(Rejected(record.offset, faults.reasons[0]))
        self.faults[record.offset] = faults.reasons
        return Judgement("rejected", reasons=faults.reasons)

    def _event_time_ms(self, arrival: Arrival, record: LogRecord) -> int:
        """Return the event time, or the log time if the event claims a time too far ahead."""
        is_ahead = arrival.occurred_ms > record.timestamp_ms + self.rules.max_ahead_ms
        return record.timestamp_ms if record.timestamp_ms >= 0 and is_ahead else arrival.occurred_ms

    def _move_time(self, arrival: Arrival, event_time_ms: int) -> None:
        self.clamped += event_time_ms != arrival.occurred_ms
        if self.watermark_ms is None or event_time_ms > self.watermark_ms:
            self.watermark_ms = event_time_ms

    def _read(self, record: LogRecord) -> Arrival | Faults:
        return read(record, self.rules.version_at(record.offset))

    def _was_seen(self, arrival: Arrival, offset: int) -> tuple[int | None, tuple[str, int] | None]:
        """Return where the event was first seen, and where its id came with another action.

        An event is known by its id and its action; by rules 1, by its id alone. It is remembered
        from now on.
        """
        generation = offset // self.rules.dedup_generation
        self.seen = {n: ids for n, ids in self.seen.items() if n >= generation - 1}
        current = self.seen.setdefault(generation, {})
        earlier = self.seen.get(generation - 1, {}).get(arrival.event_id, UNSEEN)
        now = current.get(arrival.event_id, UNSEEN)
        known = earlier.first | now.first
        first = known.get(arrival.action, offset)
        current[arrival.event_id] = Sighting(
            arrival.account_id, now.first | {arrival.action: first}
        )
        others = [(at, action) for action, at in known.items() if action != arrival.action]
        if self.rules.version_at(offset) == 1 and others:
            first = min(first, min(others)[0])
        elif arrival.action not in known:
            self.id_with_other_action += bool(others)
            return None, (min(others)[1], min(others)[0]) if others else None
        self.duplicate_other_account += (now.account or earlier.account) != arrival.account_id
        return first, None

    def _count_in_totals(self, arrival: Arrival, event_time_ms: int, offset: int) -> bool:
        """Count in the totals.

        Return whether the event is before the time of the account's baseline.
        """
        account = self.accounts.get(arrival.account_id)
        if account is None or self.has_expired(account):
            account = self.accounts[arrival.account_id] = Account()
        change = {"follow": 1, "unfollow": -1}.get(arrival.action, 0)
        is_before = account.baseline_ms is not None and event_time_ms < account.baseline_ms
        account.gained += change > 0
        account.lost += change < 0
        if arrival.action == "baseline":
            self._take_baseline(account, arrival, event_time_ms, offset)
        elif is_before:
            account.net_at_baseline = (account.net_at_baseline or 0) + change
        account.last_event_ms = max(account.last_event_ms, event_time_ms)
        account.offset = offset
        return is_before

    def _take_baseline(
        self, account: Account, arrival: Arrival, event_time_ms: int, offset: int
    ) -> None:
        """Start again from a number that was true at `event_time_ms`.

        By rules 1 it was true at its arrival. By the present rules, windows of the smallest grain
        that begin at or after this time, and are still kept, count on top of it. A baseline that is
        older than the last one is ignored.
        """
        if self.rules.version_at(offset) == 1:
            account.baseline, account.net_at_baseline = arrival.followers, account.net
            account.baseline_ms, account.reaches_back = None, False
            return
        if account.baseline_ms is not None and event_time_ms < account.baseline_ms:
            self.baselines_ignored += 1
            return
        finest = min(self.rules.grains, key=lambda grain: grain.size_ms)
        counted = {
            key[2]: self.windows[key][-1]
            for key in self._recent_windows(arrival.account_id)
            if key[1] == finest.name and not self.is_past_keep(key)
        }
        since = [content for start, content in counted.items() if start >= event_time_ms]
        later = sum(gained - lost for gained, lost in since)
        holder_ms = event_time_ms // finest.size_ms * finest.size_ms
        if self.is_past_keep((arrival.account_id, finest.name, holder_ms)):
            is_hidden = (account.gained, account.lost) != (0, 0)
        else:
            is_hidden = holder_ms < event_time_ms and any(counted.get(holder_ms, (0, 0)))
        self.baselines_uncertain += is_hidden and account.last_event_ms >= event_time_ms
        is_first = account.baseline is None or account.is_doubtful
        account.is_doubtful = self.is_cut and is_first and event_time_ms != self.watermark_ms
        account.baseline, account.net_at_baseline = arrival.followers, account.net - later
        account.baseline_ms, account.reaches_back = event_time_ms, self._reaches(event_time_ms)

    def _reaches(self, moment_ms: int) -> bool:
        """Tell whether a window may have begun between `moment_ms` and the watermark."""
        smallest_ms = min(grain.size_ms for grain in self.rules.grains)
        return self._watermark_reached(moment_ms - moment_ms % -smallest_ms)

    def _forget(self, account_id: str, offset: int) -> None:
        """Erase totals and open windows. A final window that is still kept gets an empty revision.

        In a cut log, an account may have a row that no known record made.
        """
        if account_id not in self.accounts and not self.is_cut:
            return
        self.accounts[account_id] = Account(last_event_ms=0, offset=offset)
        for key in self._recent_windows(account_id):
            if not self.is_final(key):
                del self.windows[key]
            elif not self.is_past_keep(key) and self.windows[key][-1] != (0, 0):
                self.windows[key].append((0, 0))

    def _recent_windows(self, account_id: str) -> list[WindowKey]:
        """Return the windows of an account that are not past keep, and perhaps a few that are."""
        if self.watermark_ms is None:
            return []
        keys = []
        for grain in self.rules.grains:
            newest = self.watermark_ms // grain.size_ms * grain.size_ms
            oldest = newest - grain.keep_ms - 2 * grain.size_ms
            oldest -= oldest % grain.size_ms
            keys += [
                (account_id, grain.name, start_ms)
                for start_ms in range(oldest, newest + 1, grain.size_ms)
            ]
        return [key for key in keys if key in self.windows]

    def _count_in_windows(
        self, arrival: Arrival, event_time_ms: int, offset: int
    ) -> tuple[str, ...]:
        """Count in the kept windows. Return the grains that no longer keep the window."""
        assert self.watermark_ms is not None, "the event itself has moved it"
        missed = tuple(
            grain.name
            for grain in self.rules.grains
            if not self._count_in_window(arrival, event_time_ms, grain)
        )
        if missed:
            self.late.append(Late(offset, event_time_ms, self.watermark_ms, missed))
        return missed

    def _count_in_window(self, arrival: Arrival, event_time_ms: int, grain: Grain) -> bool:
        start_ms = event_time_ms // grain.size_ms * grain.size_ms
        end_ms = start_ms + grain.size_ms
        if self._watermark_reached(end_ms + grain.keep_ms):
            return False
        contents = self.windows.setdefault((arrival.account_id, grain.name, start_ms), [(0, 0)])
        gained, lost = contents[-1]
        changed = (gained + 1, lost) if arrival.action == "follow" else (gained, lost + 1)
        if self._watermark_reached(end_ms + grain.grace_ms):
            contents.append(changed)
        else:
            contents[-1] = changed
        return True
