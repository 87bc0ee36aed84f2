"""The journal: the port between a shard and the broker, and its two Kafka implementations.

The order of `open` matters. It first fences, then checks that no transaction is undecided, then
reads the position, then the rows, and then the records that the engine must read again. In another
order a previous owner could still commit unseen. `commit` makes one sealed checkpoint durable, and
each exception of it is final. The journal knows only where an engine writes: rows and records are
bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata

from service.contract.input_record import RawRecord
from service.contract.results import FinishedBatches, Output, OutputRecord, Target
from service.contract.skipped_ranges import around
from service.errors import NetFollowersError, RefusedError
from service.kafka import clients
from service.kafka.aiokafka_ext.internals import last_sequence, partition_count
from service.kafka.aiokafka_ext.stable_offsets import stable_committed
from service.runtime.engine_port import Checkpoint, Publisher, Sealed
from service.settings import Settings

log = logging.getLogger(__name__)

RESTORE_FETCH_BYTES: Final = 8 * 1_024 * 1_024
MAX_SEQUENCE: Final = 2**31 - 2**24
"""aiokafka's producer wraps its sequence number wrongly after 2^31 records.

So it is renewed before.
"""

UNDECIDED_S: Final = 30.0
"""Seconds after the fence. A transaction that is still undecided then will never be decided."""
_ASK_AGAIN_S: Final = 0.2

CHECKPOINT_KEY: Final = b""


_Part = list[tuple[Target, Output]]


def _topic(target: Target) -> str:
    return target[0] if isinstance(target, tuple) else target


class _CheckpointRecord(msgspec.Struct, frozen=True):
    """At least once: the contents of a commit with metadata."""

    position: int
    metadata: str


CommitPosition = Callable[[int, int, str], Awaitable[None]]
"""(partition, position, metadata): commit as this member of the group."""


class OpenRefusedError(RefusedError):
    """The log and the commits contradict each other. The text says what to do."""


class ForeignCommitError(OpenRefusedError):
    """The group has a commit that no worker has made. `netfollowers rebuild` corrects it."""

    def __init__(self, what: str, way_back: str) -> None:
        """`what`: a sentence that says what was found."""
        super().__init__(f"{what}: {way_back}")
        self.what = what


class ShardFencedError(NetFollowersError):
    """Another worker has opened the shard since this worker did. This worker must stop."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of an open: the checkpoint (None: never counted), rows, and records before it.

    `start`: the log start of the input. `rows`: the latest value of each key, in the order of
    writing (with several tables, by table topic). `recent`: lists of records from `recent_from` up
    to the position of the checkpoint, in order. They are read when they are needed, because all of
    them at once would be larger than the table.
    """

    checkpoint: Checkpoint | None
    start: int
    rows: dict[str, dict[bytes, bytes]]
    recent_from: int
    recent: AsyncGenerator[Sequence[RawRecord]]


@dataclass(slots=True)
class Progress:
    """The progress of an open or a reclaim, for the watchdog. `step` is "" if neither is running.

    `at` counts records and positions. A long read moves it, and so does a long gap. A restore may
    take long, but one of the two must move.
    """

    step: str = ""
    at: int = 0
    part: float = 0.0
    """Part of the table's log that has been read, from 0 to 1."""

    def enter(self, step: str) -> None:
        """Begin the next step."""
        self.step, self.at = step, 0
        if step:
            log.debug("restore step=%s", step)


class Journal(Protocol):
    """The durable side of one partition.

    Kafka has two implementations, and the simulation has one.
    """

    is_atomic: bool
    progress: Progress

    async def open(self, replay_from: Callable[[Checkpoint], int]) -> Restored:
        """Fence, then read the position, then the rows, then the records from `replay_from`."""

    async def reclaim(self) -> Checkpoint | None:
        """Fence again and read the committed checkpoint, without the rows."""

    async def committed(self) -> Checkpoint | None:
        """Read the committed checkpoint."""

    async def commit(self, sealed: Sealed) -> int:
        """Make one checkpoint durable. Return the bytes of its records. Any exception is final."""

    async def close(self) -> None:
        """Close the clients. Never commits."""


class KafkaJournal:
    """The journal of a partition over Kafka. The subclass writes the checkpoint."""

    is_atomic: bool
    _way_back = "use another NETFOLLOWERS_APP_ID with its own result topics"
    """What to do about a commit that no worker made."""

    def __init__(
        self, settings: Settings, partition: int, partitions: int, publisher: Publisher
    ) -> None:
        """`partitions`: of the input topic, as checked at start. `publisher`: often the engine."""
        self._settings = settings
        self._partitions = partitions
        self._publisher = publisher
        self.source = TopicPartition(settings.input_topic, partition)
        self.tables = [TopicPartition(topic, partition) for topic in publisher.table_topics]
        self.progress = Progress()
        self._producer: AIOKafkaProducer | None = None

    async def open(self, replay_from: Callable[[Checkpoint], int]) -> Restored:
        """See `Journal.open`. OpenRefusedError when the log contradicts the commit."""
        self.progress.enter("fence the earlier owner")
        await self._fence()
        reader = clients.raw_consumer(self._settings, max_partition_fetch_bytes=RESTORE_FETCH_BYTES)
        try:
            self.progress.enter("ask for the topics")
            await clients.start(reader)
            reader.assign([self.source, *self.tables])
            await self._check_partitions(reader)
            start = (await reader.beginning_offsets([self.source]))[self.source]
            await self._decided(reader)
            checkpoint, rows = await self._checkpoint_and_rows(reader)
            if checkpoint is not None:
                self._check_log_start(checkpoint, start)
        finally:
            await reader.stop()
        recent_from = position = 0
        if checkpoint is not None:
            recent_from = max(start, replay_from(checkpoint))
            position = checkpoint.position
        skipped = () if checkpoint is None else checkpoint.skipped
        recent = self.input(around(skipped, recent_from, position))
        return Restored(checkpoint, start, rows, recent_from, recent)

    async def fence(self) -> None:
        """Fence the earlier owner and wait for undecided transactions, for `netfollowers rebuild`.

        The command reads the results in another way before it commits.
        """
        reader = clients.raw_consumer(self._settings)
        try:
            await self._fence()
            await clients.start(reader)
            await self._check_partitions(reader)
            await self._decided(reader)
        finally:
            await reader.stop()

    async def reclaim(self) -> Checkpoint | None:
        """See `Journal.reclaim`."""
        raise NotImplementedError

    async def close(self) -> None:
        """See `Journal.close`."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _fence(self) -> None:
        raise NotImplementedError

    async def _decided(self, reader: AIOKafkaConsumer) -> None:
        """Wait until no transaction hides records from `reader`.

        Without transactions, do nothing.
        """

    async def _checkpoint_and_rows(
        self, reader: AIOKafkaConsumer
    ) -> tuple[Checkpoint | None, dict[str, dict[bytes, bytes]]]:
        raise NotImplementedError

    async def _end(self, reader: AIOKafkaConsumer, tp: TopicPartition) -> int:
        raise NotImplementedError

    async def _check_partitions(self, reader: AIOKafkaConsumer) -> None:
        """Refuse topics with another partition count than the one found at the start."""
        for topic in (self._settings.input_topic, *self._publisher.output_topics):
            found = await partition_count(reader, topic)
            if found != self._partitions:
                message = (
                    f"topic {topic} has {found} partitions, not {self._partitions}: "
                    "all topics need the input's count; see `netfollowers topics check`"
                )
                raise OpenRefusedError(message)

    async def committed(self) -> Checkpoint | None:
        """See `Journal.committed`.

        It uses a new consumer, because a second `assign` breaks aiokafka's.
        """
        self.progress.enter("read the committed offset")
        asker = clients.consumer(self._settings, group_id=self._settings.app_id)
        try:
            await clients.start(asker)
            asker.assign([self.source])
            found = (await stable_committed(asker, [self.source])).get(self.source)
        finally:
            await asker.stop()
        if found is None or found.offset < 0:
            return None
        try:
            return self._publisher.decode_checkpoint(found.offset, found.metadata)
        except ValueError as error:
            what = (
                f"partition {self.source.partition} of {self.source.topic} has a commit at "
                f"{found.offset} by group {self._settings.app_id} that is not a checkpoint "
                f"({error})"
            )
            raise ForeignCommitError(what, self._way_back) from error

    def _check_log_start(self, checkpoint: Checkpoint, start: int) -> None:
        if start > checkpoint.position:
            message = (
                f"partition {self.source.partition}: the log of {self.source.topic} starts at "
                f"{start}, after the position {checkpoint.position}: records were deleted before "
                "they were counted. To continue from here, use a new NETFOLLOWERS_APP_ID, new "
                "result topics and baselines. Raise retention.ms of the input topic, so that it "
                "does not happen again"
            )
            raise OpenRefusedError(message)

    async def _rows(self, reader: AIOKafkaConsumer) -> dict[str, dict[bytes, bytes]]:
        return {table.topic: await self._rows_of(reader, table) for table in self.tables}

    async def _rows_of(self, reader: AIOKafkaConsumer, table: TopicPartition) -> dict[bytes, bytes]:
        self.progress.enter("read the rows")
        self.progress.part = 0.0
        rows: dict[bytes, bytes] = {}
        read = 0
        reader.assign([table])
        end = await self._end(reader, table)
        await reader.seek_to_beginning(table)
        async for records in _until(reader, table, end):
            read += len(records)
            position = await reader.position(table)
            self.progress.at, self.progress.part = read + position, min(1.0, position / end)
            for record in records:
                if record.value is None:
                    rows.pop(record.key, None)
                else:
                    rows[record.key] = record.value
        self.progress.part = 1.0
        return rows

    async def input(self, parts: Iterable[tuple[int, int]]) -> AsyncGenerator[Sequence[RawRecord]]:
        """Yield the input's records in [first, stop) of each part, list by list."""
        for first, stop in parts:
            async with aclosing(self._part(first, stop)) as part:
                async for records in part:
                    yield records

    async def _part(self, first: int, position: int) -> AsyncGenerator[Sequence[RawRecord]]:
        """Use a new consumer, because no seek may overtake a fetch in flight."""
        self.progress.enter("read the input again")
        reader = clients.raw_consumer(self._settings, max_partition_fetch_bytes=RESTORE_FETCH_BYTES)
        try:
            await clients.start(reader)
            reader.assign([self.source])
            reader.seek(self.source, first)
            read = 0
            async for records in _until(reader, self.source, position):
                read += len(records)
                self.progress.at = read + await reader.position(self.source)
                yield [one for one in records if first <= one.offset < position]
                if not records:
                    await self._check_end(reader, position)
        except OffsetOutOfRangeError:
            await self._check_end(reader, position)
            raise
        finally:
            await reader.stop()

    async def _check_end(self, reader: AIOKafkaConsumer, position: int) -> None:
        """Refuse to wait for records that no longer exist. Called only if no record came."""
        listed: int = (await reader.end_offsets([self.source]))[self.source]
        end = max(listed, reader.highwater(self.source) or 0)
        if end < position:
            message = (
                f"partition {self.source.partition}: the log of {self.source.topic} ends at "
                f"{end}, before the position {position}: the topic was deleted and created again, "
                "or has lost records. To count the remaining records, use a new "
                "NETFOLLOWERS_APP_ID, new result topics and baselines"
            )
            raise OpenRefusedError(message)

    def _batches(self, records: Iterable[OutputRecord], producer: AIOKafkaProducer) -> list[Any]:
        """Turn (key, value[, headers]) into closed batches."""
        batches: list[Any] = []
        batch = producer.create_batch()
        for key, value, *headers in records:
            extra = headers[0] if headers else []
            if batch.append(key=key, value=value, timestamp=None, headers=extra) is None:
                batch.close()
                batches.append(batch)
                batch = producer.create_batch()
                added = batch.append(key=key, value=value, timestamp=None, headers=extra)
                assert added is not None, "a record that fits no batch"
        if batch.record_count():
            batch.close()
            batches.append(batch)
        return batches

    async def _send(self, outputs: Iterable[tuple[Target, Output]]) -> int:
        """Send in this order and wait until all records are stored.

        Return the bytes of the batches.
        """
        producer = self._producer
        assert producer is not None
        futures: list[asyncio.Future[Any]] = []
        size = 0
        try:
            for target, output in outputs:
                at = target if isinstance(target, tuple) else (target, self.source.partition)
                batches: Iterable[Any] = (
                    output.batches
                    if isinstance(output, FinishedBatches)
                    else self._batches(output, producer)
                )
                topic, partition = at
                for batch in batches:
                    size += batch.size()
                    futures.append(await producer.send_batch(batch, topic, partition=partition))
        except IllegalOperation:  # what was sent before has ended the transaction, and knows why
            await asyncio.gather(*futures)
            raise
        if futures:
            await asyncio.gather(*futures)
        return size

    def _parts(self, outputs: Mapping[Target, Output]) -> tuple[_Part, _Part]:
        """Divide the outputs of a seal into those before the tables, and the tables."""
        tables = self._publisher.table_topics
        others: _Part = [one for one in outputs.items() if _topic(one[0]) not in tables]
        return others, [one for one in outputs.items() if _topic(one[0]) in tables]


class TransactionalJournal(KafkaJournal):
    """Exactly once: results and position in one transaction, fenced by a transactional id."""

    is_atomic = True
    _way_back = (
        "another client has overwritten the checkpoint. Stop every worker and run `netfollowers "
        "rebuild`; see `Checkpoint overwritten` in docs/operate/runbook.md"
    )

    async def commit(self, sealed: Sealed) -> int:
        """See `Journal.commit`.

        The offsets follow the results: while the coordinator notes the group, leaders refuse the
        transaction's records as NOT_ENOUGH_REPLICAS (KIP-890), and aiokafka waits 100 ms.
        """
        producer, app_id = self._producer, self._settings.app_id
        assert producer is not None
        await producer.begin_transaction()
        position = OffsetAndMetadata(sealed.checkpoint.position, sealed.checkpoint.to_metadata())
        others, tables = self._parts(sealed.outputs)
        size = await self._send(tables + others)
        await producer.send_offsets_to_transaction({self.source: position}, app_id)
        await producer.commit_transaction()
        if self._sequence() > MAX_SEQUENCE:
            await self._fence()
        return size

    async def reclaim(self) -> Checkpoint | None:
        """See `Journal.reclaim`."""
        self.progress.enter("fence the earlier owner")
        await self._fence()
        return await self.committed()

    async def _checkpoint_and_rows(
        self, reader: AIOKafkaConsumer
    ) -> tuple[Checkpoint | None, dict[str, dict[bytes, bytes]]]:
        checkpoint = await self.committed()
        return checkpoint, await self._rows(reader)

    async def _fence(self) -> None:
        """Start a producer. The broker then ends the open transaction of any earlier producer."""
        await self.close()
        name = f"{self._settings.app_id}-{self.source.partition}"
        producer = clients.transactional_producer(self._settings, name)
        try:
            await clients.start(producer)
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    async def _decided(self, reader: AIOKafkaConsumer) -> None:
        """Refuse to read a table in which a transaction is still undecided.

        After the fence, all transactions of this id are decided. But a broker that was killed while
        it wrote the markers may come back without one of them. Then the commit is there, but its
        rows stay hidden, and the next commit would make them visible again
        (docs/design/decisions/0013).
        """
        self.progress.enter("wait for undecided transactions")
        number = self.source.partition
        results = [TopicPartition(topic, number) for topic in self._publisher.output_topics]
        asker = clients.consumer(self._settings, isolation_level="read_uncommitted")
        try:
            await clients.start(asker)
            until = asyncio.get_running_loop().time() + UNDECIDED_S
            while True:
                ends = await asker.end_offsets(results)
                decided = await reader.end_offsets(results)
                hidden = [tp for tp in results if decided[tp] < ends[tp]]
                if not hidden:
                    return
                if asyncio.get_running_loop().time() > until:
                    break
                await asyncio.sleep(_ASK_AGAIN_S)
        finally:
            await asker.stop()
        tp = hidden[0]
        message = (
            f"partition {number}: a transaction on {tp.topic} is neither committed nor aborted, "
            f"from offset {decided[tp]} on (the log ends at {ends[tp]}): the broker has lost its "
            "marker. See `hanging transaction` in docs/operate/runbook.md"
        )
        raise OpenRefusedError(message)

    def _sequence(self) -> int:
        assert self._producer is not None
        return last_sequence(self._producer)

    async def _end(self, reader: AIOKafkaConsumer, tp: TopicPartition) -> int:
        end: int = (await reader.end_offsets([tp]))[tp]
        return end


class PlainJournal(KafkaJournal):
    """At least once: results first, then the rows of tables, then the checkpoint.

    The checkpoint is a record of the first table with an empty key (no row has it), because Tansu
    drops the metadata of a commit. The group's offset is committed too, for tools that show lag.
    """

    is_atomic = False

    def __init__(
        self,
        settings: Settings,
        partition: int,
        partitions: int,
        publisher: Publisher,
        *,
        commit_position: CommitPosition,
    ) -> None:
        """`commit_position`: commits as a member of the group.

        The commit of a non-member is refused.
        """
        super().__init__(settings, partition, partitions, publisher)
        assert self.tables, "at least once, the checkpoint is kept in a table"
        self._commit_position = commit_position

    async def commit(self, sealed: Sealed) -> int:
        """See `Journal.commit`."""
        others, tables = self._parts(sealed.outputs)
        size = await self._send(others)
        size += await self._send(tables)
        checkpoint = sealed.checkpoint
        position, metadata = checkpoint.position, checkpoint.to_metadata()
        value = msgspec.json.encode(_CheckpointRecord(position, metadata))
        assert self._producer is not None
        await self._producer.send_and_wait(
            self.tables[0].topic, value, key=CHECKPOINT_KEY, partition=self.source.partition
        )
        await self._commit_position(self.source.partition, position, metadata)
        return size

    async def reclaim(self) -> Checkpoint | None:
        """There is no fencing, so the memory cannot be trusted: a shard always opens again."""
        return None

    async def _checkpoint_and_rows(
        self, reader: AIOKafkaConsumer
    ) -> tuple[Checkpoint | None, dict[str, dict[bytes, bytes]]]:
        rows = await self._rows(reader)
        value = rows[self.tables[0].topic].pop(CHECKPOINT_KEY, None)
        if value is None:
            return await self._of_another_guarantee(), rows
        found = msgspec.json.decode(value, type=_CheckpointRecord)
        return self._publisher.decode_checkpoint(found.position, found.metadata), rows

    async def _of_another_guarantee(self) -> Checkpoint | None:
        """Judge a commit without a checkpoint record.

        It is from another guarantee, or the table was deleted.
        """
        checkpoint = await self.committed()
        if checkpoint is not None and checkpoint.settings.get("guarantee") == "at_least_once":
            message = (
                f"partition {self.source.partition}: {self.tables[0].topic} has no "
                f"checkpoint, but group {self._settings.app_id} has committed "
                f"{checkpoint.position}: the topic was deleted and created again. Count again "
                "with a new NETFOLLOWERS_APP_ID and new result topics"
            )
            raise OpenRefusedError(message)
        return checkpoint

    async def _fence(self) -> None:
        await self.close()
        self._producer = clients.producer(self._settings)
        await clients.start(self._producer)

    async def _end(self, reader: AIOKafkaConsumer, tp: TopicPartition) -> int:
        """Return the high watermark of a fetch.

        The embedded broker answers ListOffsets(latest) wrongly.
        """
        await reader.seek_to_beginning(tp)
        while reader.highwater(tp) is None:
            await reader.getmany(tp, timeout_ms=100, max_records=1)
        return int(reader.highwater(tp))


async def _until(reader: AIOKafkaConsumer, tp: TopicPartition, end: int) -> Any:  # noqa: ANN401
    """Yield lists of records until the position has reached `end`, also over markers and gaps.

    A list is empty if no record came.
    """
    while await reader.position(tp) < end:
        found = await reader.getmany(tp, timeout_ms=200, max_records=20_000)
        yield found.get(tp, ())
