"""A worker's web port without a broker: real engines, API and server on 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

import aiohttp

from service.contract.input_record import LogRecord
from service.contract.results import Source
from service.counting import Engine
from service.kafka.aiokafka_ext.group_health import Membership
from service.metrics.account_series import AccountSeries
from service.metrics.observed import Metrics
from service.metrics.worker_collector import bind
from service.runtime.lag import Lag
from service.settings import Settings
from service.synthetic.events import Made
from service.web import Api
from service.web.server import Web
from tests.support.api_client import START_MS, event
from tests.support.patience import SILENCE_S


def a_shard(settings: Settings, partition: int) -> Any:
    """What the API and the metrics look at of a shard that runs; its engine is a real one."""
    engine = Engine(
        settings.rules, Source("follow-events", partition), ranked=settings.ranked_grains
    )
    return SimpleNamespace(
        partition=partition, engine=engine, is_running=True, lag=0, applied_ms=0,
        restored_part=1.0, state=SimpleNamespace(value="running"), committed_s=time.time(),
        sampled_keys=Counter(), dedup_history_lost=0,
        committed_offset=0, sealed_offset=0, answered_s=time.time(),
    )  # fmt: skip


def count(shard: Any, events: Iterable[Any]) -> None:
    """Count events in a shard, and seal them."""
    at = shard.engine.position
    records = [
        LogRecord(at + index, -1, made.key, made.value, []) for index, made in enumerate(events)
    ]
    shard.engine.apply(records, at + len(records))
    while shard.engine.has_unsealed:
        shard.engine.seal()
    shard.committed_offset = shard.sealed_offset = shard.engine.position


def forget(shard: Any, account: str) -> None:
    """Forget an account through the log, and seal until that is durable."""
    said = {"event_id": "f", "account_id": account, "action": "forget", "occurred_at": START_MS}
    count(shard, [Made(account.encode(), json.dumps(said).encode(), [], "event")])
    shard.engine.seal()


def follows(accounts: Iterable[str], times: Iterable[int]) -> list[Any]:
    """One follow of every account at every time."""
    return [event(account, at_ms) for at_ms in times for account in accounts]


class Port(NamedTuple):
    """One web port that listens."""

    number: int
    url: str
    api: Api
    web: Web
    metrics: Metrics
    shards: list[Any]
    membership: Membership

    def refusals(self) -> dict[str, float]:
        """Return the number of refused requests by reason. Reasons with 0 are left out."""
        [family] = self.metrics._refused.collect()
        found = family.samples
        return {
            one.labels["reason"]: one.value
            for one in found
            if one.name.endswith("_total") and one.value
        }


@asynccontextmanager
async def listening(
    *, partitions: Iterable[int] = (0,), of: int = 1, **changes: Any
) -> AsyncIterator[Port]:
    """Open a web port of a worker that runs some of `of` partitions."""
    settings = Settings(**changes)
    metrics, membership = Metrics(), Membership(60.0)
    shards = [a_shard(settings, number) for number in partitions]
    lag = Lag(settings, shards)
    worker: Any = SimpleNamespace(
        settings=settings, held=shards, lag=lag, membership=membership, table_bytes={}
    )
    bind(metrics, worker, AccountSeries(settings, of, shards))
    api = Api(
        settings, of, shards=shards, lag=lag, membership=lambda: membership, refused=metrics.refused
    )
    web = Web(metrics.registry, lambda: "", api)
    await web.start("127.0.0.1", 0)
    url = f"http://127.0.0.1:{web.port}"
    api.found_at(url)
    membership.assigned(1, {shard.partition: url for shard in shards})
    try:
        yield Port(web.port, url, api, web, metrics, shards, membership)
    finally:
        await web.stop()


class Got(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


async def ask(
    port: Port, path: str, *, method: str = "GET", data: bytes | str | None = None, **headers: str
) -> Got:
    """One request on a connection of its own; `Content_Type` stands for Content-Type."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, port.url + path, data=data, headers=named) as answer,
    ):
        return Got(answer.status, answer.headers, await answer.read())


async def question(port: Port, asked: Any, **headers: str) -> Got:
    """Ask as a worker would, without any proof."""
    headers = {"Content_Type": "application/json", **headers}
    data = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    return await ask(port, "/internal/ask", method="POST", data=data, **headers)


async def raw(port: Port, text: bytes) -> bytes:
    """Send bytes, and read until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(text)
    try:
        async with asyncio.timeout(SILENCE_S):
            return await reader.read()
    finally:
        writer.close()
