"""The audit of a running system: read everything back, recompute it, compare.

The worker must be at rest: what it commits while the audit reads is reported as a mismatch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from service.audit import reading
from service.audit.compare import RESULT_KINDS, Comparison, finish
from service.audit.findings import Findings
from service.audit.model import LogRecord, Rules
from service.audit.published import Committed, Place, Published, json_object
from service.audit.settings import rules_of

Report = Findings


@dataclass(frozen=True)
class Target:
    """What to audit and how; `rules` None: those that the committed metadata names."""

    bootstrap: str
    input_topic: str
    result_topics: Mapping[str, str]  # by kind, see RESULT_KINDS
    app_id: str
    rules: Rules | None = None
    at_least_once: bool = False
    expect_swept: bool = True
    tansu: bool = False
    client_options: Mapping[str, Any] = field(default_factory=dict)


async def check(  # noqa: PLR0913 - the callers name them all
    bootstrap: str,
    *,
    input_topic: str,
    updates_topic: str,
    windows_topic: str,
    late_topic: str,
    rejected_topic: str,
    app_id: str,
    rules: Rules | None = None,
    at_least_once: bool = False,
    expect_swept: bool = True,
    tansu: bool = False,
    client_options: Mapping[str, Any] | None = None,
) -> Report:
    """Audit every partition of the input; see `Target` for the words."""
    topics = (updates_topic, windows_topic, late_topic, rejected_topic)
    target = Target(
        bootstrap=bootstrap,
        input_topic=input_topic,
        result_topics=dict(zip(RESULT_KINDS, topics, strict=True)),
        app_id=app_id,
        rules=rules,
        at_least_once=at_least_once,
        expect_swept=expect_swept,
        tansu=tansu,
        client_options=client_options or {},
    )
    return await audit(target)


async def audit(target: Target) -> Report:
    """Audit a target, one partition at a time."""
    findings = Findings()
    reader = reading.consumer(target.bootstrap, target.client_options)
    await reader.start()
    try:
        count = await reading.partition_count(reader, target.input_topic)
        for topic in target.result_topics.values():
            found = await reading.partition_count(reader, topic)
            findings.expect(found, count, "partitions of %s", topic)
        before = await _committed(target, count, reader)
        for partition in range(count if findings.ok else 0):
            one = _Partition(target, partition, reader, findings)
            await one.audit(before.get(partition))
        findings.compared["partitions"] = count
        if await _committed(target, count, reader) != before:
            findings.mismatch("the worker committed during the audit: stop it or its input first")
    finally:
        await reader.stop()
    return findings


async def _committed(target: Target, count: int, reader: AIOKafkaConsumer) -> dict[int, Committed]:
    """Position and metadata by partition: from the group, at least once from the table itself."""
    if not target.at_least_once:
        partitions = [TopicPartition(target.input_topic, number) for number in range(count)]
        return await reading.committed(
            target.bootstrap, target.client_options, target.app_id, partitions
        )
    found = {}
    for number in range(count):
        tp = TopicPartition(target.result_topics["updates"], number)
        start = await reading.beginning(reader, tp)
        stop = await reading.end(reader, tp, tansu=target.tansu)
        async for batch in reading.batches(reader, tp, start, stop):
            for record in batch:
                if not record.key:
                    said = json_object(record.value.decode())
                    found[number] = Committed(int(str(said["position"])), str(said["metadata"]))
    return found


class _Partition:
    """One partition of the input and of the four results."""

    def __init__(
        self, target: Target, partition: int, reader: AIOKafkaConsumer, findings: Findings
    ) -> None:
        self._target = target
        self._number = partition
        self._reader = reader
        self._findings = findings

    async def audit(self, committed: Committed | None) -> None:
        """Feed the input to the model, then compare the results and the commit."""
        target = self._target
        said = committed.metadata if committed else None
        rules = target.rules or rules_of(said or "") or Rules()
        place = Place(target.input_topic, self._number, target.at_least_once)
        comparison = Comparison(rules, place, self._findings)
        await self._feed(comparison, committed)
        for kind in RESULT_KINDS:
            await self._compare(comparison, kind)
        comparison.commit(committed)

    async def _feed(self, comparison: Comparison, committed: Committed | None) -> None:
        tp = TopicPartition(self._target.input_topic, self._number)
        start = await self._start(tp)
        stop = await reading.end(self._reader, tp, tansu=self._target.tansu)
        position = committed.position if committed else stop
        if position < stop:
            self._findings.notes.append(f"{tp.topic}/{tp.partition}: {stop - position} unread")
        async for batch in reading.batches(self._reader, tp, start, position):
            for one in batch:
                headers = list(one.headers)
                comparison.feed(LogRecord(one.offset, one.timestamp, one.key, one.value, headers))

    async def _compare(self, comparison: Comparison, kind: str) -> None:
        tp = TopicPartition(self._target.result_topics[kind], self._number)
        check = comparison.check(kind)
        start = await self._start(tp)
        stop = await reading.end(self._reader, tp, tansu=self._target.tansu)
        async for batch in reading.batches(self._reader, tp, start, stop):
            for one in batch:
                check.see(Published(one.offset, one.key, one.value, one.headers))
        finish(check, expect_swept=self._target.expect_swept)

    async def _start(self, tp: TopicPartition) -> int:
        start = await reading.beginning(self._reader, tp)
        if start > 0:
            note = f"{tp.topic}/{tp.partition}: the log begins at {start}, what was before is gone"
            self._findings.notes.append(note)
        return start
