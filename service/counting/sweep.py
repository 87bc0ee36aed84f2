"""Which windows have been published as final, which are being published, which come next.

A boundary is a burst: at the full hour, every window of the hour becomes final at one log position.
Publishing them is a *sweep*. It is divided into slices of limited size, by a stable hash of the
account. Three numbers give the position of a sweep, and a checkpoint stores only these:

    final_at = end + grace of a window
    published  <=>  final_at <= closed_to, or final_at <= closing_to and bucket_of(key) < bucket

Everything else here is an index that is rebuilt from the rows.
"""

from __future__ import annotations

from collections import defaultdict
from heapq import heappop, heappush
from zlib import crc32

NEVER_MS = -1


class Sweep:
    """The position of the sweep, and the index of windows that are not published yet.

    `waiting`: by final_at, the keys of accounts with such a window, for later sweeps. The engine's
    hot loop adds to it directly, because an open window becomes final later than any running sweep
    reaches.
    """

    __slots__ = (
        "_next_buckets", "_pending", "bucket", "buckets", "closed_to_ms", "closing_to_ms",
        "waiting",
    )  # fmt: skip

    def __init__(self, buckets: int) -> None:
        """`buckets`: number of parts into which the accounts are divided."""
        self.buckets = buckets
        self.closed_to_ms = NEVER_MS
        self.closing_to_ms = NEVER_MS
        self.bucket = 0
        self.waiting: defaultdict[int, list[bytes]] = defaultdict(list)
        self._pending: dict[int, list[bytes]] = {}
        self._next_buckets: list[int] = []
        """The buckets of `_pending` as a heap."""

    @property
    def is_running(self) -> bool:
        """True from the beginning of a sweep to its end."""
        return self.closing_to_ms > self.closed_to_ms

    @property
    def unpublished(self) -> int:
        """Number of windows that this sweep and later ones will publish."""
        return sum(map(len, self.waiting.values())) + sum(map(len, self._pending.values()))

    def bucket_of(self, key: bytes) -> int:
        """Return the bucket of an account. It is the same in every process and on every machine."""
        return crc32(key) % self.buckets

    def is_published(self, final_at_ms: int, key: bytes) -> bool:
        """Tell whether the sweep has published the window of `key` final at `final_at_ms`."""
        if final_at_ms <= self.closed_to_ms:
            return True
        return final_at_ms <= self.closing_to_ms and self.bucket_of(key) < self.bucket

    def expect(self, final_at_ms: int, key: bytes) -> None:
        """Note a window that is in its row and not published."""
        if final_at_ms > self.closing_to_ms:
            self.waiting[final_at_ms].append(key)
        else:
            self._leave(key)

    def _leave(self, key: bytes) -> None:
        """Add an account to the running sweep."""
        bucket = self.bucket_of(key)
        accounts = self._pending.get(bucket)
        if accounts is None:
            self._pending[bucket] = [key]
            heappush(self._next_buckets, bucket)
        else:
            accounts.append(key)

    def is_due(self, watermark_ms: int) -> bool:
        """Tell whether, at this watermark, a slice would publish a window or end a sweep."""
        return self.is_running or any(at <= watermark_ms for at in self.waiting)

    def begin(self, watermark_ms: int) -> None:
        """Start a sweep of what is final at `watermark_ms`, if one is due and no other runs."""
        if self.is_running or not self.is_due(watermark_ms):
            return
        self.closing_to_ms = watermark_ms
        self.bucket = 0
        for final_at_ms in [at for at in self.waiting if at <= watermark_ms]:
            for key in self.waiting.pop(final_at_ms):
                self._leave(key)

    def take(self) -> list[bytes]:
        """Take the accounts of the next bucket. They count as published. []: the sweep is over."""
        if self._pending:
            bucket = heappop(self._next_buckets)
            self.bucket = bucket + 1
            return list(dict.fromkeys(self._pending.pop(bucket)))
        self.closed_to_ms = self.closing_to_ms
        self.bucket = 0
        return []
