"""Producer and consumer with the names that aiokafka's have, over a link to the simulated broker.

Only what the journals and the reader of service/runtime use, with the same surprises: positions
that move over control records, batches that fill, answers that come late.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any, Self

from aiokafka.structs import OffsetAndMetadata, TopicPartition

from service.contract.input_record import LogRecord
from verify.simulation.broker import Broker, Log
from verify.simulation.connection import CURRENT, Link, Verb


class Batch:
    """Records for one partition, until it is full."""

    def __init__(self, limit: int) -> None:
        """`limit`: largest number of records."""
        self.records: list[tuple[Any, ...]] = []
        self._limit = limit

    def append(self, *, key: Any, value: Any, timestamp: None, headers: Any) -> object | None:
        """None when it is full."""
        assert timestamp is None
        if len(self.records) == self._limit:
            return None
        self.records.append((key, value, list(headers)))
        return self

    def record_count(self) -> int:
        return len(self.records)

    def size(self) -> int:
        """Bytes of keys and values."""
        return sum(len(part or b"") for record in self.records for part in record[:2])

    def close(self) -> None:
        """Accept no more records."""


class Producer:
    """A producer. It is transactional if it has an id."""

    def __init__(self, link: Link, broker: Broker, name: str | None) -> None:
        """`name`: the transactional id."""
        self._link = link
        self._broker = broker
        self._name = name
        self._epoch = -1
        self._sequences: dict[TopicPartition, int] = {}
        self._turns: dict[TopicPartition, asyncio.Lock] = {}
        self._sending: list[asyncio.Task[None]] = []
        self._txn_manager = SimpleNamespace(_sequence_numbers=self._sequences)

    async def start(self) -> None:
        """Fence older producers with the same id, if it is transactional."""
        name = self._name
        if name is not None:
            self._epoch = await self._link.call(Verb.INIT, lambda: self._broker.init(name))

    async def stop(self) -> None:
        """Close. An open transaction stays open until another writer fences it."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def create_batch(self) -> Batch:
        return Batch(self._link.random.choice((1, 2, 5, 50)))

    async def begin_transaction(self) -> None:
        """Nothing is said to the broker yet."""
        assert not self._sending

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Task[None]:
        """Send a batch, in order within a partition. The answer comes through the future."""
        tp = TopicPartition(topic, partition)
        task = asyncio.create_task(self._send(tp, batch.records))
        self._sending.append(task)
        return task

    async def send_and_wait(self, topic: str, value: bytes, *, key: bytes, partition: int) -> None:
        await self._send(TopicPartition(topic, partition), [(key, value, [])])

    async def _send(self, tp: TopicPartition, records: Sequence[tuple[Any, ...]]) -> None:
        name, broker = self._name, self._broker
        async with self._turns.setdefault(tp, asyncio.Lock()):
            first = self._sequences.get(tp, 0)
            if name is None:
                await self._link.call(Verb.SEND, lambda: broker.plain(tp, records))
            else:
                await self._link.call(
                    Verb.SEND,
                    lambda: broker.produce(name, self._epoch, tp, records, first) or None,
                )
            self._sequences[tp] = first + len(records)

    async def send_offsets_to_transaction(
        self, offsets: dict[TopicPartition, OffsetAndMetadata], _: str
    ) -> None:
        name, broker = self._name, self._broker
        assert name is not None
        await self._link.call(
            Verb.OFFSETS, lambda: broker.add_offsets(name, self._epoch, offsets) or None
        )

    async def commit_transaction(self) -> None:
        """Wait for what has been sent, then commit."""
        name, broker = self._name, self._broker
        assert name is not None
        sending, self._sending = self._sending, []
        await asyncio.gather(*sending)
        await self._link.call(Verb.COMMIT, lambda: broker.end(name, self._epoch, is_commit=True))


class Consumer:
    """A consumer of assigned partitions."""

    def __init__(self, link: Link, broker: Broker, options: dict[str, Any]) -> None:
        """`options`: as aiokafka's."""
        self._link = link
        self._broker = broker
        self._is_committed = options.get("isolation_level", "read_committed") == "read_committed"
        self._limit = options.get("max_poll_records") or 500
        self._positions: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._last: dict[TopicPartition, list[LogRecord]] = {}
        self._answered_s = 0.0
        self._client = SimpleNamespace(_wait_on_metadata=self._partitions)
        self._coordinator = SimpleNamespace(fetch_committed_offsets=self._committed)

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Close the connection."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Take these partitions. Positions are kept."""
        self._positions = {tp: self._positions.get(tp, 0) for tp in partitions}

    def seek(self, tp: TopicPartition, position: int) -> None:
        """Go to a position. If a fetch from another position is in flight, that one wins."""
        self._positions[tp] = position
        if self._link.stale_fetch and position:
            self._link.stale_fetch = False
            self._link.was_misled = True
            self._positions[tp] = self._link.random.randrange(position)

    async def seek_to_beginning(self, tp: TopicPartition) -> None:
        """Go to the log start."""
        self._positions[tp] = await self._list(tp, lambda log: log.start)

    async def position(self, tp: TopicPartition) -> int:
        """Offset of the next record."""
        return self._positions[tp]

    def last_stable_offset(self, tp: TopicPartition) -> int | None:
        """Return the last stable offset of the last fetch."""
        return self._ends.get(tp)

    highwater = last_stable_offset

    def last_poll_timestamp(self, _: TopicPartition) -> float:
        """Return when a fetch was last answered, in epoch ms of the real clock, as in aiokafka."""
        silent_s = asyncio.get_running_loop().time() - self._answered_s
        return (time.time() - silent_s) * 1_000

    async def beginning_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the log starts."""
        return {tp: await self._list(tp, lambda log: log.start) for tp in tps}

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Last stable offsets (read committed), else log ends."""
        if self._is_committed:
            return {tp: await self._list(tp, lambda log: log.stable) for tp in tps}
        return {tp: await self._list(tp, lambda log: log.next) for tp in tps}

    async def getmany(
        self, tp: TopicPartition, *, timeout_ms: int, max_records: int | None = None
    ) -> dict[TopicPartition, list[LogRecord]]:
        """Fetch, and wait up to the timeout for something to come."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + timeout_ms / 1_000
        if self._link.repeat_fetch and self._last.get(tp):
            self._link.repeat_fetch = False
            return {tp: self._last[tp]}
        while True:
            limit = max_records or self._limit
            if self._link.partial:
                limit = min(limit, self._link.random.choice((1, 2, 5, 20)))
            at, log = self._positions[tp], self._broker.log(tp)
            read = await self._link.call(
                Verb.FETCH,
                lambda at=at, log=log, limit=limit: log.read(  # type: ignore[misc]
                    at, limit, committed=self._is_committed
                ),
            )
            self._answered_s = loop.time()
            self._ends[tp] = read.end
            if self._positions[tp] == at:
                self._positions[tp] = read.position
            if read.records:
                self._last[tp] = read.records
                return {tp: read.records}
            if read.position != at or loop.time() >= give_up_at:
                return {}
            await asyncio.sleep(0.05)

    async def _list(self, tp: TopicPartition, which: Callable[[Log], int]) -> int:
        return (await self._link.call(Verb.LIST_OFFSETS, lambda: (which(self._broker.log(tp)),)))[0]

    async def _partitions(self, topic: str) -> set[int]:
        return {tp.partition for tp in self._broker.logs if tp.topic == topic}

    async def _committed(
        self, tps: list[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        offsets = self._broker.offsets
        return await self._link.call(
            Verb.FETCH_OFFSETS, lambda: {tp: offsets[tp] for tp in tps if tp in offsets}
        )


@contextmanager
def simulated(clients: ModuleType, broker: Broker) -> Iterator[None]:
    """Exchange the clients of the service (or of a sabotaged copy) for simulated ones."""

    def consumer(_: object, **options: Any) -> Consumer:
        return Consumer(CURRENT.get(), broker, options)

    def producer(_: object, **__: Any) -> Producer:
        return Producer(CURRENT.get(), broker, None)

    def transactional_producer(_: object, name: str) -> Producer:
        return Producer(CURRENT.get(), broker, name)

    stand_ins = (consumer, producer, transactional_producer)
    before = [getattr(clients, one.__name__) for one in stand_ins]
    for one in stand_ins:
        setattr(clients, one.__name__, one)
    try:
        yield
    finally:
        for one in before:
            setattr(clients, one.__name__, one)
