"""Connections to the web port: their number, their clients, and which one ends to make room.

    idle    answers no request; the connection that has been idle longest ends first
    busy    answers a request; it stays
    spare   came when its client, or the whole port, had no place left; it may use only what must
            always be answered (/live, requests of other workers)

Idle connections never cause a refusal: they end when a new connection needs the place. So a client
that opens a thousand connections and sends nothing keeps no other client out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from service.web.rate_limits import client_of

IDLE_S: Final = 20.0
"""Longer than other workers keep an unused connection (15 s)."""
SPARE: Final = 64
_SWEEP_S: Final = 1.0
Protocols = Callable[[], asyncio.Protocol]


@dataclass(slots=True, eq=False)
class Connection:
    """One connection. `asked_s`: when its last request began, or when it was made."""

    client: str
    transport: asyncio.Transport
    asked_s: float
    is_spare: bool
    is_busy: bool = False
    is_stream: bool = False


class Door:
    """All connections. One client gets at most half of the places."""

    def __init__(
        self,
        most: int,
        *,
        refused: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`refused` is called with the reason of each refusal. `now`: a clock in seconds."""
        self.most: int = most
        self._share = max(1, most // 2)
        self._refused = refused
        self._now = now
        self._all: dict[asyncio.BaseTransport, Connection] = {}
        self._placed: dict[str, dict[asyncio.BaseTransport, Connection]] = {}
        """By client; the connection that has been idle longest comes first."""
        self._spare: dict[asyncio.BaseTransport, Connection] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    def around(self, protocols: Protocols) -> Protocols:
        """Wrap the server's protocols, so that this object counts their connections."""
        return lambda: _Watched(protocols(), self)

    # ---- coming and going

    def made(self, transport: asyncio.Transport) -> bool:
        """Note a new connection. Return False if it was refused."""
        peer = transport.get_extra_info("peername")
        client = client_of(peer[0] if peer else None)
        is_spare = not self._has_room(client)
        if is_spare and len(self._spare) >= SPARE and not self._drop(self._spare):
            self._refused("connections")
            transport.abort()
            return False
        found = Connection(client, transport, self._now(), is_spare)
        self._all[transport] = found
        self._siblings(found)[transport] = found
        return True

    def lost(self, transport: asyncio.BaseTransport) -> None:
        """Note the end of a connection. A second call does nothing."""
        found = self._all.pop(transport, None)
        if found is not None:
            del self._siblings(found)[transport]
            if not self._placed.get(found.client, found):
                del self._placed[found.client]

    def _siblings(self, of: Connection) -> dict[asyncio.BaseTransport, Connection]:
        return self._spare if of.is_spare else self._placed.setdefault(of.client, {})

    def _has_room(self, client: str) -> bool:
        """Make room for one more connection of a client by ending idle connections.

        False: no room.
        """
        mine = self._placed.get(client, {})
        if len(mine) >= self._share and not self._drop(mine):
            return False
        if len(self._all) - len(self._spare) < self.most:
            return True
        largest = sorted(self._placed.values(), key=len, reverse=True)
        return any(self._drop(found) for found in largest)

    def _drop(self, among: dict[asyncio.BaseTransport, Connection]) -> bool:
        """End the connection that has been idle longest. Return False if no connection is idle."""
        idle = next((one for one in among.values() if not one.is_busy), None)
        if idle is not None:
            self._end(idle)
        return idle is not None

    def _end(self, found: Connection) -> None:
        self.lost(found.transport)
        found.transport.abort()

    # ---- asking

    @contextmanager
    def asking(self, transport: asyncio.BaseTransport | None) -> Iterator[bool]:
        """Mark a connection as busy. Yields True if it is a spare connection."""
        found = self._all.get(transport) if transport is not None else None
        if found is None:
            yield False
            return
        found.asked_s, found.is_busy = self._now(), True
        try:
            yield found.is_spare
        finally:
            found.is_busy = found.is_stream = False
            found.asked_s = self._now()
            if found.transport in self._all:  # idle for the shortest time: it ends last
                siblings = self._siblings(found)
                siblings[found.transport] = siblings.pop(found.transport)

    def stays(self, transport: asyncio.BaseTransport | None) -> None:
        """Let the current request of a connection last without a time limit (a stream)."""
        if transport is not None and (found := self._all.get(transport)) is not None:
            found.is_stream = True

    def sweep(self) -> None:
        """End each connection that has sent no request for IDLE_S, or does not read its answer."""
        before = self._now() - IDLE_S
        for found in list(self._all.values()):
            if found.asked_s < before and not found.is_stream:
                self._end(found)

    def start(self) -> None:
        """Sweep every second from now on."""
        self.sweep()
        self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_S, self.start)

    def stop(self) -> None:
        """Stop sweeping."""
        if self._sweeping is not None:
            self._sweeping.cancel()


class _Watched(asyncio.Protocol):
    """Passes each call to the server's protocol, unless the connection was refused."""

    def __init__(self, inner: asyncio.Protocol, door: Door) -> None:
        self._inner = inner
        self._door = door
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._door.made(transport):
            self._transport = transport
            self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._door.lost(self._transport)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._inner.resume_writing()
