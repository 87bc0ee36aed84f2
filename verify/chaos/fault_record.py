"""One fault as it happened, and how an act says that it has begun."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from tests.support.patience import SILENCE_S
from verify.chaos.fleet import Slot
from verify.chaos.schedule import Fault, Kind
from verify.chaos.world import World

_OWNER_WITHIN_S: Final = SILENCE_S
_IN_FLIGHT_S: Final = 0.25
"""What was sent so soon after a moment may have been counted before it."""


@dataclass
class Strike:
    """What one fault did. Times are those of time.monotonic.

    `healed_s`: when every partition had shown an update by input that was sent after the begin.
    `calmed_s`: the same for input that was sent after the end. Both are 0 if it never happened.
    """

    kind: Kind
    began_s: float = 0.0
    ended_s: float = 0.0
    healed_s: float = 0.0
    calmed_s: float = 0.0
    is_effective: bool = False
    note: str = ""

    @property
    def is_healed(self) -> bool:
        """True if updates continued, both during or after the fault and after its end."""
        return self.healed_s > 0 and self.calmed_s > 0

    @property
    def recovery_s(self) -> float:
        """Seconds from its begin until it was healed. Its own length may be part of them."""
        return self.healed_s - self.began_s

    @property
    def aftermath_s(self) -> float:
        """Seconds from its end, when the cause was gone, until updates had calmed."""
        return self.calmed_s - self.ended_s


class Act:
    """A fault under way: the worker that it hits, when it begins, when it is healed."""

    def __init__(self, world: World, fault: Fault) -> None:
        self.world = world
        self.fault = fault
        self.strike = Strike(fault.kind)
        self._healing: asyncio.Task[None] | None = None

    def begin(self, *, is_effective: bool) -> None:
        """Note that it has struck this very moment."""
        self.strike.began_s, self.strike.is_effective = time.monotonic(), is_effective
        self._healing = asyncio.create_task(self._heal())

    async def end(self) -> Strike:
        """Note that the cause is gone, then wait until every partition shows updates again."""
        strike, self.strike.ended_s = self.strike, time.monotonic()
        if self._healing is None:
            self.begin(is_effective=False)
        assert self._healing is not None
        strike.calmed_s = await self._gone_on()
        await self._healing
        return strike

    async def victim(self) -> Slot | None:
        """Find a worker that owns a ready shard. None if no worker has one for a long time."""
        until = time.monotonic() + _OWNER_WITHIN_S
        while time.monotonic() < until:
            if owners := await self.world.fleet.owners():
                return owners[self.fault.victim % len(owners)][0]
            await asyncio.sleep(0.1)
        return None

    async def _heal(self) -> None:
        self.strike.healed_s = await self._gone_on()

    async def _gone_on(self) -> float:
        """Wait for updates of every partition by input sent after now.

        Return the time; 0 if it never happened.
        """
        await asyncio.sleep(_IN_FLIGHT_S)
        ends = dict(self.world.feed.ends)
        return await self.world.watcher.beyond(ends) or 0.0
