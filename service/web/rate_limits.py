"""How much each client address may ask for, by budgets that fill again with time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

MOST_ADDRESSES: Final = 10_000
_SUBSCRIBER_BITS: Final = 64


def client_of(address: str | None) -> str:
    """Whom an address counts for: IPv6 hands out 2^64 addresses to a subscriber."""
    try:
        found = ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        if not found.is_loopback:
            return str(ip_network((found, _SUBSCRIBER_BITS), strict=False))
    return str(found)


class Rate:
    """So many units a second and client, twice as many (or `most`) in a burst."""

    def __init__(
        self,
        per_s: float,
        now: Callable[[], float] = time.monotonic,
        *,
        most: float | None = None,
    ) -> None:
        """`now`: seconds, monotonic."""
        self._per_s = per_s
        self._most = 2 * per_s if most is None else most
        self._now = now
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, client: str, cost: float = 1) -> bool:
        """Take `cost` units of a client; False when so many are not left."""
        left = self._of(client)
        if len(self._left) > MOST_ADDRESSES:
            self._left.clear()  # everybody begins anew: better than a list without end
        self._left[client] = (left - cost if left >= cost else left, self._now())
        return left >= cost

    def has(self, client: str, cost: float = 1) -> bool:
        """Tell whether so many are left, and take nothing."""
        return self._of(client) >= cost

    def wait_s(self, cost: float = 1) -> int:
        """Whole seconds after which an empty budget has so many."""
        return math.ceil(cost / self._per_s)

    def _of(self, client: str) -> float:
        now = self._now()
        left, at = self._left.get(client, (self._most, now))
        return min(self._most, left + (now - at) * self._per_s)
