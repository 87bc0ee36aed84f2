"""The stream of live workers on a real Kafka: it resumes at any worker, and there are few."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.support.api_client import HOSTILE, START_MS, event
from tests.support.deployment import Worker
from tests.support.deployment_fixtures import Deploy
from tests.support.patience import SILENCE_S, Patience


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
        assert response.headers["X-Accel-Buffering"] == "no"  # nginx holds nothing back
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


@pytest.mark.broker
@pytest.mark.transactions
async def test_there_are_only_so_many_streams(deployed: Deploy) -> None:
    deployment = await deployed(partitions=1)
    worker = await deployment.ready_worker(api_streams=1)
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
