"""The stream: what an id says, and what is sent to which client. No broker."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.web.responses import GrainRule
from service.web.resume_token import Moment, from_id, is_same, to_id
from service.web.stream import Client, Hub
from tests.support import web_port
from tests.support.api_client import START_MS, baseline, event
from tests.support.patience import SILENCE_S

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


async def looks(events: AsyncIterator[bytes]) -> list[str]:
    """Names of the next look's events, and of accounts that have ended."""
    text = (await anext(events)).decode()
    return [
        "ended" if name == "account" and '"gained"' not in data else name
        for name, data in re.findall(r"event: (\w+)\ndata: (.*)", text)
    ]


async def test_an_account_that_has_ended_is_told_at_once_and_once_and_its_return_too() -> None:
    """Nothing moves the watermark meanwhile: a window's end must not be waited for."""
    async with web_port.listening() as worker, asyncio.timeout(SILENCE_S):
        [shard] = worker.shards
        web_port.count(shard, [baseline("a", START_MS, 500), event("b", START_MS)])
        events = worker.api._hub.events(Client(("a",), None, {}))
        assert await looks(events) == ["account", "service"]
        web_port.forget(shard, "a")
        assert shard.engine.row(b"a") is None
        assert await looks(events) == ["ended", "service"]
        assert await looks(events) == ["service"]
        resumed = worker.api._hub.events(Client(("a",), None, from_id(f"1.0:9:{START_MS}")))
        assert await looks(resumed) == ["ended", "service"]
        web_port.count(shard, [baseline("a", START_MS, 7)])
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
