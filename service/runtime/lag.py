"""Measures the lag of each partition: from the broker on a timer, not from fetches.

A stuck reader does not report the lag that it has not fetched, but the broker does. The lag in time
is the age of the record at the worker's position. A fetch of one record reads its timestamp.

There is a second lag. While the transaction of a producer is open, consumers of committed records
get nothing from its first record on. The last stable offset does not move, and the log grows. A
consumer that reads uncommitted records finds the end of the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.kafka import clients
from service.kafka.aiokafka_ext.batches import UnpackError
from service.settings import Settings

if TYPE_CHECKING:
    from service.runtime.shard import Shard

    AnyShard = Shard[Any]

log = logging.getLogger(__name__)

INTERVAL_S: Final = 5.0
_FETCH_S: Final = 2.0
_FETCH_BYTES: Final = 16_384


@dataclass(frozen=True, slots=True)
class Seen:
    """The broker's response about a partition at `at_s`, in seconds since the epoch.

    `end`: its last stable offset. `stamp_ms`: when the record at `position` was written, in epoch
    ms; None without such a record or a response. `hidden`: records and markers between the last
    stable offset and the end of the log. `hidden_since_s`: since when this worker has seen that
    last stable offset.
    """

    at_s: float
    end: int
    position: int
    stamp_ms: int | None
    hidden: int = 0
    hidden_since_s: float = 0.0


class Lag:
    """The lag by partition. `run` sends requests; the other methods use the last responses."""

    def __init__(self, settings: Settings, shards: Iterable[AnyShard]) -> None:
        """Start without responses."""
        self._settings = settings
        self._shards = shards
        self._seen: dict[int, Seen] = {}
        self._told: set[int] = set()

    def records(self, shard: AnyShard) -> int:
        """Return the records between the last known stable offset and the shard's position."""
        seen = self._seen.get(shard.partition)
        asked = seen.end - shard.engine.position if seen else 0
        return max(0, shard.lag, asked)

    def age_s(self, shard: AnyShard) -> float:
        """Return the age of the oldest record that is not applied; 0 without one.

        INTERVAL_S late.
        """
        if self.records(shard) == 0:
            return 0.0
        now, position = time.time(), shard.engine.position
        seen = self._seen.get(shard.partition)
        if seen is None or position != seen.position:  # it moves: nothing older than the last one
            return max(0.0, now - shard.applied_ms / 1_000) if shard.applied_ms else 0.0
        if seen.stamp_ms is None:  # it came after we asked
            return max(0.0, now - seen.at_s)
        return max(0.0, now - seen.stamp_ms / 1_000)

    def hidden(self, shard: AnyShard) -> int:
        """Return the number of records that an open transaction hides. INTERVAL_S late."""
        seen = self._seen.get(shard.partition)
        if seen is None or shard.engine.position > seen.end:  # it has ended since we asked
            return 0
        return seen.hidden

    def hidden_s(self, shard: AnyShard) -> float:
        """Return the seconds for which this worker has seen that transaction open; 0 without one.

        It does not use the first record's timestamp, because a producer can set it to any time.
        """
        seen = self._seen.get(shard.partition)
        if not self.hidden(shard) or seen is None:
            return 0.0
        return max(0.0, time.time() - seen.hidden_since_s)

    def why_hidden(self, shard: AnyShard) -> str:
        """Return which open transaction has blocked a partition for too long; "" without one."""
        seconds = self.hidden_s(shard)
        if seconds < self._settings.stuck_after_s:
            return ""
        return (
            f"an open transaction of a producer has hidden {self.hidden(shard)} records of "
            f"{self._settings.input_topic} partition {shard.partition} for {seconds:.0f} s, from "
            f"offset {self._seen[shard.partition].end} on "
            "(docs/operate/runbook.md, NetFollowersHidden)"
        )

    async def run(self) -> None:
        """Send requests without end. Without a response the last values stay, and become older."""
        while True:
            consumer = clients.consumer(self._settings, max_partition_fetch_bytes=_FETCH_BYTES)
            everything = clients.consumer(self._settings, isolation_level="read_uncommitted")
            try:
                await clients.start(consumer)
                await clients.start(everything)
                while True:
                    await self._ask(consumer, everything)
                    self._tell()
                    await asyncio.sleep(INTERVAL_S)
            except (KafkaError, OSError) as error:
                log.debug("the lag could not be read: %r", error)
            finally:
                await consumer.stop()
                await everything.stop()
            await asyncio.sleep(INTERVAL_S)

    def _tell(self) -> None:
        """Log once that a transaction blocks a partition, and once that it has ended."""
        for shard in self._shards:
            why, partition = self.why_hidden(shard), shard.partition
            if why and partition not in self._told:
                self._told.add(partition)
                log.error("%s: nothing behind it is counted", why)
            elif partition in self._told and not self.hidden(shard):
                self._told.discard(partition)
                log.info("the open transaction has ended partition=%d", partition)

    async def _ask(self, consumer: AIOKafkaConsumer, everything: AIOKafkaConsumer) -> None:
        held = {shard.partition: shard for shard in self._shards}
        for partition in self._seen.keys() - held.keys():
            del self._seen[partition]
        self._told &= held.keys()
        if not held:
            return
        sources = {TopicPartition(self._settings.input_topic, number) for number in held}
        heads = await everything.end_offsets(sorted(sources))
        # After the other: what comes between the two hides nothing.
        ends = await consumer.end_offsets(sorted(sources))
        at_s = time.time()
        positions = {tp: held[tp.partition].engine.position for tp in sources}
        behind = {tp: position for tp, position in positions.items() if position < ends[tp]}
        stamps = await _stamps(consumer, behind) if behind else {}
        for tp, position in positions.items():
            hidden, since_s = max(0, heads[tp] - ends[tp]), at_s
            before = self._seen.get(tp.partition)
            if hidden and before is not None and before.hidden and before.end == ends[tp]:
                since_s = before.hidden_since_s
            self._seen[tp.partition] = Seen(
                at_s, ends[tp], position, stamps.get(tp), hidden, since_s
            )


async def _stamps(
    consumer: AIOKafkaConsumer, positions: dict[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Return the log timestamp, in epoch ms, of the first record at or after each position."""
    consumer.assign(list(positions))
    for tp, position in positions.items():
        consumer.seek(tp, position)
    stamps: dict[TopicPartition, int] = {}
    until = time.monotonic() + _FETCH_S
    try:
        while len(stamps) < len(positions) and time.monotonic() < until:
            missing = [tp for tp in positions if tp not in stamps]
            for tp, records in (await consumer.getmany(*missing, timeout_ms=200)).items():
                if records and tp not in stamps:
                    stamps[tp] = records[0].timestamp
    except UnpackError as error:  # the shard's reader meets it too, and ends the worker
        log.debug("the age of the oldest record could not be read: %s", error)
    finally:
        consumer.unsubscribe()
    return stamps
