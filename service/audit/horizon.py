"""What is still known of a partition whose log no longer begins at its first record.

    gone |cut-------- settling --------|exact_from ----------- exact -----------> committed

At the cut, two things are unknown: the event ids that the worker remembered, and the watermark.

Ids are known again after a whole generation of offsets. The watermark is known again when a new
event (its id is known to be new) reaches a time that no record before it can have passed: the
largest log time so far plus `max_ahead`. This needs log times that the broker set. Before that
point a record may be a duplicate, which moves no time, and look new.

From that event on, every outcome is exact. So is every window that begins after the times that the
records before that event can have reached.
"""

from typing import Final

from service.audit.model.counting import Model, Rules
from service.audit.model.input_record import LogRecord

NEVER_MS: Final = 2**63
"""No window begins then."""


class Horizon:
    """The offset from which the recomputation of a partition is exact; 0 for a whole log."""

    def __init__(self, rules: Rules, start: int = 0, *, is_stamped: bool = True) -> None:
        """`start`: first offset of the log. `is_stamped`: the broker set its log times."""
        self.start: Final = start
        self.exact_from: int | None = None if start else 0
        self.windows_from_ms = NEVER_MS if start else -NEVER_MS
        self._rules = rules
        self._is_stamped = is_stamped
        self._ids_from = ((start - 1) // rules.dedup_generation + 2) * rules.dedup_generation
        self._reached_ms = -1

    @property
    def is_whole(self) -> bool:
        """True if no record of the log is gone."""
        return self.start == 0

    def is_exact(self, offset: int) -> bool:
        """Tell whether the outcome of the record at `offset` is known."""
        return self.exact_from is not None and offset >= self.exact_from

    def judges(self, start_ms: int) -> bool:
        """Tell whether the content of a window that starts at `start_ms` is known."""
        return start_ms >= self.windows_from_ms

    def pass_by(self, record: LogRecord, model: Model) -> None:
        """Look at `record` after the model was fed it. Settle if all is known from here on."""
        if self.exact_from is not None or not self._is_stamped or record.timestamp_ms < 0:
            return  # a range that was stepped over has no time
        if record.offset < self._ids_from or self._reached_ms < 0:
            reached_ms = record.timestamp_ms + self._rules.max_ahead_ms
            self._reached_ms = max(self._reached_ms, reached_ms)
        if record.offset >= self._ids_from and self._moves_time(model):
            self.exact_from = record.offset + 1
            self.windows_from_ms = record.timestamp_ms + self._rules.max_ahead_ms + 1
            self.forget(model)

    def _moves_time(self, model: Model) -> bool:
        """Tell whether the last record is new and reached a time that no earlier record passed."""
        outcome, arrival, event_time_ms, *_ = model.last
        if outcome not in ("applied", "late", "heartbeat") or arrival is None:
            return False
        is_timed = arrival.action != "forget" and event_time_ms is not None
        return is_timed and (event_time_ms or 0) >= self._reached_ms

    def forget(self, model: Model) -> None:
        """Reset the model's accounts and windows. It keeps the ids and the time that it knows."""
        model.accounts.clear()
        model.windows.clear()
