"""When rows come to an end: an index of times, rebuilt from the rows.

A row ends when it counts nothing any more (forgotten, or without events for too long) and its last
window is past keep. That is a function of the log: removing it a moment later changes no number,
because an event that comes in between finds the same as on a new row.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from service.engine.rows import Row

_STEPS = 64
"""A time without events is looked at so many times; an index entry per row and step is enough."""


class Endings:
    """Keys by the time (epoch ms of the watermark) at which their row may have come to its end."""

    __slots__ = ("_at", "_keeps", "_step_ms", "_times", "expire_after_ms")

    def __init__(self, keeps: Iterable[int], expire_after_ms: int) -> None:
        """`keeps`: size + keep of each grain. `expire_after_ms`: 0 for never."""
        self.expire_after_ms = expire_after_ms
        self._keeps = tuple(keeps)
        self._step_ms = max(1, expire_after_ms // _STEPS)
        self._at: dict[int, dict[bytes, None]] = {}
        self._times: list[int] = []
        """The times of `_at` as a heap."""

    def expect(self, key: bytes, row: Row) -> None:
        """Note when a row may end: it is empty, or rows expire."""
        at = self._last_keep_ms(row)
        if not row.is_empty:
            at = max(at, row.last_event_ms + self.expire_after_ms)
            at -= at % -self._step_ms
        if at not in self._at:
            self._at[at] = {}
            heappush(self._times, at)
        self._at[at][key] = None

    def is_due(self, watermark_ms: int) -> bool:
        """Tell whether `take` would return something."""
        return bool(self._times) and self._times[0] <= watermark_ms

    def take(self, watermark_ms: int, limit: int) -> list[bytes]:
        """Take at most about `limit` keys whose time has come."""
        taken: list[bytes] = []
        while self.is_due(watermark_ms) and len(taken) < limit:
            taken += self._at.pop(heappop(self._times))
        return taken

    def has_expired(self, row: Row, watermark_ms: int) -> bool:
        """Tell whether a row has had no event for too long."""
        return self.expire_after_ms > 0 and watermark_ms - row.last_event_ms >= self.expire_after_ms

    def _last_keep_ms(self, row: Row) -> int:
        """The time at which the last window of a row is past keep."""
        ends = [
            windows[-1][0] + keep
            for windows, keep in zip(row.windows, self._keeps, strict=True)
            if windows
        ]
        return max(ends, default=0)
