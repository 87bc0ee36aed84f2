"""What both journals over Kafka do: the order of an open, the committed checkpoint, the sending.

The order of `open` matters. It first fences, then checks that no transaction is undecided, then
reads the position, then the rows, and then the records that the engine must read again. In another
order a previous owner could still commit unseen.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from service.contract.input_record import RawRecord
from service.contract.results import Output, Target
from service.contract.skipped_ranges import around
from service.kafka import clients
from service.kafka.aiokafka_ext.stable_offsets import ask_for_stable
from service.runtime.engine_port import Checkpoint, Publisher
from service.runtime.journal import ForeignCommitError, OpenRefusedError, Progress, Restored
from service.runtime.journal_restore import LogReader, restore_consumer
from service.runtime.journal_send import send
from service.settings import Settings

_Part = list[tuple[Target, Output]]


def _topic(target: Target) -> str:
    return target[0] if isinstance(target, tuple) else target


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
        self._log = LogReader(settings, self.source, self.progress)
        self._producer: AIOKafkaProducer | None = None

    async def open(self, replay_from: Callable[[Checkpoint], int]) -> Restored:
        """See `Journal.open`. OpenRefusedError when the log contradicts the commit."""
        self.progress.enter("fence the earlier owner")
        await self._fence()
        reader = restore_consumer(self._settings)
        try:
            self.progress.enter("ask for the topics")
            await clients.start(reader)
            reader.assign([self.source, *self.tables])
            await self._check_partitions(reader)
            start = (await reader.beginning_offsets([self.source]))[self.source]
            await self._decided(reader)
            checkpoint, rows = await self._checkpoint_and_rows(reader)
            if checkpoint is not None:
                self._log.check_log_start(checkpoint, start)
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
        reader = restore_consumer(self._settings)
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
            found = len(await reader._client._wait_on_metadata(topic))  # noqa: SLF001
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
            coordinator = asker._coordinator  # noqa: SLF001 - committed() drops the metadata
            ask_for_stable(coordinator)
            found = (await coordinator.fetch_committed_offsets([self.source])).get(self.source)
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

    async def _rows(self, reader: AIOKafkaConsumer) -> dict[str, dict[bytes, bytes]]:
        tables = self.tables
        return {table.topic: await self._log.rows(reader, table, self._end) for table in tables}

    def input(self, parts: Iterable[tuple[int, int]]) -> AsyncGenerator[Sequence[RawRecord]]:
        """Yield the input's records in [first, stop) of each part, list by list."""
        return self._log.input(parts)

    async def _send(self, outputs: Iterable[tuple[Target, Output]]) -> int:
        """Send in this order and wait until all records are stored. Return their bytes."""
        assert self._producer is not None
        return await send(self._producer, self.source.partition, outputs)

    def _parts(self, outputs: Mapping[Target, Output]) -> tuple[_Part, _Part]:
        """Divide the outputs of a seal into those before the tables, and the tables."""
        tables = self._publisher.table_topics
        others: _Part = [one for one in outputs.items() if _topic(one[0]) not in tables]
        return others, [one for one in outputs.items() if _topic(one[0]) in tables]
