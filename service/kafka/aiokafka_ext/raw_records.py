"""Consumers that hand out aiokafka's raw C records instead of building a ConsumerRecord for each.

aiokafka has no option for it. A consumer made by `raw_consumer` carries the marker `RAW` as its key
deserializer, which aiokafka passes down to where records are built; there `_record` looks for it.
Other consumers in the process are not touched. `tests/broker/test_libraries.py` fails when aiokafka
changes underneath.
"""

from __future__ import annotations

from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher

from service.kafka.clients import consumer
from service.settings import Settings


def RAW(key: bytes) -> bytes:  # noqa: N802 - a marker, never called
    """Mark a consumer whose records stay raw."""
    return key


_consumer_record: Final = fetcher.PartitionRecords._consumer_record  # noqa: SLF001


def _record(self: Any, tp: Any, record: Any) -> Any:  # noqa: ANN401 - aiokafka is untyped
    if self._key_deserializer is RAW:
        return record
    return _consumer_record(self, tp, record)


def raw_consumer(settings: Settings, **overrides: Any) -> AIOKafkaConsumer:  # noqa: ANN401
    """Build a consumer whose records are raw: offset, timestamp, key, value, headers."""
    fetcher.PartitionRecords._consumer_record = _record  # noqa: SLF001
    return consumer(settings, key_deserializer=RAW, **overrides)
