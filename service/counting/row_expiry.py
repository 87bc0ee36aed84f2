"""When rows end: an index of times, rebuilt from the rows.

A row ends when it counts nothing any more and its last window is past keep. It counts nothing when
it was forgotten, or when the watermark has reached its last event + `expire_after`, rounded up to a
step. The end depends only on the row and the watermark. So the table holds the same rows at rest,
whatever the seals and restarts were. An event that finds a row without events for `expire_after`
resets the row at once, so it changes no number if the row is removed one step later.

Each row has one entry, at its end at the time when the entry was made. Later events move the end,
so an entry that is due too early is made again at the present end. Two things move an end back, and
add a second entry: a forget, and an old event that resets an expired row.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from service.counting.rows import Row

_STEPS = 64
"""The expiry time is divided into this many steps. One index entry per row and step is enough."""


class Endings:
    """Keys by the time (epoch ms of the watermark) at which their row may end."""

    __slots__ = ("_at", "_keeps", "_step_ms", "_times", "expire_after_ms")

    def __init__(self, keeps: Iterable[int], expire_after_ms: int) -> None:
        """`keeps`: size + keep of each grain, in ms. `expire_after_ms`: 0 means never."""
        self.expire_after_ms = expire_after_ms
        self._keeps = tuple(keeps)
        self._step_ms = max(1, expire_after_ms // _STEPS)
        self._at: dict[int, dict[bytes, None]] = {}
        self._times: list[int] = []
        """The times of `_at` as a heap."""

    def expect(self, key: bytes, row: Row) -> None:
        """Note when a row may end. Call it if the row is empty, or if rows expire."""
        at = self._end_ms(row)
        if at not in self._at:
            self._at[at] = {}
            heappush(self._times, at)
        self._at[at][key] = None

    def is_due(self, watermark_ms: int) -> bool:
        """Tell whether `take` would return a key."""
        return bool(self._times) and self._times[0] <= watermark_ms

    def take(self, watermark_ms: int, limit: int) -> list[bytes]:
        """Take about `limit` keys whose time has come."""
        taken: list[bytes] = []
        while self.is_due(watermark_ms) and len(taken) < limit:
            taken += self._at.pop(heappop(self._times))
        return taken

    def has_expired(self, row: Row, watermark_ms: int) -> bool:
        """Tell whether a row has expired. The next event then finds it empty."""
        return self.expire_after_ms > 0 and watermark_ms - row.last_event_ms >= self.expire_after_ms

    def has_ended(self, row: Row, watermark_ms: int) -> bool:
        """Tell whether the table must drop a row."""
        may_end = row.is_empty or self.expire_after_ms > 0
        return may_end and watermark_ms >= self._end_ms(row)

    def _end_ms(self, row: Row) -> int:
        at = self._last_keep_ms(row)
        if row.is_empty:
            return at
        at = max(at, row.last_event_ms + self.expire_after_ms)
        return at - at % -self._step_ms

    def _last_keep_ms(self, row: Row) -> int:
        """Return the time at which the last window of a row is past keep."""
        ends = [
            windows[-1][0] + keep
            for windows, keep in zip(row.windows, self._keeps, strict=True)
            if windows
        ]
        return max(ends, default=0)
