"""What aiokafka's clients know and do not offer. No other room reaches into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request
from aiokafka.structs import OffsetAndMetadata


async def partition_count(consumer: AIOKafkaConsumer, topic: str) -> int:
    """Return the number of partitions of a topic. Producers have a method for it."""
    return len(await consumer._client._wait_on_metadata(topic))  # noqa: SLF001


def coordinator_of(consumer: AIOKafkaConsumer) -> Any:  # noqa: ANN401 - aiokafka is untyped
    """Return what talks to the coordinator of the consumer's group."""
    return consumer._coordinator  # noqa: SLF001


async def committed(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]
) -> Mapping[TopicPartition, OffsetAndMetadata]:
    """Return what the consumer's group has committed. Its `committed()` drops the metadata."""
    found: Mapping[TopicPartition, OffsetAndMetadata]
    found = await coordinator_of(consumer).fetch_committed_offsets(partitions)
    return found


def last_sequence(producer: AIOKafkaProducer) -> int:
    """Return the highest sequence number that a transactional producer has used; 0 at first."""
    return max(producer._txn_manager._sequence_numbers.values(), default=0)  # noqa: SLF001


async def send(
    admin: AIOKafkaAdminClient,
    request: Request[Any],
    node: int | None = None,
) -> Any:  # noqa: ANN401 - the response that belongs to the request
    """Send a request of `protocol` to a node, or to any. Return the response."""
    if node is None:
        return await admin._send_request(request)  # noqa: SLF001
    return await admin._send_request_to_node(node, request)  # noqa: SLF001
