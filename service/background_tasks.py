"""Endless tasks beside a block. They end with the block, and the first failure ends all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager


@asynccontextmanager
async def beside(*loops: Coroutine[object, object, object]) -> AsyncIterator[None]:
    """Run `loops` while the block runs. Raise the first failure itself, not in a group."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(loop) for loop in loops]
            yield
            for task in running:
                task.cancel()
    except ExceptionGroup as group:  # one cause is enough to report
        raise group.exceptions[0] from None
