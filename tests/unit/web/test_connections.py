"""Connections: idle ones keep no client out, and each address has its share."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from contextlib import AsyncExitStack, suppress
from typing import Any

import aiohttp
import pytest

from service.settings import Settings
from service.web.connections import IDLE_S, SPARE, Door
from service.web.rate_limits import client_of
from tests.support.patience import SILENCE_S
from tests.support.web_port import Port, ask, listening, question

LEAST = {"app_id": "net-followers"}


class Transport:
    """As much of a transport as the door looks at."""

    def __init__(self, address: str) -> None:
        """Connected from 10.0.0.X, by the letters that stand for X."""
        self.address = f"10.0.0.{int.from_bytes(address.encode()) % 251}"
        self.is_open = True

    def get_extra_info(self, _: str) -> tuple[str, int]:
        return self.address, 1

    def abort(self) -> None:
        self.is_open = False


class Visits:
    """A door with a clock of its own, and the connections that came."""

    def __init__(self, most: int) -> None:
        self.now = 0.0
        self.refused: list[str] = []
        self.door = Door(most, refused=self.refused.append, now=lambda: self.now)

    def come(self, address: str, number: int = 1) -> list[Any]:
        found: list[Any] = [Transport(address) for _ in range(number)]
        for one in found:
            self.door.made(one)
        return found


def test_the_one_that_has_been_idle_for_longest_goes_for_another() -> None:
    visits = Visits(4)
    first, second = visits.come("a", 2)
    with visits.door.asking(first):
        pass
    [third] = visits.come("a")
    assert (first.is_open, second.is_open, third.is_open) == (True, False, True)


def test_an_address_has_half_of_the_places_and_takes_nothing_from_others() -> None:
    visits = Visits(10)
    others = visits.come("b", 5)
    many = visits.come("a", 1_000)
    assert sum(one.is_open for one in many) == 5
    assert all(one.is_open for one in others)


def test_when_all_places_are_taken_the_address_with_most_gives_one_up() -> None:
    visits = Visits(10)
    many, few = visits.come("a", 5), visits.come("b", 2)
    more = [visits.come(f"c{number}")[0] for number in range(4)]
    assert sum(one.is_open for one in many) == 4
    assert all(one.is_open for one in (*few, *more))


def test_who_comes_when_everybody_is_busy_may_ask_for_what_is_always_answered() -> None:
    visits = Visits(4)
    busy = visits.come("a", 2)
    asking = [visits.door.asking(one) for one in busy]
    assert not any(one.__enter__() for one in asking)
    spare = visits.come("a", SPARE)
    assert all(one.is_open for one in (*busy, *spare))
    with visits.door.asking(spare[0]) as is_spare:
        assert is_spare
        visits.come("a")
        assert spare[0].is_open
        assert not spare[1].is_open
    with Asking(visits.door, visits.come("a", SPARE)):
        [refused] = visits.come("a")
        assert not refused.is_open
        assert visits.refused == ["connections"]
    for one in asking:
        one.__exit__(None, None, None)


class Asking:
    """Every connection of a list asks."""

    def __init__(self, door: Door, those: list[Any]) -> None:
        """`those` are connected."""
        self._asking = [door.asking(one) for one in those]

    def __enter__(self) -> None:
        for one in self._asking:
            one.__enter__()

    def __exit__(self, *_: object) -> None:
        for one in self._asking:
            one.__exit__(None, None, None)


def test_what_asks_nothing_for_long_is_ended_and_a_stream_is_not() -> None:
    visits = Visits(100)
    silent, asks, streams = visits.come("a", 3)
    with visits.door.asking(streams):
        visits.door.stays(streams)
        visits.now = IDLE_S - 1
        with visits.door.asking(asks):
            pass
        visits.now = IDLE_S + 1
        visits.door.sweep()
        assert (silent.is_open, asks.is_open, streams.is_open) == (False, True, True)
        visits.now = 3 * IDLE_S
        visits.door.sweep()
        assert (asks.is_open, streams.is_open) == (False, True)
    visits.now = 5 * IDLE_S
    visits.door.sweep()
    assert not streams.is_open


def test_the_end_of_a_connection_frees_its_place() -> None:
    visits = Visits(4)
    [one] = visits.come("a")
    with visits.door.asking(one):
        visits.door.lost(one)
    visits.door.lost(one)
    assert not visits.door._all
    assert not visits.door._placed


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_subscriber_is_one_client(address: str, client: str) -> None:
    assert client_of(address) == client


# ---- with a server


async def connected(port: Port, stack: AsyncExitStack) -> asyncio.StreamReader:
    """Open a connection, and ask nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    stack.callback(writer.close)
    return reader


async def test_a_thousand_connections_that_ask_nothing_keep_nobody_out() -> None:
    async with listening(api_connections=100) as port, AsyncExitStack() as stack:
        for _ in range(300):
            await connected(port, stack)
        for path in ("/live", "/ready", "/metrics", "/", "/api/service"):
            assert (await ask(port, path)).status == 200, path
        assert (await question(port, LEAST)).status == 200
        assert len(port.api.door._all) <= 51


async def test_when_streams_take_every_place_live_and_workers_are_answered() -> None:
    async with (
        listening(api_connections=8, api_streams=100) as port,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        AsyncExitStack() as stack,
    ):
        for _ in range(4):
            url = f"{port.url}/api/stream"
            answer = await stack.enter_async_context(session.get(url))
            assert answer.status == 200
        for path in ("/live", "/ready"):
            assert (await ask(port, path)).status == 200
        assert (await question(port, LEAST)).status == 200
        assert (await ask(port, "/api/service")).status == 503
        assert port.refusals() == {"connections": 1}


async def test_one_address_has_half_of_the_streams() -> None:
    async with (
        listening(api_streams=6) as port,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        AsyncExitStack() as stack,
    ):
        url = f"{port.url}/api/stream"
        statuses = []
        for _ in range(5):
            answer = await stack.enter_async_context(session.get(url))
            statuses.append(answer.status)
        assert statuses == [200, 200, 200, 503, 503]
        assert port.refusals() == {"streams": 2}


async def test_a_request_that_never_ends_is_ended() -> None:
    """Headers that are sent slowly, and an answer that the client does not read."""
    async with listening() as port, AsyncExitStack() as stack:
        port.api.door._now = lambda: now
        now = 0.0
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        stack.callback(writer.close)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n")
        await writer.drain()
        while not port.api.door._all:
            await asyncio.sleep(0.01)
        now = IDLE_S + 1
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), SILENCE_S) == b""
        assert not port.api.door._all


FIT = """
import logging, resource, sys
from dataclasses import replace
from service import file_descriptors as descriptors
from service.settings import Settings
logging.basicConfig(stream=sys.stdout, format="%(message)s")
settings = descriptors.fit(Settings(), 4)
print(settings.api_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def fitted(soft: int, hard: int) -> str:
    """What a process with these limits says."""
    return subprocess.run(
        [sys.executable, "-c", FIT],
        capture_output=True, text=True, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
    ).stdout  # fmt: skip


def test_the_processes_own_limit_is_raised_or_else_fewer_connections_are_let_in() -> None:
    others = 256 + 4 * 8 + SPARE
    assert fitted(256, 4_096) == f"1000 {1_000 + others}\n"
    told, _, found = fitted(512, 1_024).strip().rpartition("\n")
    assert found == f"{1_024 - others} 1024"
    assert "NETFOLLOWERS_API_CONNECTIONS=1000" in told
    assert "ulimit -n" in told


def test_the_default_of_connections_is_what_the_test_above_takes_it_for() -> None:
    assert Settings().api_connections == 1_000
