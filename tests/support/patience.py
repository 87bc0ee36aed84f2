"""Waits for a condition for as long as something moves: a slow machine is no failure.

A wait watches what the test names: an offset, a log, a count. If that does not change for two
minutes, the test fails, and its message says how far it came.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

SILENCE_S: Final = 120.0
POLL_S: Final = 0.05


class Patience:
    """One wait. `look` at what moves, again and again, until the condition holds."""

    def __init__(self, what: str, *, silence_s: float = SILENCE_S) -> None:
        """`what`: the condition, for the message."""
        self._what = what
        self._silence_s = silence_s
        self._seen: object = None
        self._moved_at = time.monotonic()

    def is_over(self, seen: object = None) -> bool:
        """Note what is seen now. Return whether it has been the same for too long."""
        now = time.monotonic()
        if seen != self._seen:
            self._seen, self._moved_at = seen, now
        return now - self._moved_at > self._silence_s

    def look(self, seen: object = None) -> None:
        """Note what is seen now. AssertionError when it has been the same for too long."""
        if self.is_over(seen):
            message = (
                f"waited for {self._what}; nothing has moved for {self._silence_s:.0f} s, "
                f"and this is where it stands:\n{seen}"
            )
            raise AssertionError(message)


async def until(
    is_so: Callable[[], bool], what: str, moves: Callable[[], object] = lambda: None
) -> None:
    """Wait until `is_so`, for as long as what `moves` returns changes."""
    patience = Patience(what)
    while not is_so():
        patience.look(moves())
        await asyncio.sleep(POLL_S)
