"""What can still be known of a partition whose log no longer begins at its first record.

    gone |cut-------- settling --------|exact_from ----------- exact -----------> committed

Behind the cut two things are unknown: the event ids that were remembered there, and the watermark.
Ids are known again once a whole generation lies behind us. The watermark is known again once an
event whose id is known to be new has reached what no record before that can have passed: its log
time and `max_ahead`. (That needs log times that the broker gave. A record between the cut and there
may be a duplicate, which moves no time, and looks new.) From there on every outcome is exact, and
so is every window that begins after what the records until there can have reached.
"""

from typing import Final

from service.audit.arrival import LogRecord
from service.audit.model import Model, Rules

NEVER_MS: Final = 2**63
"""Begins no window."""


class Horizon:
    """The line from where on a partition's recomputation is exact; at 0 for a whole log."""

    def __init__(self, rules: Rules, start: int = 0, *, is_stamped: bool = True) -> None:
        """`start`: first offset of the log. `is_stamped`: its log times are the broker's."""
        self.start: Final = start
        self.exact_from: int | None = None if start else 0
        self.windows_from_ms = NEVER_MS if start else -NEVER_MS
        self._rules = rules
        self._is_stamped = is_stamped
        self._ids_from = ((start - 1) // rules.dedup_generation + 2) * rules.dedup_generation
        self._reached_ms = -1

    @property
    def is_whole(self) -> bool:
        """True when nothing of the log is gone."""
        return self.start == 0

    def is_exact(self, offset: int) -> bool:
        """Tell whether the outcome of a record is known without what is gone."""
        return self.exact_from is not None and offset >= self.exact_from

    def judges(self, start_ms: int) -> bool:
        """Tell whether the content of a window that starts there is known."""
        return start_ms >= self.windows_from_ms

    def pass_by(self, record: LogRecord, model: Model) -> None:
        """After the model was fed `record`: settle it, if all is known from here on."""
        if self.exact_from is not None or not self._is_stamped or record.timestamp_ms < 0:
            return  # without a time of its own: a range that was stepped over
        if record.offset < self._ids_from or self._reached_ms < 0:
            reached_ms = record.timestamp_ms + self._rules.max_ahead_ms
            self._reached_ms = max(self._reached_ms, reached_ms)
        if record.offset >= self._ids_from and self._moves_time(model):
            self.exact_from = record.offset + 1
            self.windows_from_ms = record.timestamp_ms + self._rules.max_ahead_ms + 1
            self.forget(model)

    def _moves_time(self, model: Model) -> bool:
        """Tell whether the record fed last is new and has reached what none before it passed."""
        outcome, arrival, event_time_ms, *_ = model.last
        if outcome not in ("applied", "late", "heartbeat") or arrival is None:
            return False
        is_timed = arrival.action != "forget" and event_time_ms is not None
        return is_timed and (event_time_ms or 0) >= self._reached_ms

    def forget(self, model: Model) -> None:
        """Let the model begin anew, with what it knows of ids and of time."""
        model.accounts.clear()
        model.windows.clear()
