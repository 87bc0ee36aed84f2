"""No answer holds the worker's loop for long: work is counted, and after so much the loop turns."""

from __future__ import annotations

import asyncio
from typing import Final

UNITS: Final = 10_000
"""Units of work between two turns: a few milliseconds. A unit is about one kept window read."""
LOOK: Final = 10
"""Units of looking an account up, beside its windows."""
BOARDS: Final = 500
"""Units of the boards of one shard, without trails."""


class Turns:
    """Counts the work of one answer."""

    def __init__(self) -> None:
        """Nothing done yet."""
        self._left = UNITS

    async def spent(self, units: int) -> bool:
        """Note work that was done; True when the loop has turned since: look at shards anew."""
        self._left -= units
        if self._left > 0:
            return False
        self._left = UNITS
        await asyncio.sleep(0)
        return True
