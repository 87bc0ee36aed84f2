"""Wall and CPU seconds of a process over an input, from the first progress seen to the last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Literal

from bench.common.environment import cpu_s
from bench.common.progress import Positions, Updates, positions_of, updates_of
from service.settings import Settings

By = Literal["commits", "updates"]
POLL_S: Final = 0.02
COUNTED_WITHIN_S: Final = 300.0


@dataclass(frozen=True)
class Clocked:
    """`events` between the first and the last look."""

    events: int
    wall_s: float
    cpu_s: float


async def clocked(
    settings: Settings, pid: int, records: int, check: Callable[[], None], *, by: By = "commits"
) -> Clocked:
    """Clock process `pid` from the first event that is done until `records` are.

    Done: committed by its group; or, by "updates", published (one update per event).
    """
    look: Callable[[Settings], AbstractAsyncContextManager[Positions | Updates]]
    look = positions_of if by == "commits" else updates_of
    async with look(settings) as positions, asyncio.timeout(COUNTED_WITHIN_S):
        while not (first := await positions.total()):
            check()
            await asyncio.sleep(POLL_S)
        began, spent = time.monotonic(), cpu_s(pid)
        while (last := await positions.total()) < records:
            check()
            await asyncio.sleep(POLL_S)
        return Clocked(last - first, time.monotonic() - began, cpu_s(pid) - spent)
