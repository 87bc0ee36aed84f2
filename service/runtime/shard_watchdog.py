"""Notes when a shard last made progress, and says what has made no progress for too long.

All times are seconds of the event loop.
"""

from __future__ import annotations

from service.runtime.journal import Progress
from service.settings import Settings


class Watchdog:
    """The watchdog of one shard. Each question is also the moment at which progress is noted."""

    def __init__(self, settings: Settings) -> None:
        """`settings`: the limits."""
        self._settings = settings
        self._moved_at = self._answered_at = 0.0
        self._watched = -1
        self._opened = ("", 0)

    def moved(self, now: float) -> float:
        """Note that something begins. Return `now`."""
        self._moved_at = now
        return now

    def answered(self, now: float) -> float:
        """Note that reading begins. Return `now`."""
        self._moved_at = self._answered_at = now
        return now

    def why_uncommitted(self, in_flight_s: float) -> str:
        """Judge a commit that has not ended for `in_flight_s`; "" if it may last longer."""
        if in_flight_s > self._settings.transaction_timeout_s + 1:
            return f"a checkpoint has not ended for {in_flight_s:.0f} s"
        return ""

    def why_not_open(self, progress: Progress, now: float) -> str:
        """Judge a restore or a reclaim; "" if it has moved lately."""
        opened = (progress.step, progress.at)
        if opened != self._opened or not progress.step:
            self._opened, self._moved_at = opened, now
        if now - self._moved_at < self._settings.stuck_after_s:
            return ""
        seconds = now - self._moved_at
        return f"no progress of the restore for {seconds:.0f} s step={progress.step}"

    def why_not_read(self, position: int, lag: int, now: float, *, is_answered: bool) -> str:
        """Judge a shard that reads; "" if it has moved lately, or has nothing to read."""
        if position != self._watched or lag == 0:
            self._watched, self._moved_at = position, now
        if not is_answered:
            silent_s = now - self._answered_at
            is_lost = silent_s > self._settings.transaction_timeout_s
            return f"the broker has not answered for {silent_s:.0f} s" if is_lost else ""
        self._answered_at = now
        if now - self._moved_at >= self._settings.stuck_after_s:
            return f"no progress for {now - self._moved_at:.0f} s"
        return ""
