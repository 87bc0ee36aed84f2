"""Server-sent events. One look per second serves all clients, and equal events are encoded once.

The hub remembers what each client has seen. A slow client skips looks and misses nothing, because
every event is a whole state. The last event of a look is `service`; only this event has an id.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from service.web.cluster import Cluster
from service.web.peer_protocol import Looked
from service.web.problems import ApiError
from service.web.responses import Service, encode
from service.web.resume_token import Seen, is_same, moments, to_id

log = logging.getLogger(__name__)

INTERVAL_S: Final = 1.0
_LOOK_S: Final = 15.0
_PLACES: Final = 10
_CHUNK: Final = 200
"""Number of accounts in one request. The loop turns between two requests."""


@dataclass(slots=True)
class Client:
    """One connection: what the client has chosen, and what it has seen."""

    accounts: tuple[str, ...]
    grain: str | None
    seen: Seen
    leaders: bytes = b""
    absent: set[str] = field(default_factory=set)
    """Accounts for which the client has received that there is no row."""


@dataclass(slots=True)
class Look:
    """The result of one look. Events are encoded when the first client needs them."""

    number: int
    service: Service
    seen: Seen
    rows: dict[str, Looked] = field(default_factory=dict)
    leaders: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """By grain: (the value that must change before the event is sent again, the event)."""
    problem: bytes = b""
    status: bytes = b""
    encoded: dict[str, bytes] = field(default_factory=dict)


class Hub:
    """All stream clients of this worker."""

    def __init__(self, cluster: Cluster, trail: str) -> None:
        """`trail`: the grain of the small series beside each leader."""
        self._cluster = cluster
        self._trail = trail
        self._looking: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._last: Look | None = None
        self._accounts: Counter[str] = Counter()
        self._grains: Counter[str] = Counter()
        self.clients = 0

    @contextmanager
    def _joined(self, client: Client) -> Iterator[None]:
        self.clients += 1
        self._accounts.update(client.accounts)
        self._grains.update([client.grain] if client.grain else [])
        if self._looking is None or self._looking.done():
            self._last = None
            self._looking = asyncio.create_task(self._look_on())
            self._looking.add_done_callback(_say_why)
        try:
            yield
        finally:
            self.clients -= 1
            self._accounts -= Counter(client.accounts)
            self._grains -= Counter([client.grain] if client.grain else [])
            if not self.clients and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def events(self, client: Client) -> AsyncIterator[bytes]:
        """Yield the bytes to write, look by look, without end."""
        number = -1
        with self._joined(client):
            while True:
                try:
                    look = await self._next(number)
                except TimeoutError:  # the client connects again
                    return
                if all(account in look.rows for account in client.accounts) or look.problem:
                    yield self._for_client(client, look)
                number = look.number

    async def _next(self, number: int) -> Look:
        """Wait for a look that is not `number`. TimeoutError if no look comes in time."""
        async with asyncio.timeout(_LOOK_S), self._changed:
            await self._changed.wait_for(lambda: self._last and self._last.number != number)
            assert self._last is not None
            return self._last

    def _for_client(self, client: Client, look: Look) -> bytes:
        parts = [self._account(client, account, look) for account in client.accounts]
        if client.grain in look.leaders:
            mark, event = look.leaders[client.grain]
            if mark != client.leaders:
                client.leaders = mark
                parts.append(event)
        parts.append(look.problem or look.status)
        if not look.problem:
            client.seen |= look.seen
        return b"".join(parts)

    def _account(self, client: Client, account: str, look: Look) -> bytes:
        looked = look.rows.get(account)
        if looked is None or looked.freshness is None:
            return b""
        fresh = looked.freshness
        if looked.row is None:
            # A row can end (forget, expiry) without an offset that shows it. So each client gets it
            # once.
            is_known = account in client.absent
            client.absent.add(account)
        else:
            before = client.seen.get(fresh.partition)
            watermark_ms = -1 if fresh.watermark_ms is None else fresh.watermark_ms
            is_known = account not in client.absent and is_same(
                before, looked.row.offset, watermark_ms, self._cluster.grains
            )
            client.absent.discard(account)
        if is_known:
            return b""
        if account not in look.encoded:
            told = looked.row or {"account_id": account, "windows": {}, "freshness": fresh}
            look.encoded[account] = event("account", encode(told))
        return look.encoded[account]

    # ---- looking

    async def _look_on(self) -> None:
        loop = asyncio.get_running_loop()
        number = 0
        while True:
            began = loop.time()
            look = await self._look(number)
            async with self._changed:
                self._last = look
                self._changed.notify_all()
            number += 1
            await asyncio.sleep(max(INTERVAL_S / 2, began + INTERVAL_S - loop.time()))

    async def _look(self, number: int) -> Look:
        """Read the service first, so that rows and boards are at least as new as the id says."""
        service = await self._cluster.service()
        look = Look(number, service, moments(service.shards))
        look.status = event("service", encode(service), to_id(look.seen))
        try:
            wanted = list(self._accounts)
            for first in range(0, len(wanted), _CHUNK):
                chunk = wanted[first : first + _CHUNK]
                look.rows |= zip(chunk, await self._cluster.accounts(chunk), strict=True)
                await asyncio.sleep(0)
            for grain in list(self._grains):
                top = await self._cluster.top(grain, "net", _PLACES, self._trail)
                mark = encode((top.current, top.final))
                look.leaders[grain] = (mark, event("top", encode(top)))
        except ApiError as wrong:
            look.problem = event("problem", encode(wrong.problem)) + event(
                "service", encode(service)
            )
        return look


def _say_why(looking: asyncio.Task[None]) -> None:
    """Log a look that failed.

    The streams then end after a timeout, and the clients connect again.
    """
    if not looking.cancelled() and (error := looking.exception()) is not None:
        log.error("api: the stream has failed", exc_info=error)


def event(name: str, data: bytes, event_id: str = "") -> bytes:
    """Return one server-sent event. JSON has no line breaks, so `data` is one line."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {name}\ndata: ".encode() + data + b"\n\n"
