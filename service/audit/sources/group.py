"""Reads what a consumer group has committed, with its metadata (exactly once only)."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from service.audit.published import Committed, json_object

TRIES: Final = 50
WAIT_S: Final = 0.2


class GroupCommits:
    """Asks the coordinator of the group.

    It tries again while the coordinator moves or is missing.
    """

    def __init__(self, admin: AIOKafkaAdminClient, app_id: str) -> None:
        """`app_id`: the group."""
        self._admin = admin
        self._app_id = app_id

    async def of(self, tp: TopicPartition) -> Committed | None:
        """Return the commit of one input partition; None before the first commit."""
        found = await self._offsets(tp)
        if tp not in found or found[tp].offset < 0:
            return None
        return Committed(found[tp].offset, found[tp].metadata)

    async def _offsets(self, tp: TopicPartition) -> Mapping[TopicPartition, Any]:
        for _ in range(TRIES):
            try:
                return await self._ask(tp)
            except KafkaError as error:
                if not error.retriable:
                    raise
                await asyncio.sleep(WAIT_S)
        return await self._ask(tp)

    async def _ask(self, tp: TopicPartition) -> Mapping[TopicPartition, Any]:
        offsets: Mapping[TopicPartition, Any] = await self._admin.list_consumer_group_offsets(
            self._app_id, partitions=[tp]
        )
        return offsets


def is_swept(committed: Committed | None) -> bool:
    """Tell whether the commit was made while no sweep was unfinished."""
    sweep = json_object(committed.metadata).get("sweep") if committed else None
    if not isinstance(sweep, dict):
        return True
    return bool(sweep.get("closed_to_ms") == sweep.get("closing_to_ms"))
