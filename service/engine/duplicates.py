"""The event ids of the last one to two generations of offsets, each with its account.

Generation g holds the ids of the accepted records at offsets [g * size, (g + 1) * size). The cut is
a function of the offset alone, so a restart that reads the log again from `replay_from` remembers
exactly what it would have remembered without the restart.

    offsets   [----- g-2 -----)[----- g-1 -----)[----- g ----|
               forgotten        previous         current      next record
"""

from __future__ import annotations


class SeenIds:
    """Two generations of event id -> key of the account it last came with.

    The engine's hot loop reads and writes `current` and `previous` directly and calls `turn` at
    `end`.
    """

    __slots__ = ("current", "end", "previous", "size")

    def __init__(self, size: int) -> None:
        """`size`: offsets per generation."""
        self.size = size
        self.current: dict[str, bytes] = {}
        self.previous: dict[str, bytes] = {}
        self.end = size

    def replay_from(self, position: int) -> int:
        """First offset whose id is remembered at `position`."""
        return max(0, (position // self.size - 1) * self.size)

    def turn(self, offset: int) -> None:
        """Make `offset`'s generation the current one."""
        start = offset - offset % self.size
        self.previous = self.current if start == self.end else {}
        self.current = {}
        self.end = start + self.size
