"""How far behind each partition is: asked of the broker on a timer, not of our own fetches.

A reader that is stuck reports no lag that it has not fetched; the broker does. What a worker is
behind in time is the age of the record at its position, and that record's timestamp is asked for
with a fetch of one record.

There is a second lag. While a producer's transaction is open, consumers of committed records get
nothing from its first record on: the last stable offset stands still, and the log grows. A
consumer that reads uncommitted records asks for the end of the log.
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
    """What the broker said about a partition at `at_s`, seconds since the epoch.

    `end`: its last stable offset. `stamp_ms`: when the record at `position` was written, epoch ms;
    None without such a record or an answer. `hidden`: records and markers between the last
    stable offset and the end of the log; `hidden_since_s`: since when this worker has seen the last
    stable offset stand there.
    """

    at_s: float
    end: int
    position: int
    stamp_ms: int | None
    hidden: int = 0
    hidden_since_s: float = 0.0


class Lag:
    """What is behind, by partition. `run` asks; the rest answers from what was heard last."""

    def __init__(self, settings: Settings, shards: Iterable[AnyShard]) -> None:
        """Nothing is asked yet."""
        self._settings = settings
        self._shards = shards
        self._seen: dict[int, Seen] = {}
        self._told: set[int] = set()

    def records(self, shard: AnyShard) -> int:
        """Records between the last stable offset, as far as known, and the shard's position."""
        seen = self._seen.get(shard.partition)
        asked = seen.end - shard.engine.position if seen else 0
        return max(0, shard.lag, asked)

    def age_s(self, shard: AnyShard) -> float:
        """Age of the oldest record that is not applied; 0 when there is none. INTERVAL_S late."""
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
        """Records that an open transaction hides: the last stable offset's lag. INTERVAL_S late."""
        seen = self._seen.get(shard.partition)
        if seen is None or shard.engine.position > seen.end:  # it has ended since we asked
            return 0
        return seen.hidden

    def hidden_s(self, shard: AnyShard) -> float:
        """For how long this worker has seen that transaction open, s; 0 without one.

        Not by the first record's timestamp: that may be a producer's, of any time.
        """
        seen = self._seen.get(shard.partition)
        if not self.hidden(shard) or seen is None:
            return 0.0
        return max(0.0, time.time() - seen.hidden_since_s)

    def why_hidden(self, shard: AnyShard) -> str:
        """Say which open transaction has held a partition up for too long; empty when none has."""
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
        """Ask for ever. A broker that does not answer leaves what is known, which ages."""
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
        """Log once that a transaction holds a partition up, and once that it has ended."""
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
    """Log timestamps, epoch ms, of the first record at or after each position."""
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
