"""What a group has committed, looked at again and again through one consumer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from service.settings import Settings

EndsOf = Callable[[Any, list[TopicPartition]], Awaitable[dict[TopicPartition, int]]]


class Commits:
    """Exactly once: the offsets of the group. At least once: checkpoints on the updates topic."""

    def __init__(self, reader: Any, settings: Settings, ends_of: EndsOf) -> None:
        """`reader`: a started consumer of the test; with exactly once, one of the group."""
        self._reader = reader
        self._ends_of = ends_of
        self._is_exactly_once = settings.is_exactly_once
        topic = settings.input_topic if settings.is_exactly_once else settings.updates_topic
        self._tps = [TopicPartition(topic, number) for number in range(settings.partitions)]
        self._read = dict.fromkeys(self._tps, 0)
        self._found: dict[int, OffsetAndMetadata] = {}
        reader.assign(self._tps)

    async def look(self) -> dict[int, OffsetAndMetadata]:
        """Return the committed offset and metadata of each partition, now."""
        if self._is_exactly_once:
            coordinator = self._reader._coordinator
            found = await coordinator.fetch_committed_offsets(self._tps)
            return {tp.partition: at for tp, at in found.items() if at.offset >= 0}
        ends = await self._ends_of(self._reader, self._tps)
        for tp, end in ends.items():
            self._reader.seek(tp, self._read[tp])  # asking Tansu for the end reads on
            while self._read[tp] < end:
                for record in (await self._reader.getmany(tp, timeout_ms=100)).get(tp, ()):
                    self._note(tp, record)
                self._read[tp] = await self._reader.position(tp)
        return dict(self._found)

    def _note(self, tp: TopicPartition, record: Any) -> None:
        if not record.key:
            said = json.loads(record.value)
            self._found[tp.partition] = OffsetAndMetadata(said["position"], said["metadata"])
