"""The journal of at least once, for brokers without transactions."""

from __future__ import annotations

from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from service.kafka import clients
from service.runtime.engine_port import Checkpoint, Publisher, Sealed
from service.runtime.journal import CommitPosition, OpenRefusedError
from service.runtime.journal_kafka import KafkaJournal
from service.settings import Settings

CHECKPOINT_KEY: Final = b""


class _CheckpointRecord(msgspec.Struct, frozen=True):
    """At least once: the contents of a commit with metadata."""

    position: int
    metadata: str


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
