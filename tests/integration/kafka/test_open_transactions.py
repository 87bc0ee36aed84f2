"""A producer's open transaction on the input: nothing behind it is counted, and all say so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer

from service.kafka import clients
from tests.integration.kafka.test_doctor import doctor
from tests.support.deployment import Deployment, Worker
from tests.support.deployment_fixtures import Deploy
from tests.support.patience import POLL_S, Patience
from tests.support.traffic import mixed

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

STUCK_AFTER_S = 5.0


@asynccontextmanager
async def open_transaction(deployment: Deployment) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that has begun a transaction on partition 0 of the input, and waits."""
    settings = deployment.settings
    async with clients.transactional_producer(settings, f"{settings.app_id}-producer") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(settings.input_topic, b"{}", key=b"a", partition=0)
        yield producer


def gauge(worker: Worker, name: str, partition: int = 0) -> float:
    """Return the value of a gauge of a partition; -1 while it has no value."""
    for line in worker.get("/metrics")[1].splitlines():
        if line.startswith(f"netfollowers_{name}{{") and f'partition="{partition}"' in line:
            return float(line.rpartition(" ")[2])
    return -1.0


async def until_status(worker: Worker, status: int, reason: str = "") -> str:
    """Wait until /ready answers with this status and names this reason; returns its text.

    Until the first fetch of a shard is answered, /ready says that nothing has been fetched yet.
    """
    patience = Patience(f"/ready to say {status} {reason}")
    while True:
        found, text = await asyncio.to_thread(worker.get, "/ready")
        if found == status and reason in text:
            return text
        patience.look((found, text))
        await asyncio.sleep(POLL_S)


async def age_ms(worker: Worker, partition: int) -> int:
    """The API's age of a partition."""
    _, text = await asyncio.to_thread(worker.get, "/api/service")
    shards = [one["freshness"] for one in json.loads(text)["shards"]]
    found: int = next(one["age_ms"] for one in shards if one["partition"] == partition)
    return found


async def test_an_open_transaction_is_seen_until_it_ends(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = await deployment.ready_worker(stuck_after_s=STUCK_AFTER_S)
    async with open_transaction(deployment) as producer:
        await deployment.produce(mixed(2_000))
        said = await until_status(worker, 503, "an open transaction")
        assert "not ready: an open transaction of a producer has hidden" in said
        assert "partition 0" in said
        await worker.until("nothing behind it is counted")
        records = await asyncio.to_thread(gauge, worker, "last_stable_offset_lag_records")
        assert records > 100
        seconds = await asyncio.to_thread(gauge, worker, "last_stable_offset_lag_age_seconds")
        assert seconds >= STUCK_AFTER_S
        assert await asyncio.to_thread(gauge, worker, "lag_records") == 0
        other = await asyncio.to_thread(gauge, worker, "last_stable_offset_lag_records", 1)
        assert other == 0
        assert await age_ms(worker, 0) >= 1_000 * STUCK_AFTER_S
        found = await doctor(deployment, code=1)
        assert "partition 0: an open transaction of a producer hides" in found
        assert "--partition 0 --start-offset 0" in found
        await producer.abort_transaction()
    await until_status(worker, 200)
    await deployment.caught_up()
    assert await asyncio.to_thread(gauge, worker, "last_stable_offset_lag_records") == 0
    await worker.until("the open transaction has ended partition=0")
    assert worker.said().count("nothing behind it is counted") == 1
    assert await worker.stop() == 0
    await deployment.audit()


async def test_transactions_that_end_are_no_reason_to_be_unready(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = await deployment.ready_worker(stuck_after_s=STUCK_AFTER_S)
    async with open_transaction(deployment) as producer:
        for number in range(20):
            await producer.commit_transaction()
            await producer.begin_transaction()
            await producer.send_and_wait(
                deployment.settings.input_topic, b"%d" % number, key=b"a", partition=0
            )
            await asyncio.sleep(0.1)
        await producer.commit_transaction()
    await deployment.caught_up()
    await worker.until("ready")
    assert "nothing behind it is counted" not in worker.said()
    assert await worker.stop() == 0
    await deployment.audit()


async def test_the_embedded_broker_hides_nothing(deployed_on_tansu: Deploy) -> None:
    deployment = await deployed_on_tansu()
    worker = await deployment.ready_worker(stuck_after_s=STUCK_AFTER_S)
    await deployment.produce(mixed(2_000))
    await deployment.caught_up()
    patience = Patience("two looks at the lag")
    first = await asyncio.to_thread(gauge, worker, "position")
    assert first > 0
    for _ in range(8):
        patience.look()
        hidden = await asyncio.to_thread(gauge, worker, "last_stable_offset_lag_records")
        assert hidden == 0
        await asyncio.sleep(1)
    assert await worker.stop() == 0


@pytest.mark.parametrize("guarantee", ["at_least_once"])
async def test_it_is_seen_at_least_once_too(deployed: Deploy, guarantee: str) -> None:
    deployment = await deployed(guarantee=guarantee)
    worker = await deployment.ready_worker(stuck_after_s=STUCK_AFTER_S)
    async with open_transaction(deployment) as producer:
        await until_status(worker, 503, "an open transaction")
        await producer.abort_transaction()
    await until_status(worker, 200)
    assert await worker.stop() == 0
