"""The simulated broker against the real one: the same steps, the same observations.

What verify/simulation proves is worth what its broker is worth. These are the promises that the
journal rests on: read committed, aborts, fencing, offsets in a transaction, markers in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from service.kafka import clients
from service.kafka.aiokafka_ext.raw_records import raw_consumer
from service.settings import Settings
from tests.support.deployment_fixtures import Deploy
from tests.support.patience import Patience
from verify.simulation.broker import Broker, Log
from verify.simulation.clients import Consumer, Producer
from verify.simulation.clock import VirtualLoop
from verify.simulation.connection import Link
from verify.simulation.faults import Ledger

pytestmark = [pytest.mark.broker, pytest.mark.transactions]


@dataclass
class Side:
    """Clients of one of the two brokers."""

    producer: Callable[[str], Any]
    consumer: Callable[..., Any]
    source: TopicPartition
    updates: TopicPartition


async def send(producer: Any, tp: TopicPartition, *values: bytes) -> None:
    batch = producer.create_batch()
    for value in values:
        batch.append(key=b"k", value=value, timestamp=None, headers=[])
    batch.close()
    await (await producer.send_batch(batch, tp.topic, partition=tp.partition))


async def read(side: Side, *, isolation: str = "read_committed") -> tuple[list[bytes], int]:
    """All values up to the end, and the position there."""
    async with side.consumer(isolation_level=isolation) as reader:
        reader.assign([side.updates])
        end = (await reader.end_offsets([side.updates]))[side.updates]
        await reader.seek_to_beginning(side.updates)
        values: list[bytes] = []
        while await reader.position(side.updates) < end:
            found = await reader.getmany(side.updates, timeout_ms=200, max_records=500)
            values += [record.value for record in found.get(side.updates, ())]
        return values, await reader.position(side.updates)


async def committed(side: Side) -> Any:
    async with side.consumer(group_id="simulated") as reader:
        reader.assign([side.source])
        found = (await reader._coordinator.fetch_committed_offsets([side.source])).get(side.source)
        return None if found is None or found.offset < 0 else (found.offset, found.metadata)


async def reached(side: Side, position: int) -> None:
    """Wait until the marker of a commit is in the log."""
    patience = Patience(f"the position {position}")
    while (seen := await read(side))[1] < position:
        patience.look(seen)
        await asyncio.sleep(0.1)


async def observe(side: Side) -> list[Any]:
    """One owner commits; leaves a transaction open; is replaced, and wakes up."""
    seen: list[Any] = []
    old = side.producer("owner")
    await old.start()
    await old.begin_transaction()
    await send(old, side.updates, b"1", b"2")
    seen.append(["open", await read(side), await read(side, isolation="read_uncommitted")])
    offsets = {side.source: OffsetAndMetadata(5, "first")}
    await old.send_offsets_to_transaction(offsets, "simulated")
    seen.append(["offsets of an open transaction", await committed(side)])
    await old.commit_transaction()
    await reached(side, 3)
    seen.append(["committed", await read(side), await committed(side)])
    await old.begin_transaction()
    await send(old, side.updates, b"3")
    offsets = {side.source: OffsetAndMetadata(9, "never")}
    await old.send_offsets_to_transaction(offsets, "simulated")
    new = side.producer("owner")
    await new.start()
    seen.append(["after fencing", await read(side), await committed(side)])
    try:
        await old.commit_transaction()
    except KafkaError:
        seen.append("the zombie is refused")
    await new.begin_transaction()
    await send(new, side.updates, b"4")
    await new.commit_transaction()
    await reached(side, 7)
    seen.append(["the new owner", await read(side), await committed(side)])
    await new.stop()
    await old.stop()
    return seen


def observe_simulated(source: TopicPartition, updates: TopicPartition) -> list[Any]:
    broker = Broker(Random(1), transaction_timeout_s=60.0)
    broker.logs = {source: Log(), updates: Log()}
    link = Link(Random(1), Ledger(), lambda _: None)
    side = Side(
        lambda name: Producer(link, broker, name),
        lambda **options: Consumer(link, broker, options),
        source,
        updates,
    )
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(observe(side))
    finally:
        loop.close()


async def test_both_brokers_show_the_same(deployed: Deploy) -> None:
    deployment = await deployed()
    deployment.is_tampered_with = True
    settings: Settings = deployment.settings
    source = TopicPartition(settings.input_topic, 0)
    updates = TopicPartition(settings.updates_topic, 0)
    real = await observe(
        Side(
            lambda name: clients.transactional_producer(settings, f"{settings.app_id}-{name}"),
            lambda **options: raw_consumer(settings, **{"group_id": settings.app_id, **options}),
            source,
            updates,
        )
    )
    simulated = await asyncio.to_thread(observe_simulated, source, updates)
    assert real[2] == ["committed", ([b"1", b"2"], 3), (5, "first")]
    assert "the zombie is refused" in real
    assert simulated == real
