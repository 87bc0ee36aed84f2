"""Faust's transport, reduced to group membership. A Faust message is a whole batch.

Faust's own consumer is a member of the group and fetches nothing: its partitions are paused in
aiokafka as soon as they are assigned. The shards read for themselves, and `getmany` gives their
batches to Faust one by one. The service commits positions itself, so acks, commits and seeks of
Faust do nothing here. README.md has a row for every override.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol

import faust
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers.aiokafka import Consumer, ConsumerRebalanceListener, Transport
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from service.kafka.aiokafka_ext.group_health import Membership, usable, why_ended
from service.kafka.aiokafka_ext.internals import coordinator_of


class AssignedShards(Protocol):
    """What the group's member asks of `service.runtime.shards.Shards`, which it does not import."""

    queue: asyncio.Queue[Any]
    """Batches of all readers; each has a `partition`."""
    fail: Callable[[str, BaseException | None], None]

    def assign(self, partitions: Iterable[int]) -> None:
        """Hold exactly these partitions."""

    async def revoke(self) -> None:
        """Hold no shard, when the counted records are committed."""

    def owner(self, batch: Any) -> object | None:  # noqa: ANN401 - what the queue holds
        """Return the owner of the batch; None for a batch of an earlier assignment."""


class PausingListener(ConsumerRebalanceListener):
    """Pauses assigned partitions before Faust can fetch from them."""

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Runs in the consumer's thread, directly after the assignment."""
        partitions = list(assigned)
        self._thread._ensure_consumer().pause(*partitions)  # noqa: SLF001 - aiokafka's own pause
        await super().on_partitions_assigned(partitions)


class BatchConsumer(Consumer):
    """The member of the group. It yields the batches of the shards."""

    logger = logging.getLogger("faust.transport")  # it would log under the name of this module
    RebalanceListener = PausingListener
    shards: AssignedShards
    input_topic: str
    membership: Membership
    _yielded = 0

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Make a checkpoint of the counted records before the group continues."""
        self.membership.revoked()
        try:
            await self.shards.revoke()
        except Exception as error:  # noqa: BLE001 - aiokafka would swallow it
            self.shards.fail("a revoke failed", error)
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Give the assignment to the shards. They open in their own tasks."""
        self.membership.assigned(generation_id, self._owners())
        self.shards.assign(tp.partition for tp in assigned)
        await super().on_partitions_assigned(assigned, generation_id)

    def _owners(self) -> dict[int, str]:
        """Return the address of each partition, from the metadata of each member.

        See docs/design/decisions/0014.
        """
        found = self.app.assignor.external_topic_distribution
        return usable(
            {
                partition: url
                for url, topics in found.items()
                for partition in topics.get(self.input_topic, ())
            }
        )

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """Yield one message per batch. Its value is the batch."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        try:
            batch = await asyncio.wait_for(self.shards.queue.get(), timeout)
        except TimeoutError:
            return
        if self.shards.owner(batch) is None:
            return
        self._yielded += 1
        tp = TP(self.input_topic, batch.partition)
        yield tp, ConsumerMessage(
            tp.topic, tp.partition, self._yielded, 0.0, 0, [], b"", batch, None, 0, 0, tp,
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def commit_position(self, partition: int, position: int, metadata: str) -> None:
        """Commit as this member of the group. Raises the error of the broker."""
        thread = self._thread
        where = {TopicPartition(self.input_topic, partition): OffsetAndMetadata(position, metadata)}
        await thread.call_thread(thread._ensure_consumer().commit, where)  # noqa: SLF001

    def why_lost(self) -> BaseException | None:
        """Return the error that has ended the membership of the group; None if all is well.

        A membership that says nothing for too long counts as ended.
        """
        consumer = self._thread and self._thread._consumer  # noqa: SLF001
        coordinator = consumer and coordinator_of(consumer)
        if not coordinator:
            return None
        self.membership.hear(coordinator)
        if error := why_ended(coordinator):
            return error
        why = self.membership.why_lost()
        return TimeoutError(why) if why else None

    async def perform_seek(self) -> None:
        """Do nothing: a shard's reader is positioned once, when it starts."""

    async def commit(self, *_: Any, **__: Any) -> bool:  # noqa: ANN401
        """Do nothing: the journal commits the position."""
        return True

    def ack(self, message: Any) -> bool:  # noqa: ANN401
        """Do nothing, see `commit`."""
        message.acked = True
        return True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: Faust's interval tree of gaps would take two thirds of the CPU."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: the shards watch themselves (`Shard.why_stuck`)."""


class BatchTransport(Transport):
    """Faust's aiokafka transport with `BatchConsumer`."""

    Consumer = BatchConsumer

    def __init__(
        self,
        url: Any,  # noqa: ANN401 - yarl's
        app: faust.App,
        *,
        shards: AssignedShards,
        input_topic: str,
        lost_after_s: float,
    ) -> None:
        """`shards`: they get the assignments, and give the batches of `input_topic`."""
        super().__init__(url, app)
        self._lost_after_s = lost_after_s
        self._shards = shards
        self._input_topic = input_topic

    def create_consumer(self, callback: Any, **kwargs: Any) -> BatchConsumer:  # noqa: ANN401
        """Build the member of the group."""
        consumer: BatchConsumer = super().create_consumer(callback, **kwargs)
        consumer.shards = self._shards
        consumer.input_topic = self._input_topic
        consumer.membership = Membership(self._lost_after_s)
        return consumer


class BatchSchema(faust.Schema):
    """Passes a batch through, because nothing is left to deserialize."""

    def loads_key(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Return no key, because a message is many records."""
        return

    def loads_value(self, _: faust.App, message: ConsumerMessage, **__: Any) -> Any:  # noqa: ANN401
        """Return the batch itself."""
        return message.value
