"""Wall and CPU seconds of a process over an input, from one commit that is seen to another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.machine import cpu_s
from bench.positions import positions_of
from service.settings import Settings

POLL_S: Final = 0.02
COUNTED_WITHIN_S: Final = 300.0


@dataclass(frozen=True)
class Clocked:
    """`events` between the two commits."""

    events: int
    wall_s: float
    cpu_s: float


async def clocked(settings: Settings, pid: int, records: int, check: Callable[[], None]) -> Clocked:
    """Clock process `pid` from the first commit of its group until `records` are committed."""
    async with positions_of(settings) as positions, asyncio.timeout(COUNTED_WITHIN_S):
        while not (first := await positions.total()):
            check()
            await asyncio.sleep(POLL_S)
        began, spent = time.monotonic(), cpu_s(pid)
        while (last := await positions.total()) < records:
            check()
            await asyncio.sleep(POLL_S)
        return Clocked(last - first, time.monotonic() - began, cpu_s(pid) - spent)
