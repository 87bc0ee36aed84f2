"""Consumers that return aiokafka's raw C records, and build no ConsumerRecord for each.

aiokafka has no option for this. A consumer made by `raw_consumer` has the marker `RAW` as its key
deserializer. aiokafka passes it down to the place where records are built, and `_record` looks for
it there. Other consumers in the process do not change. `tests/integration/kafka/test_libraries.py`
fails if aiokafka changes.
"""

from __future__ import annotations

from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher

from service.kafka.clients import consumer
from service.settings import Settings


def RAW(key: bytes) -> bytes:  # noqa: N802 - a marker, never called
    """Marks a consumer whose records stay raw."""
    return key


_consumer_record: Final = fetcher.PartitionRecords._consumer_record  # noqa: SLF001


def _record(self: Any, tp: Any, record: Any) -> Any:  # noqa: ANN401 - aiokafka is untyped
    if self._key_deserializer is RAW:
        return record
    return _consumer_record(self, tp, record)


def raw_consumer(settings: Settings, **overrides: Any) -> AIOKafkaConsumer:  # noqa: ANN401
    """Build a consumer with raw records: offset, timestamp, key, value, headers."""
    fetcher.PartitionRecords._consumer_record = _record  # noqa: SLF001
    return consumer(settings, key_deserializer=RAW, **overrides)
