"""Reads committed offsets that no transaction can still change (KIP-447, `require_stable`).

After a transaction has been committed, the group coordinator may not have applied it yet, and may
answer with older offsets. aiokafka uses a version of the request (3) that cannot ask the
coordinator to wait for this. That needs version 7. An older broker gets version 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import GroupLoadInProgressError, for_code
from aiokafka.structs import OffsetAndMetadata

from service.kafka.aiokafka_ext import internals
from service.kafka.aiokafka_ext.protocol import OffsetFetchResponseV7, StableOffsetFetch

UNSTABLE: Final = 88
"""UNSTABLE_OFFSET_COMMIT: a transaction is still being applied, so the request must be repeated."""
_LOADING: Final = 14
_NOT_COORDINATOR: Final = 16


async def stable_committed(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition]
) -> Mapping[TopicPartition, OffsetAndMetadata]:
    """Return what the consumer's group has committed, with metadata. Wait until it is stable.

    From then on, `consumer` asks for stable offsets only.
    """
    coordinator = internals.coordinator_of(consumer)

    async def fetch(partitions: list[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        topics: dict[str, list[int]] = {}
        for tp in partitions:
            topics.setdefault(tp.topic, []).append(tp.partition)
        request = StableOffsetFetch(coordinator.group_id, topics)
        return _read(await coordinator._send_req(request), coordinator)  # noqa: SLF001

    coordinator._do_fetch_commit_offsets = fetch  # noqa: SLF001
    return await internals.committed(consumer, partitions)


def _read(response: Any, coordinator: Any) -> dict[TopicPartition, OffsetAndMetadata]:  # noqa: ANN401
    """Return the offsets of a response. A retriable error makes aiokafka send the request again."""
    found = {}
    is_7 = isinstance(response, OffsetFetchResponseV7)
    _check(response.error_code, coordinator)
    for name, partitions, *_ in response.topics:
        for partition, offset, *more in partitions:
            metadata, error_code = more[1:3] if is_7 else more
            _check(error_code, coordinator)
            if offset >= 0:
                found[TopicPartition(name, partition)] = OffsetAndMetadata(offset, metadata)
    return found


def _check(error_code: int, coordinator: Any) -> None:  # noqa: ANN401
    if error_code in (UNSTABLE, _LOADING):
        raise GroupLoadInProgressError
    if error_code:
        if error_code == _NOT_COORDINATOR:
            coordinator.coordinator_dead()
        raise for_code(error_code)
