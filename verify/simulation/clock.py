"""An event loop whose time is virtual: when nothing is left to do, it is the next timer's time."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class DeadlockError(Exception):
    """Nothing is ready and no timer runs: the world would wait for ever."""


class _NeverWaits(selectors.SelectSelector):
    """Turns a wait into a step of time."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Advance by what would have been waited."""
        if timeout is None:
            raise DeadlockError
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, without waiting. Time begins at 0 seconds."""

    def __init__(self) -> None:
        """Make it; close it after use."""
        self._steps = _NeverWaits()
        super().__init__(self._steps)

    def time(self) -> float:
        return self._steps.now
