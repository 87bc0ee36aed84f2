"""What lies on the result topics, read from the broker: a truth about checkpoints and windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import TopicPartition

from service.kafka import clients
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Results:
    windows: list[tuple[float, str, str]]
    """Log time (s), account, grain of every window result."""
    size: int
    """Bytes of keys, values and headers, all four topics."""
    transactions: int
    """Number of transactions that wrote rows."""


async def results_of(settings: Settings) -> Results:
    """Read every committed record."""
    windows, size, rows, ends = [], 0, 0, {}
    async with clients.consumer(settings, auto_offset_reset="earliest") as reader:
        for topic in settings.result_topics:
            tps = [TopicPartition(topic, number) for number in range(settings.partitions)]
            ends[topic] = await reader.end_offsets(tps)
            for record in await _read(reader, tps, ends[topic]):
                size += _size(record)
                rows += topic == settings.updates_topic
                if topic == settings.windows_topic:
                    told = msgspec.json.decode(record.value)
                    windows.append((record.timestamp / 1_000, told["account_id"], told["grain"]))
    # A transaction leaves a marker in the log of each partition that it wrote to.
    return Results(windows, size, sum(ends[settings.updates_topic].values()) - rows)


async def _read(reader: Any, tps: list[TopicPartition], ends: dict[TopicPartition, int]) -> Any:
    reader.assign(tps)
    found = []
    for tp in tps:
        await reader.seek_to_beginning(tp)
        while await reader.position(tp) < ends[tp]:
            found += (await reader.getmany(tp, timeout_ms=200)).get(tp, ())
    return found


def _size(record: Any) -> int:
    headers = sum(len(name) + len(value) for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers
