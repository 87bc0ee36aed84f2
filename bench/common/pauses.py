"""How long a reader of the updates topic waits: the longest pause of each partition."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import pairwise

from service.commands.result_reader import reader_of
from service.settings import Settings


@dataclass
class Gaps:
    """Times (time.monotonic) at which committed updates became visible, per partition."""

    seen: dict[int, list[float]] = field(default_factory=dict)

    def note(self, partition: int, at: float) -> None:
        """Updates of a partition have become visible."""
        self.seen.setdefault(partition, []).append(at)

    def longest(self, partitions: int, begin: float, end: float) -> list[float]:
        """Longest pause (s) of every partition between `begin` and `end`."""
        return [self._longest(self.seen.get(p, []), begin, end) for p in range(partitions)]

    def newest(self, partition: int) -> float:
        """Return the time at which the partition was last seen to move; 0 for never."""
        return self.seen.get(partition, [0.0])[-1]

    @staticmethod
    def _longest(times: list[float], begin: float, end: float) -> float:
        inside = [begin, *(at for at in times if begin < at < end), end]
        return max(b - a for a, b in pairwise(inside))

    async def follow(self, settings: Settings) -> None:
        """Read the updates topic, read_committed, until cancelled."""
        async with reader_of(settings, settings.updates_topic) as consumer:
            while True:
                found = await consumer.getmany(timeout_ms=100, max_records=20_000)
                now = time.monotonic()
                for tp in found:
                    self.note(tp.partition, now)
