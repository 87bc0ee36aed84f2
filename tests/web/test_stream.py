"""The stream: what is chosen, what resumes after which id, and at which worker."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from service.web.responses import GrainRule
from service.web.resume_token import Moment, from_id, is_same, to_id
from service.web.stream import Client, Hub
from tests.broker.conftest import Deploy
from tests.broker.deployment import Worker
from tests.patience import SILENCE_S, Patience
from tests.web import port
from tests.web.told import HOSTILE, START_MS, baseline, event

GRAINS = [GrainRule("1m", 60_000, 30_000, 900_000, is_ranked=False)]


def test_an_id_says_what_was_seen() -> None:
    seen = {3: Moment(17, 1_000), 0: Moment(5, -1)}
    assert to_id(seen) == "1.0:5:-1,3:17:1000"
    assert from_id(to_id(seen)) == seen


@pytest.mark.parametrize(
    "text", ["", "2.0:1:1", "1.", "1.x:y:z", "1.0:1", "0", "1." + "1," * 9_000]
)
def test_what_is_no_id_of_ours_means_nothing_was_seen(text: str) -> None:
    assert from_id(text) == {}


@pytest.mark.parametrize(
    ("before", "offset", "watermark", "same"),
    [
        (None, 5, 1_000_000, False),
        (Moment(6, 1_000_000), 5, 1_000_000, True),
        (Moment(5, 1_000_000), 5, 1_000_000, False),
        (Moment(6, 1_000_000), -1, 1_000_000, True),
        (Moment(6, 989_000), 5, 991_000, False),  # a window became final at 16:30
    ],
)
def test_a_row_is_the_same_until_it_or_its_windows_change(
    before: Moment | None, offset: int, watermark: int, *, same: bool
) -> None:
    assert is_same(before, offset, watermark, GRAINS) is same


class Events:
    """A stream, read event by event."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.id = ""

    async def look(self) -> list[tuple[str, Any]]:
        """Everything up to the next event with an id."""
        found = []
        async with asyncio.timeout(SILENCE_S):
            while True:
                block = (await self._response.content.readuntil(b"\n\n")).decode()
                lines = dict(line.split(": ", 1) for line in block.strip().split("\n"))
                if "event" in lines:
                    found.append((lines["event"], json.loads(lines["data"])))
                if "id" in lines:
                    self.id = lines["id"]
                    return found


@asynccontextmanager
async def listening(
    worker: Worker, accounts: tuple[str, ...], last_id: str = ""
) -> AsyncIterator[Events]:
    url = f"http://127.0.0.1:{worker.settings.web_port}/api/stream"
    headers = {"Last-Event-ID": last_id} if last_id else {}
    query = [("account", account) for account in accounts]
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, params=query, headers=headers) as response,
    ):
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield Events(response)


def names(found: list[tuple[str, Any]]) -> list[str]:
    """Which accounts came, and `top`, `service`."""
    return [told["account_id"] if name == "account" else name for name, told in found]


@pytest.mark.broker
@pytest.mark.transactions
async def test_a_stream_resumes_at_any_worker_with_what_has_changed_since(
    deployed: Deploy,
) -> None:
    deployment = await deployed(partitions=4)
    chosen = ("a", "b", HOSTILE[2], "nobody")
    await deployment.produce([event(name, START_MS) for name in (*chosen[:3], "x", "y", "z")])
    workers = [deployment.worker() for _ in range(2)]
    for worker in workers:
        await worker.until("ready")
    await deployment.caught_up()
    async with listening(workers[0], chosen) as events:
        assert names(await events.look()) == [*chosen, "top", "service"]
        assert names(await events.look()) == ["service"]
        last = events.id
    await deployment.produce([event("b", START_MS + 1), event("x", START_MS + 1)])
    await deployment.caught_up()
    async with listening(workers[1], chosen, last) as events:
        found = await events.look()
        assert names(found) == ["b", "nobody", "top", "service"], "it may have ended meanwhile"
        assert found[0][1]["gained"] == 2
        assert names(await events.look()) == ["service"]
    async with listening(workers[1], chosen, "what is this") as events:
        assert names(await events.look()) == [*chosen, "top", "service"]


async def looks(events: AsyncIterator[bytes]) -> list[str]:
    """Names of the next look's events, and of accounts that have ended."""
    text = (await anext(events)).decode()
    return [
        "ended" if name == "account" and '"gained"' not in data else name
        for name, data in re.findall(r"event: (\w+)\ndata: (.*)", text)
    ]


async def test_an_account_that_has_ended_is_told_at_once_and_once_and_its_return_too() -> None:
    """Nothing moves the watermark meanwhile: a window's end must not be waited for."""
    async with port.listening() as worker, asyncio.timeout(SILENCE_S):
        [shard] = worker.shards
        port.count(shard, [baseline("a", START_MS, 500), event("b", START_MS)])
        events = worker.api._hub.events(Client(("a",), None, {}))
        assert await looks(events) == ["account", "service"]
        port.forget(shard, "a")
        assert shard.engine.row(b"a") is None
        assert await looks(events) == ["ended", "service"]
        assert await looks(events) == ["service"]
        resumed = worker.api._hub.events(Client(("a",), None, from_id(f"1.0:9:{START_MS}")))
        assert await looks(resumed) == ["ended", "service"]
        port.count(shard, [baseline("a", START_MS, 7)])
        assert await looks(events) == ["account", "service"]
        for one in (events, resumed):
            await one.aclose()  # type: ignore[attr-defined]


class FailsOnce:
    """A cluster whose first look fails as nothing should."""

    def __init__(self) -> None:
        self.asked = 0

    async def service(self) -> None:
        """Fail, then think about it for ever."""
        self.asked += 1
        if self.asked == 1:
            raise LookupError
        await asyncio.Event().wait()


async def test_a_look_that_has_failed_does_not_end_the_streams_of_those_who_come_after() -> None:
    cluster: Any = FailsOnce()
    hub = Hub(cluster, "1m")
    clients = []
    async with asyncio.timeout(SILENCE_S):
        for turn in (1, 2):
            events = hub.events(Client((), None, {}))
            clients.append(asyncio.ensure_future(anext(aiter(events))))
            while cluster.asked < turn or hub.clients < turn:
                await asyncio.sleep(0)
    assert hub.clients == 2, "the first one still waits, and comes again"
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)


@pytest.mark.broker
@pytest.mark.transactions
async def test_there_are_only_so_many_streams(deployed: Deploy) -> None:
    deployment = await deployed(partitions=1)
    worker = deployment.worker(api_streams=1)
    await worker.until("ready")
    url = f"http://127.0.0.1:{worker.settings.web_port}/api/stream"
    async with listening(worker, ()) as events, aiohttp.ClientSession() as session:
        await events.look()
        async with session.get(url) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
    patience = Patience("the worker to see that the stream has ended")
    async with aiohttp.ClientSession() as session:
        while (freed := await session.get(url)).status == 503:
            freed.close()
            patience.look()
            await asyncio.sleep(0.1)
        try:
            await Events(freed).look()
            assert await worker.stop() == 0, "an open stream kept it"
        finally:
            freed.close()
