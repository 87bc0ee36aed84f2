"""Limits the requests of each client address, by budgets that fill again with time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

MOST_ADDRESSES: Final = 10_000
_SUBSCRIBER_BITS: Final = 64


def client_of(address: str | None) -> str:
    """Return the client of an address. IPv6 clients own a /64, so a /64 network is one client."""
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
    """A budget per client: `per_s` units per second, at most `most` (2 * `per_s`) at once."""

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
        """Take `cost` units from a client. Return False if it has fewer."""
        left = self._of(client)
        if len(self._left) > MOST_ADDRESSES:
            self._left.clear()  # all budgets begin full again: better than an endless list
        self._left[client] = (left - cost if left >= cost else left, self._now())
        return left >= cost

    def has(self, client: str, cost: float = 1) -> bool:
        """Tell whether a client has `cost` units, and take nothing."""
        return self._of(client) >= cost

    def wait_s(self, cost: float = 1) -> int:
        """Return the whole seconds after which an empty budget has `cost` units."""
        return math.ceil(cost / self._per_s)

    def _of(self, client: str) -> float:
        now = self._now()
        left, at = self._left.get(client, (self._most, now))
        return min(self._most, left + (now - at) * self._per_s)
