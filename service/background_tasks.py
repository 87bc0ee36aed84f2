"""Endless tasks beside a block: they end with it, and the first failure ends all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager


@asynccontextmanager
async def beside(*loops: Coroutine[object, object, object]) -> AsyncIterator[None]:
    """Run `loops` while the block runs; raises what failed first, as it is and not in a group."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(loop) for loop in loops]
            yield
            for task in running:
                task.cancel()
    except ExceptionGroup as group:  # one cause is enough to say
        raise group.exceptions[0] from None
