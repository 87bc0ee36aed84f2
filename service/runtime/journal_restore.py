"""What an open of a shard reads from its topics: the rows of each table, and the input again.

It refuses what cannot be read: records that retention has deleted, and a log that ends too early.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from service.contract.input_record import RawRecord
from service.kafka import clients
from service.kafka.aiokafka_ext.raw_records import raw_consumer
from service.runtime.engine_port import Checkpoint
from service.runtime.journal import OpenRefusedError, Progress
from service.settings import Settings

RESTORE_FETCH_BYTES: Final = 8 * 1_024 * 1_024

EndOf = Callable[[AIOKafkaConsumer, TopicPartition], Awaitable[int]]
"""Returns the offset at which a table ends."""


def restore_consumer(settings: Settings) -> AIOKafkaConsumer:
    """Make a consumer that fetches as much as a restore should read at once."""
    return raw_consumer(settings, max_partition_fetch_bytes=RESTORE_FETCH_BYTES)


@dataclass(frozen=True, slots=True)
class LogReader:
    """Reads one partition of the input and of the tables. `source`: that of the input."""

    settings: Settings
    source: TopicPartition
    progress: Progress

    async def rows(
        self, reader: AIOKafkaConsumer, table: TopicPartition, end_of: EndOf
    ) -> dict[bytes, bytes]:
        """Read the rows of a table: the latest value of each key, in the order of writing."""
        self.progress.enter("read the rows")
        self.progress.part = 0.0
        rows: dict[bytes, bytes] = {}
        read = 0
        reader.assign([table])
        end = await end_of(reader, table)
        await reader.seek_to_beginning(table)
        async for records in _until(reader, table, end):
            read += len(records)
            position = await reader.position(table)
            self.progress.at, self.progress.part = read + position, min(1.0, position / end)
            for record in records:
                if record.value is None:
                    rows.pop(record.key, None)
                else:
                    rows[record.key] = record.value
        self.progress.part = 1.0
        return rows

    async def input(self, parts: Iterable[tuple[int, int]]) -> AsyncGenerator[Sequence[RawRecord]]:
        """Yield the input's records in [first, stop) of each part, list by list."""
        for first, stop in parts:
            async with aclosing(self._part(first, stop)) as part:
                async for records in part:
                    yield records

    async def _part(self, first: int, position: int) -> AsyncGenerator[Sequence[RawRecord]]:
        """Use a new consumer, because no seek may overtake a fetch in flight."""
        self.progress.enter("read the input again")
        reader = restore_consumer(self.settings)
        try:
            await clients.start(reader)
            reader.assign([self.source])
            reader.seek(self.source, first)
            read = 0
            async for records in _until(reader, self.source, position):
                read += len(records)
                self.progress.at = read + await reader.position(self.source)
                yield [one for one in records if first <= one.offset < position]
                if not records:
                    await self._check_end(reader, position)
        except OffsetOutOfRangeError:
            await self._check_end(reader, position)
            raise
        finally:
            await reader.stop()

    async def _check_end(self, reader: AIOKafkaConsumer, position: int) -> None:
        """Refuse to wait for records that no longer exist. Called only if no record came."""
        listed: int = (await reader.end_offsets([self.source]))[self.source]
        end = max(listed, reader.highwater(self.source) or 0)
        if end < position:
            message = (
                f"partition {self.source.partition}: the log of {self.source.topic} ends at "
                f"{end}, before the position {position}: the topic was deleted and created again, "
                "or has lost records. To count the remaining records, use a new "
                "NETFOLLOWERS_APP_ID, new result topics and baselines"
            )
            raise OpenRefusedError(message)

    def check_log_start(self, checkpoint: Checkpoint, start: int) -> None:
        """Refuse to continue after records that were deleted and not counted."""
        if start > checkpoint.position:
            message = (
                f"partition {self.source.partition}: the log of {self.source.topic} starts at "
                f"{start}, after the position {checkpoint.position}: records were deleted before "
                "they were counted. To continue from here, use a new NETFOLLOWERS_APP_ID, new "
                "result topics and baselines. Raise retention.ms of the input topic, so that it "
                "does not happen again"
            )
            raise OpenRefusedError(message)


async def _until(reader: AIOKafkaConsumer, tp: TopicPartition, end: int) -> Any:  # noqa: ANN401
    """Yield lists of records until the position has reached `end`, also over markers and gaps.

    A list is empty if no record came.
    """
    while await reader.position(tp) < end:
        found = await reader.getmany(tp, timeout_ms=200, max_records=20_000)
        yield found.get(tp, ())
