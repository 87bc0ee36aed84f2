"""A synthetic source at a rate: paced by the machine's clock, sent through an outbox."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from service.synthetic.batch_sender import Outbox
from service.synthetic.events import Synthetic, heartbeat

PACE: Final = 1_000.0
"""Events per second of event time when the rate is 0."""
CHUNK: Final = 4_000
"""Largest number of events made in one step."""

_TICK_S: Final = 0.02
_CATCH_UP_S: Final = 1.0
"""A delayed sender catches up at most this time. Events of a longer delay are never made."""


class Stream:
    """Feeds a source into an outbox at a rate (events/s; 0: as fast as possible)."""

    def __init__(
        self,
        source: Synthetic,
        outbox: Outbox,
        *,
        rate: float,
        start_ms: int | None = None,
        with_heartbeats: bool = False,
    ) -> None:
        """`start_ms`: event time of the first event; None: events have the present time."""
        self.made = 0
        self._source = source
        self._outbox = outbox
        self._rate = rate
        self._start_ms = start_ms
        self._with_heartbeats = with_heartbeats

    async def run(self, left: Callable[[], int]) -> None:
        """Send until `left()` says that no more events may be made."""
        clock = time.monotonic()
        beat = clock
        while (most := left()) > 0:
            now = time.monotonic()
            clock = max(clock, now - _CATCH_UP_S)
            count = min(most, self._due(now - clock))
            clock += count / self._rate if self._rate else 0.0
            self._outbox.put_all(self._source.at(self._now_ms(), count))
            self.made += count
            if self._with_heartbeats and now >= beat:
                self._outbox.put_everywhere(heartbeat(self._now_ms()))
                beat = now + 1.0
            await self._outbox.send()
            await asyncio.sleep(_TICK_S if self._rate else 0)

    def _due(self, waited_s: float) -> int:
        return min(CHUNK, int(waited_s * self._rate)) if self._rate else CHUNK

    def _now_ms(self) -> int:
        if self._start_ms is None:
            return int(time.time() * 1_000)
        return self._start_ms + int(self.made * 1_000 / (self._rate or PACE))
