"""The records of one account in log order: what each changed, or why it was refused.

The model judges the whole partition, because records of other accounts matter too: they move the
watermark, and their event ids can make a record a duplicate.
"""

from typing import Final, NamedTuple

from service.audit.horizon import Horizon
from service.audit.model.counting import Model, Rules
from service.audit.model.input_record import Faults, LogRecord, fields_of, spelled_out, stamped_ms
from service.audit.model.types import Account, Judgement

CHANGES: Final = {"follow": 1, "unfollow": -1}


class Span(NamedTuple):
    """The window [start_ms, end_ms) that is explained."""

    grain: str
    start_ms: int
    end_ms: int


class Line(NamedTuple):
    """One input record of the account. `why`: what became of it; "" if it was simply counted."""

    offset: int
    log_time_ms: int
    event_time_ms: int | None
    action: str
    change: int
    net: int
    follower_id: str
    why: str


class Explanation:
    """Feeds a partition to the model and keeps what concerns one account, or one of its windows."""

    def __init__(self, rules: Rules, account_id: str, span: Span | None, horizon: Horizon) -> None:
        """`span`: the window; None for the totals."""
        self.model = Model(rules)
        self.gained = self.lost = self.refused = 0
        self._account_id = account_id
        self._span = span
        self._horizon = horizon

    def feed(self, record: LogRecord) -> Line | None:
        """Judge the next record. Return its line if it concerns the account."""
        counted = self.model.accounts.get(self._account_id)
        self.model.feed(record)
        judged = self.model.last
        is_ours = judged.arrival is not None and judged.arrival.account_id == self._account_id
        has_expired = is_ours and counted is not None and self._is_replaced(counted)
        self._horizon.pass_by(record, self.model)
        self._forget_others()
        if judged.arrival is None:
            return self._refusal(record, judged)
        if not is_ours or judged.outcome == "heartbeat":
            return None
        if judged.arrival.action == "forget" and judged.outcome != "duplicate":
            return self._forgotten(record, judged)
        return self._line(record, judged, has_expired=has_expired)

    def _is_replaced(self, counted: Account) -> bool:
        """Tell whether the model replaced the account because it was forgotten or had expired."""
        return self.model.accounts.get(self._account_id) is not counted

    def _forgotten(self, record: LogRecord, judged: Judgement) -> Line | None:
        """Erase what was counted. A window that is past its keep stays as it is."""
        if self._span is not None:
            key = (self._account_id, self._span.grain, self._span.start_ms)
            if self.model.windows.get(key, [(0, 0)])[-1] != (0, 0):
                return None
            if not self.gained and not self.lost:
                return None
        change = self.lost - self.gained
        self.gained = self.lost = 0
        return self._made(record, judged, change, "erases what was counted")

    def _line(self, record: LogRecord, judged: Judgement, *, has_expired: bool) -> Line | None:
        arrival, span = judged.arrival, self._span
        assert arrival is not None
        assert judged.event_time_ms is not None
        is_in = span is None or span.start_ms <= judged.event_time_ms < span.end_ms
        if not is_in or (span is not None and arrival.action == "baseline"):
            return None
        why = self._why(record, judged)
        if has_expired and span is None:
            self.gained = self.lost = 0
            why = "; ".join(filter(None, ("what was counted had expired", why)))
        return self._made(record, judged, self._count(judged), why)

    def _count(self, judged: Judgement) -> int:
        arrival, span = judged.arrival, self._span
        assert arrival is not None
        is_missed = span is not None and span.grain in judged.grains_missed
        if judged.outcome == "duplicate" or is_missed:
            self.refused += 1
            return 0
        self.gained += arrival.action == "follow"
        self.lost += arrival.action == "unfollow"
        return CHANGES.get(arrival.action, 0)

    def _made(self, record: LogRecord, judged: Judgement, change: int, why: str) -> Line:
        arrival = judged.arrival
        return Line(
            record.offset,
            record.timestamp_ms,
            judged.event_time_ms,
            arrival.action if arrival else "-",
            change,
            self.gained - self.lost,
            arrival.follower_id if arrival else "",
            why,
        )

    def _why(self, record: LogRecord, judged: Judgement) -> str:
        arrival = judged.arrival
        assert arrival is not None
        if judged.outcome == "duplicate":
            return f"duplicate of offset {judged.duplicate_of}"
        notes = []
        if judged.another is not None:
            action, offset = judged.another
            notes.append(
                f"its event id came with a {action} at offset {offset}: this is another event"
            )
        if arrival.action == "baseline":
            notes.append(self._of_baseline(judged))
        if judged.is_contained and self._span is None:
            notes.append("before the time of the baseline, which already contains it")
        if judged.grains_missed:
            notes.append(f"late for {', '.join(judged.grains_missed)}")
        if judged.event_time_ms != arrival.occurred_ms:
            notes.append(f"stamped {arrival.occurred_ms}, too far ahead: its log time counts")
        if not self._horizon.is_exact(record.offset):
            notes.append("uncertain: records older than the log may change this")
        return "; ".join(notes)

    def _of_baseline(self, judged: Judgement) -> str:
        arrival, account = judged.arrival, self.model.accounts.get(self._account_id)
        assert arrival is not None
        if judged.is_ignored:
            return f"{arrival.followers} followers, older than the last baseline: ignored"
        since = 0
        if account is not None and account.net_at_baseline is not None:
            since = account.net - account.net_at_baseline
        later = f", and {since:+} counted since its time" if since else ""
        return f"{arrival.followers} followers here{later}"

    def _refusal(self, record: LogRecord, judged: Judgement) -> Line | None:
        """Return the line of a rejected record if its key or value names the account."""
        found = fields_of(record.value)
        fields = {} if isinstance(found, Faults) else found
        names = {(record.key or b"").decode(errors="replace"), str(fields.get("account_id"))}
        when_ms = stamped_ms(spelled_out(fields, self.model.rules.version_at(record.offset)))
        span = self._span
        is_in = span is None or when_ms is None or span.start_ms <= when_ms < span.end_ms
        if self._account_id not in names or not is_in:
            return None
        self.refused += 1
        why = f"rejected: {', '.join(judged.reasons)}"
        return self._made(record, judged._replace(event_time_ms=when_ms), 0, why)

    def _forget_others(self) -> None:
        """Keep only this account's state. The ids and the time belong to the whole partition."""
        for key in [key for key in self.model.windows if key[0] != self._account_id]:
            del self.model.windows[key]
        for name in [name for name in self.model.accounts if name != self._account_id]:
            del self.model.accounts[name]
        for listed in (self.model.late, self.model.rejected, self.model.faults):
            listed.clear()
