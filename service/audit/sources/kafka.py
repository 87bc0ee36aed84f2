"""Reads an audit's source from a broker. The worker may be running."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import ConsumerRecord

from service.audit.model.input_record import LogRecord
from service.audit.published import Committed, json_object
from service.audit.sources.group import GroupCommits, is_swept
from service.audit.sources.source import INPUT, KINDS, AuditSourceError, Extent, Snapshot, Topics

BATCH_RECORDS: Final = 10_000
FETCH_BYTES: Final = 4 * 1_024 * 1_024
SILENT_FOR_S: Final = 60.0
QUIET_S: Final = 0.05
"""Seconds between two looks. If both see the same, no transaction ended in between."""
LOOKS: Final = 400
LOG_APPEND_TIME: Final = 1
_WRITTEN: Final = "written"
"""The consumer that sees the end of the written records, committed or not."""

Options = Mapping[str, Any]


class _Look(NamedTuple):
    committed: Committed | None
    stops: Mapping[str, int]
    is_decided: bool = True
    """False: a transaction has records after the ends, and its commit may be visible already."""


class KafkaSource:
    """Use with `async with`.

    It has one consumer per topic, so that all can be read side by side.
    """

    def __init__(
        self, options: Options, topics: Topics, app_id: str, *, at_least_once: bool = False
    ) -> None:
        """`options`: brokers and credentials, in the form of aiokafka's clients."""
        self.topics = topics
        self.at_least_once = at_least_once
        self._options = dict(options)
        self._admin = AIOKafkaAdminClient(**self._options)
        self._commits = GroupCommits(self._admin, app_id)
        self._consumers: dict[str, AIOKafkaConsumer] = {}

    async def __aenter__(self) -> Self:
        """Connect."""
        try:
            await self._admin.start()
            for kind in KINDS:
                self._consumers[kind] = consumer(self._options)
            self._consumers[_WRITTEN] = consumer(self._options, isolation_level="read_uncommitted")
            for one in self._consumers.values():
                await one.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        for one in self._consumers.values():
            await one.stop()
        await self._admin.close()

    async def partitions(self) -> int:
        """Return the number of partitions.

        A request for a missing topic could create it, so list first.
        """
        existing = set(await self._admin.list_topics())
        for name in self.topics.values():
            if name not in existing:
                message = f"there is no topic {name}, or this user may not see it"
                raise AuditSourceError(message)
        described = await self._admin.describe_topics(list(self.topics.values()))
        counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
        if len(set(counts.values())) != 1:
            message = f"the topics have different numbers of partitions: {counts}"
            raise AuditSourceError(message)
        return counts[self.topics[INPUT]]

    async def snapshot(self, partition: int) -> Snapshot:
        """Look until nothing changes between two looks.

        Prefer a moment without an unfinished sweep.
        """
        before = await self._look(partition)
        for tries in range(LOOKS):
            await asyncio.sleep(QUIET_S)
            now = await self._look(partition)
            if now == before and now.is_decided and (tries > LOOKS // 2 or is_swept(now.committed)):
                return await self._snapshot(partition, now)
            before = now
        message = (
            f"partition {partition} changes too often to be read at one moment: pause its producers"
            if before.is_decided
            else f"partition {partition} has a transaction that is neither committed nor aborted: "
            "see `hanging transaction` in docs/operate/runbook.md, or pause its producers"
        )
        raise AuditSourceError(message)

    async def records(
        self, kind: str, partition: int, extent: Extent
    ) -> AsyncIterator[list[LogRecord]]:
        """Yield committed records.

        TimeoutError if the broker does not send records that must exist.
        """
        tp = self._tp(kind, partition)
        reader = self._consumers[kind]
        reader.assign([tp])
        reader.seek(tp, extent.start)
        silent_from = asyncio.get_running_loop().time()
        while (position := await reader.position(tp)) < extent.stop:
            batches = await reader.getmany(tp, timeout_ms=200, max_records=BATCH_RECORDS)
            now = asyncio.get_running_loop().time()
            if batches or await reader.position(tp) > position:
                silent_from = now
            elif now - silent_from > SILENT_FOR_S:
                message = (
                    f"the broker sends no record of {tp.topic}/{partition} after offset {position}"
                )
                raise TimeoutError(message)
            for batch in batches.values():
                yield [_record(one) for one in batch if one.offset < extent.stop]

    async def end(self, kind: str, partition: int) -> int:
        """Return the offset after the last committed record.

        With at least once, only the response to a fetch gives the right offset.
        """
        tp = self._tp(kind, partition)
        reader = self._consumers[kind]
        reader.assign([tp])
        if not self.at_least_once:
            return int((await reader.end_offsets([tp]))[tp])
        reader.seek(tp, await self._start(kind, partition))
        while (highwater := reader.highwater(tp)) is None:
            await reader.getmany(tp, timeout_ms=200, max_records=1)
        return int(highwater)

    async def _look(self, partition: int) -> _Look:
        """Read at once what was committed and where the results end.

        The broker writes the markers of a commit one after the other. The marker of the group may
        be there before that of a result topic. Then there are records after the last stable offset.
        """
        results = KINDS[1:]
        ends = await asyncio.gather(*(self.end(kind, partition) for kind in results))
        stops = dict(zip(results, ends, strict=True))
        if self.at_least_once:
            extent = Extent(await self._start("updates", partition), stops["updates"])
            return _Look(await self._committed_in_table(partition, extent), stops)
        committed = await self._commits.of(self._tp(INPUT, partition))
        asked = [self._tp(kind, partition) for kind in results]
        written = await self._consumers[_WRITTEN].end_offsets(asked)
        is_decided = all(written[self._tp(kind, partition)] == stops[kind] for kind in results)
        return _Look(committed, stops, is_decided)

    async def _snapshot(self, partition: int, look: _Look) -> Snapshot:
        stops = {**look.stops, INPUT: await self.end(INPUT, partition)}
        extents = {
            kind: Extent(await self._start(kind, partition), stop) for kind, stop in stops.items()
        }
        is_stamped = await self._is_stamped(partition, extents[INPUT])
        return Snapshot(partition, look.committed, extents, is_stamped)

    async def _start(self, kind: str, partition: int) -> int:
        tp = self._tp(kind, partition)
        self._consumers[kind].assign([tp])
        return int((await self._consumers[kind].beginning_offsets([tp]))[tp])

    async def _committed_in_table(self, partition: int, extent: Extent) -> Committed | None:
        """Read the commit of at least once: the last record with an empty key in the table."""
        committed = None
        async for batch in self.records("updates", partition, extent):
            for record in batch:
                if not record.key and record.value:
                    said = json_object(record.value)
                    committed = Committed(int(str(said["position"])), str(said["metadata"]))
        return committed

    async def _is_stamped(self, partition: int, extent: Extent) -> bool:
        """Tell whether the broker set the log times. This matters only if the log is cut."""
        if extent.start == 0 or extent.start >= extent.stop:
            return True
        tp = self._tp(INPUT, partition)
        reader = self._consumers[INPUT]
        reader.assign([tp])
        reader.seek(tp, extent.start)
        found = await reader.getmany(tp, timeout_ms=5_000, max_records=1)
        return all(one.timestamp_type == LOG_APPEND_TIME for one in found.get(tp, ()))

    def _tp(self, kind: str, partition: int) -> TopicPartition:
        return TopicPartition(self.topics[kind], partition)


def consumer(options: Options, **overrides: Any) -> AIOKafkaConsumer:  # noqa: ANN401 - aiokafka's
    """Build a consumer that reads committed records. It moves only when this code seeks."""
    return AIOKafkaConsumer(
        **{
            **options,
            "isolation_level": "read_committed",
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "max_partition_fetch_bytes": FETCH_BYTES,
            "fetch_max_wait_ms": 100,
            **overrides,
        }
    )


def _record(one: ConsumerRecord) -> LogRecord:
    return LogRecord(one.offset, one.timestamp, one.key, one.value, list(one.headers))
