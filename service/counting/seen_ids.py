"""The event ids of one to two generations of offsets, each with its account and actions.

Generation g holds the ids of the accepted records at offsets [g * size, (g + 1) * size). The limits
depend on the offset alone. So a restart that reads the log again from `replay_from` remembers
exactly what it would have remembered without the restart.

    offsets   [----- g-2 -----)[----- g-1 -----)[----- g ----|
               forgotten        previous         current      next record

An event is known by its id and its action. A producer that uses the edge (follower and account) as
event id sends the same id with a follow and, later, with an unfollow. Nearly every id comes once.
So an entry is only the key of its account if only a follow came. Otherwise a mark and one bit per
action follow the key. The mark is a byte that UTF-8 never contains.
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
"""Follows the account's key if the id came with an unfollow only."""


class SeenIds:
    """Two generations. Each maps an event id to the key of its last account, and its actions.

    The engine's hot loop reads `current` and `previous` directly, adds new ids to `current`, and
    calls `turn` at `end`.
    """

    __slots__ = ("current", "end", "previous", "size")

    def __init__(self, size: int) -> None:
        """`size`: offsets per generation."""
        self.size = size
        self.current: dict[str, bytes] = {}
        self.previous: dict[str, bytes] = {}
        self.end = size

    def replay_from(self, position: int) -> int:
        """Return the first offset whose id is remembered at `position`."""
        return max(0, (position // self.size - 1) * self.size)

    def turn(self, offset: int) -> None:
        """Make `offset`'s generation the current one."""
        start = offset - offset % self.size
        self.previous = self.current if start == self.end else {}
        self.current = {}
        self.end = start + self.size

    def note(self, event_id: str, key: bytes, bit: int) -> tuple[int, bytes]:
        """Note an id with this action in the current generation.

        Return the bits of the actions that it came with before (0: it is new), and the key of its
        last account.
        """
        account, now = _read(self.current.get(event_id))
        earlier_account, before = _read(self.previous.get(event_id))
        bits = now | bit
        self.current[event_id] = key if bits == FOLLOW else key + _MARKED[bits]
        return now | before, account if now else earlier_account


def _read(entry: bytes | None) -> tuple[bytes, int]:
    """Return the key and the bits of the actions of an entry."""
    if entry is None:
        return b"", 0
    key, mark, bits = entry.partition(_MARK)
    return key, bits[0] if mark else FOLLOW
