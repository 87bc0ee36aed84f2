"""The simulated broker keeps Kafka's promises, and no more than those."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest
from aiokafka.errors import OffsetOutOfRangeError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from verify.simulation.broker import Broker, Log
from verify.simulation.clock import DeadlockError, VirtualLoop

TP = TopicPartition("updates", 0)
SOURCE = TopicPartition("input", 0)


def simulate(work: Callable[[Broker], Coroutine[Any, Any, None]]) -> Broker:
    broker = Broker(Random(1), transaction_timeout_s=5.0)
    broker.logs[TP] = Log()
    loop = VirtualLoop()
    try:
        loop.run_until_complete(work(broker))
    finally:
        loop.close()
    return broker


async def settle(seconds: float = 0.1) -> None:
    await asyncio.sleep(seconds)


def started(broker: Broker) -> int:
    epoch = broker.init("a")
    assert epoch is not None
    return epoch


def values(broker: Broker, *, committed: bool = True) -> list[bytes | None]:
    log = broker.log(TP)
    return [record.value for record in log.read(0, 100, committed=committed).records]


def test_an_open_transaction_is_not_readable_and_holds_back_what_is_behind_it() -> None:
    async def work(broker: Broker) -> None:
        epoch = started(broker)
        broker.produce("a", epoch, TP, [(b"k", b"1", [])], 0)
        broker.plain(TP, [(b"k", b"2", [])])
        assert values(broker) == []
        assert values(broker, committed=False) == [b"1", b"2"]
        broker.end("a", epoch, is_commit=True)
        await settle()
        assert values(broker) == [b"1", b"2"]

    simulate(work)


def test_the_records_and_offsets_of_an_aborted_transaction_never_count() -> None:
    async def work(broker: Broker) -> None:
        epoch = started(broker)
        broker.produce("a", epoch, TP, [(b"k", b"1", [])], 0)
        broker.add_offsets("a", epoch, {SOURCE: OffsetAndMetadata(7, "")})
        broker.end("a", epoch, is_commit=False)
        await settle()
        assert values(broker) == []
        assert broker.offsets == {}
        assert broker.log(TP).read(0, 9) == ([], 2, 2), "the position moves over the marker"

    simulate(work)


def test_a_new_owner_aborts_and_fences_the_one_before() -> None:
    async def work(broker: Broker) -> None:
        old = started(broker)
        broker.produce("a", old, TP, [(b"k", b"1", [])], 0)
        assert broker.init("a") is None, "not before the abort has reached all logs"
        await settle()
        new = started(broker)
        with pytest.raises(ProducerFenced):
            broker.produce("a", old, TP, [(b"k", b"2", [])], 1)
        with pytest.raises(ProducerFenced):
            broker.add_offsets("a", old, {})
        with pytest.raises(ProducerFenced):
            broker.end("a", old, is_commit=True)
        broker.produce("a", new, TP, [(b"k", b"3", [])], 0)
        broker.end("a", new, is_commit=True)
        await settle()
        assert values(broker) == [b"3"]

    assert simulate(work).fenced == 3


def test_a_decided_commit_survives_the_death_of_its_client() -> None:
    async def work(broker: Broker) -> None:
        epoch = started(broker)
        broker.produce("a", epoch, TP, [(b"k", b"1", [])], 0)
        broker.add_offsets("a", epoch, {SOURCE: OffsetAndMetadata(7, "")})
        broker.end("a", epoch, is_commit=True)
        assert broker.init("a") is None
        await settle()
        assert started(broker) == epoch + 1
        assert values(broker) == [b"1"]
        assert broker.offsets[SOURCE].offset == 7

    simulate(work)


def test_a_repeated_send_is_stored_once_and_a_hole_is_not_accepted() -> None:
    async def work(broker: Broker) -> None:
        epoch = started(broker)
        for _ in range(2):
            broker.produce("a", epoch, TP, [(b"k", b"1", [])], 0)
        with pytest.raises(AssertionError, match="hole"):
            broker.produce("a", epoch, TP, [(b"k", b"3", [])], 2)
        assert values(broker, committed=False) == [b"1"]

    simulate(work)


def test_a_transaction_that_is_left_open_times_out() -> None:
    async def work(broker: Broker) -> None:
        epoch = started(broker)
        broker.produce("a", epoch, TP, [(b"k", b"1", [])], 0)
        await settle(6.0)
        with pytest.raises(ProducerFenced):
            broker.end("a", epoch, is_commit=True)
        assert broker.is_quiet()

    simulate(work)


def test_compaction_keeps_the_newest_of_each_key_and_the_offsets() -> None:
    async def work(broker: Broker) -> None:
        epoch = started(broker)
        broker.produce("a", epoch, TP, [(b"k", b"1", []), (b"l", b"2", []), (b"k", b"3", [])], 0)
        broker.end("a", epoch, is_commit=True)
        await settle()
        broker.produce("a", epoch, TP, [(b"l", b"4", [])], 3)
        assert broker.log(TP).compact() == 2
        assert values(broker) == [b"2", b"3"], "what is not committed replaces nothing"
        assert [one.offset for one in broker.log(TP).visible()] == [1, 2]

    simulate(work)


def test_a_position_outside_the_log_is_refused() -> None:
    log = Log()
    with pytest.raises(OffsetOutOfRangeError):
        log.read(1, 10)


def test_a_world_that_waits_for_ever_says_so() -> None:
    async def work(_: Broker) -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        simulate(work)
