"""The event ids of the last one to two generations of offsets, each with its account and actions.

Generation g holds the ids of the accepted records at offsets [g * size, (g + 1) * size). The cut is
a function of the offset alone, so a restart that reads the log again from `replay_from` remembers
exactly what it would have remembered without the restart.

    offsets   [----- g-2 -----)[----- g-1 -----)[----- g ----|
               forgotten        previous         current      next record

An event is known by its id and its action: a producer that names the edge (who follows whom) as
event id sends the same one with a follow and, later, with an unfollow. Nearly every id comes once,
with a follow or an unfollow, so an entry is the key of its account alone where only a follow came;
else a mark and a bit for each action stand behind it. The mark is a byte that no UTF-8 holds.
"""

from __future__ import annotations

from typing import Final

FOLLOW, UNFOLLOW, BASELINE, FORGET = 1, 2, 4, 8
BIT_OF: Final = {
    "follow": FOLLOW, "unfollow": UNFOLLOW, "baseline": BASELINE, "forget": FORGET,
}  # fmt: skip
_MARK: Final = b"\xff"
_MARKED: Final = tuple(_MARK + bytes([bits]) for bits in range(16))
UNFOLLOWED: Final = _MARKED[UNFOLLOW]
"""Stands behind the account's key where an id came with an unfollow only."""


class SeenIds:
    """Two generations of event id -> key of the account it last came with, and the actions.

    The engine's hot loop reads `current` and `previous` directly, adds what is new to `current`,
    and calls `turn` at `end`.
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

    def note(self, event_id: str, key: bytes, bit: int) -> tuple[int, bytes]:
        """Enter an id into the current generation, with this action.

        -> bits of the actions that it was seen with before (0: it is new), and the key of the
        account that it last came with.
        """
        account, now = _read(self.current.get(event_id))
        earlier_account, before = _read(self.previous.get(event_id))
        bits = now | bit
        self.current[event_id] = key if bits == FOLLOW else key + _MARKED[bits]
        return now | before, account if now else earlier_account


def _read(entry: bytes | None) -> tuple[bytes, int]:
    """An entry -> key, bits of actions."""
    if entry is None:
        return b"", 0
    key, mark, bits = entry.partition(_MARK)
    return key, bits[0] if mark else FOLLOW
