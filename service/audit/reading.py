"""Reading partitions from the broker, committed records only, from one offset to another."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from service.audit.published import Committed

BATCH_RECORDS: Final = 20_000
FETCH_BYTES: Final = 16 * 1024 * 1024

Options = Mapping[str, Any]


def consumer(bootstrap: str, options: Options, **more: str) -> AIOKafkaConsumer:
    """Build a consumer that reads committed records and moves by our word only."""
    settings: dict[str, Any] = {
        "bootstrap_servers": bootstrap,
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "max_partition_fetch_bytes": FETCH_BYTES,
        "fetch_max_wait_ms": 100,
    }
    return AIOKafkaConsumer(**{**settings, **options, **more})


async def partition_count(reader: AIOKafkaConsumer, topic: str) -> int:
    """Count the partitions of a topic; raises when there is no such topic."""
    return len(await reader._client._wait_on_metadata(topic))  # noqa: SLF001 - no public way


async def committed(
    bootstrap: str,
    options: Options,
    app_id: str,
    partitions: list[TopicPartition],
) -> dict[int, Committed]:
    """Read what the group has committed, metadata included; partitions without are left out."""
    member = consumer(bootstrap, options, group_id=app_id)
    await member.start()
    try:
        member.assign(partitions)
        found = await member._coordinator.fetch_committed_offsets(partitions)  # noqa: SLF001
    finally:
        await member.stop()
    return {
        tp.partition: Committed(offset.offset, offset.metadata)
        for tp, offset in found.items()
        if offset.offset >= 0
    }


async def beginning(reader: AIOKafkaConsumer, tp: TopicPartition) -> int:
    """First offset that the log still holds."""
    reader.assign([tp])
    offsets: dict[TopicPartition, int] = await reader.beginning_offsets([tp])
    return offsets[tp]


async def end(reader: AIOKafkaConsumer, tp: TopicPartition, *, tansu: bool) -> int:
    """Offset after the last committed record; Tansu only says so in the answer to a fetch."""
    reader.assign([tp])
    if not tansu:
        offsets: dict[TopicPartition, int] = await reader.end_offsets([tp])
        return offsets[tp]
    reader.seek(tp, await beginning(reader, tp))
    while (highwater := reader.highwater(tp)) is None:
        await reader.getmany(tp, timeout_ms=200, max_records=1)
    return int(highwater)


async def batches(
    reader: AIOKafkaConsumer, tp: TopicPartition, start: int, stop: int
) -> AsyncIterator[list[ConsumerRecord]]:
    """Yield the records at [start, stop) in batches; keys and values are bytes or None."""
    reader.assign([tp])
    reader.seek(tp, start)
    while await reader.position(tp) < stop:
        for batch in (await reader.getmany(tp, timeout_ms=500, max_records=BATCH_RECORDS)).values():
            yield [record for record in batch if record.offset < stop]
