"""Limits how long an answer holds the event loop: after UNITS of work the loop turns."""

from __future__ import annotations

import asyncio
from typing import Final

UNITS: Final = 10_000
"""Units of work between two turns: a few milliseconds. One unit is about one kept window."""
LOOK: Final = 10
"""Units for looking up one account, without its windows."""
BOARDS: Final = 500
"""Units for the boards of one shard, without trails."""


class Turns:
    """Counts the work of one answer."""

    def __init__(self) -> None:
        """Start with no work done."""
        self._left = UNITS

    async def spent(self, units: int) -> bool:
        """Note work. Return True if the loop has turned: the caller must look up shards again."""
        self._left -= units
        if self._left > 0:
            return False
        self._left = UNITS
        await asyncio.sleep(0)
        return True
