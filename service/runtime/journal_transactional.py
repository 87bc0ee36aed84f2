"""The journal of exactly once: a checkpoint is one Kafka transaction."""

from __future__ import annotations

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from service.kafka import clients
from service.runtime.engine_port import Checkpoint, Sealed
from service.runtime.journal import OpenRefusedError
from service.runtime.journal_kafka import KafkaJournal

MAX_SEQUENCE: Final = 2**31 - 2**24
"""aiokafka's producer wraps its sequence number wrongly after 2^31 records.

So it is renewed before.
"""

UNDECIDED_S: Final = 30.0
"""Seconds after the fence. A transaction that is still undecided then will never be decided."""
_ASK_AGAIN_S: Final = 0.2


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
        numbers = self._producer._txn_manager._sequence_numbers  # noqa: SLF001
        return max(numbers.values(), default=0)

    async def _end(self, reader: AIOKafkaConsumer, tp: TopicPartition) -> int:
        end: int = (await reader.end_offsets([tp]))[tp]
        return end
