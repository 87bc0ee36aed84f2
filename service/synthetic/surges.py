"""Which synthetic accounts surge or decline at a moment. Depends only on seed and time.

Each of `slots` slots moves one account after another. A move lasts 15 to 45 s and has the shape of
a raised cosine. It gains, or loses, nearly all the time, so the top movers have something to show.
"""

from __future__ import annotations

import math
import random
from typing import Final, NamedTuple

MOVE_MS: Final = 15_000
_SPREAD_MS: Final = 30_000
_TABLE: Final = 256
_DECLINES, _OF = 2, 5
"""Two of five moves are declines."""


class Mover(NamedTuple):
    """A moving account (its number), and the share of unfollows among its events."""

    account: int
    unfollow_share: float


class Surges:
    """The moves of one seed."""

    def __init__(self, seed: int, *, slots: int, accounts: int) -> None:
        """`slots`: number of accounts that move at any time. `accounts`: number to choose from."""
        self._seed = seed
        self._slots = range(slots)
        self._accounts = accounts
        self._lengths = [
            MOVE_MS + self._random(slot, -1).randrange(_SPREAD_MS) for slot in self._slots
        ]

    def table(self, now_ms: int) -> list[Mover]:
        """List movers, each as often as its weight at `now_ms`, for a uniform draw.

        It may be [].
        """
        weighted = [self._mover(slot, now_ms) for slot in self._slots]
        total = sum(weight for _, weight in weighted)
        if total <= 0:
            return []
        table: list[Mover] = []
        for mover, weight in weighted:
            table += [mover] * round(_TABLE * weight / total)
        return table

    def _mover(self, slot: int, now_ms: int) -> tuple[Mover, float]:
        length = self._lengths[slot]
        turn, into = divmod(now_ms, length)
        drawn = self._random(slot, turn)
        account = drawn.randrange(self._accounts)
        strength = drawn.uniform(0.2, 1.0)
        swell = (1 - math.cos(2 * math.pi * into / length)) / 2
        return Mover(account, 0.92 if (slot + turn) % _OF < _DECLINES else 0.05), strength * swell

    def _random(self, slot: int, turn: int) -> random.Random:
        return random.Random(f"{self._seed}/{slot}/{turn}")  # noqa: S311 - not for secrets
