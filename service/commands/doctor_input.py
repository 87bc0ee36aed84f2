"""Judges the producers by the newest input records: keys, ids, partitioners, clocks."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from service.commands.doctor_note import Note
from service.contract.input_record import PlainEvent, RawRecord, Rejection, read
from service.contract.other_formats import LOOKS_LIKE
from service.contract.results import decode_row
from service.contract.skipped_ranges import Skipped, around
from service.counting import Checkpoint
from service.kafka import clients
from service.kafka.aiokafka_ext.batches import UnpackError
from service.kafka.aiokafka_ext.internals import committed, partition_count
from service.kafka.partitioning import partitioner_of
from service.settings import Settings

_AHEAD_MS: Final = 5_000
_FEW: Final = 3


class Sample:
    """The newest records of every partition, judged one by one."""

    def __init__(self, partitions: int) -> None:
        """Start with no records."""
        self.records = 0
        self.partitioners: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.formats: Counter[str] = Counter()
        """What refused records look like, where that is recognised."""
        self.split: dict[bytes, set[int]] = {}
        self.repeated: list[str] = []
        self.reused: list[str] = []
        self.broken: dict[int, str] = {}
        """By partition: why a batch among its newest records cannot be unpacked."""
        self.ahead = 0
        self.newest_ms = -1
        self._partitions = partitions
        self._ids: dict[str, tuple[str, str]] = {}

    def see(self, partition: int, record: RawRecord) -> None:
        """Judge a record."""
        self.records += 1
        self.newest_ms = max(self.newest_ms, record.timestamp)
        event = read(record)
        if isinstance(event, Rejection):
            self.refused[event.reason] += 1
            self.formats.update(filter(None, [event.detail.partition(LOOKS_LIKE)[2]]))
            return
        if not isinstance(event, PlainEvent) or record.key is None:
            return
        first = self._ids.setdefault(event.event_id, (event.account_id, event.action))
        if first[0] != event.account_id:
            self.repeated.append(event.event_id)
        elif first[1] != event.action:
            self.reused.append(event.event_id)
        self.ahead += 0 <= record.timestamp < event.occurred_at - _AHEAD_MS
        places = self.split.setdefault(record.key, set())
        if partition not in places:
            places.add(partition)
            self.partitioners[partitioner_of(record.key, partition, self._partitions)] += 1


async def look_at_input(settings: Settings, records: int) -> list[Note]:
    """Read up to `records` of each partition's newest records. Return the notes."""
    consumer = clients.raw_consumer(settings)
    await clients.start(consumer)
    try:
        count = await partition_count(consumer, settings.input_topic)
        sample = Sample(count)
        skipped = await _skipped(settings, count)
        for partition in range(count):
            tp = TopicPartition(settings.input_topic, partition)
            await _read(consumer, tp, records, sample, skipped.get(partition, ()))
    finally:
        await consumer.stop()
    broken = [
        Note(
            "error",
            f"partition {partition}: {why}",
            "docs/operate/runbook.md, A batch that cannot be unpacked",
        )
        for partition, why in sample.broken.items()
    ]
    if not sample.records:
        empty = Note("warning", "there are no records yet", "expected before the first event")
        return broken or [empty]
    return [*broken, *_notes(sample, count)]


async def _read(
    consumer: AIOKafkaConsumer, tp: TopicPartition, records: int, sample: Sample, skipped: Skipped
) -> None:
    consumer.assign([tp])
    start = (await consumer.beginning_offsets([tp]))[tp]
    end = (await consumer.end_offsets([tp]))[tp]
    for first, stop in around(skipped, max(start, end - records), end):
        consumer.seek(tp, first)
        try:
            while await consumer.position(tp) < stop:
                for record in (await consumer.getmany(tp, timeout_ms=500)).get(tp, ()):
                    sample.see(tp.partition, record)
        except UnpackError as error:
            if await consumer.position(tp) < stop:
                sample.broken[tp.partition] = str(error)


async def _skipped(settings: Settings, count: int) -> dict[int, Skipped]:
    """Return the skipped ranges of each partition, from the group's commits."""
    reader = clients.consumer(settings, group_id=settings.app_id)
    await clients.start(reader)
    try:
        tps = [TopicPartition(settings.input_topic, number) for number in range(count)]
        reader.assign(tps)
        found = await committed(reader, tps)
    finally:
        await reader.stop()
    skipped = {}
    for tp, at in found.items():
        with suppress(ValueError):  # no commit, or that of another program: `commits` says so
            skipped[tp.partition] = Checkpoint.from_metadata(at.offset, at.metadata).skipped
    return skipped


async def look_at_rows(settings: Settings, records: int) -> list[Note]:
    """Read up to `records` of each partition's newest rows. Returns notes on followers below 0."""
    consumer = clients.consumer(settings, auto_offset_reset="earliest")
    await clients.start(consumer)
    below: dict[str, int] = {}
    seen = 0
    try:
        count = await partition_count(consumer, settings.updates_topic)
        for number in range(count):
            tp = TopicPartition(settings.updates_topic, number)
            consumer.assign([tp])
            start = (await consumer.beginning_offsets([tp]))[tp]
            end = (await consumer.end_offsets([tp]))[tp]
            consumer.seek(tp, max(start, end - records))
            while await consumer.position(tp) < end:
                for record in (await consumer.getmany(tp, timeout_ms=500)).get(tp, ()):
                    seen += 1
                    _note_row(record, below)
    finally:
        await consumer.stop()
    if not below:
        return [Note("ok", f"{seen:,} of the newest rows were read")]
    names = ", ".join(f"{name} ({followers:,})" for name, followers in list(below.items())[:_FEW])
    text = f"{len(below):,} accounts have fewer than 0 followers: {names}"
    todo = (
        "send their baselines again (docs/guide/input.md, Baselines); netfollowers explain ACCOUNT"
    )
    return [Note("warning", text, todo)]


def _note_row(record: ConsumerRecord, below: dict[str, int]) -> None:
    """Note the followers of a row if they are below 0. A later row of the account counts."""
    name = (record.key or b"").decode(errors="replace")
    followers = None
    if record.key and record.value is not None:
        with suppress(ValueError):  # of another program: `audit` names it
            followers = decode_row(record.value).followers
    below.pop(name, None)
    if followers is not None and followers < 0:
        below[name] = followers


def _notes(sample: Sample, partitions: int) -> list[Note]:
    notes = [Note("ok", f"{sample.records:,} of the newest records were read")]
    split = [key for key, places in sample.split.items() if len(places) > 1]
    if split:
        names = ", ".join(key.decode(errors="replace") for key in split[:_FEW])
        text = f"{len(split):,} accounts are in more than one partition: {names}"
        todo = "use murmur2 in all producers (librdkafka: partitioner=murmur2_random), then count "
        todo += "again with a new app id: docs/operate/versioning.md"
        notes.append(Note("error", text, todo))
    others = sample.partitioners["crc32"] + sample.partitioners["other"]
    if others and partitions > 1:
        text = f"keys by partitioner: {_each(sample.partitioners)} (1 in {partitions} by chance)"
        todo = "harmless only while every producer uses the same partitioner; use murmur2 for all"
        notes.append(Note("warning", text, todo))
    if sample.repeated:
        text = f"{len(sample.repeated):,} event ids under two accounts: {sample.repeated[:_FEW]}"
        todo = (
            "two producers use the same ids, so events are lost as duplicates: use UUIDs, or "
            "source + "
        )
        notes.append(Note("error", text, todo + "sequence"))
    if sample.reused:
        text = f"{len(sample.reused):,} event ids with two actions: {sample.reused[:_FEW]}"
        todo = "both count, but a second follow with that id would not: give each event its own id"
        notes.append(Note("warning", text, todo))
    if sample.refused:
        text = f"{sample.refused.total():,} refused: {_each(sample.refused)}"
        notes.append(Note("warning", text, "netfollowers rejected stats; rejected show"))
    for what, number in sample.formats.most_common(_FEW):
        text = f"{number:,} of the refused look like {what}"
        notes.append(Note("warning", text, "docs/guide/input.md, Records in another format"))
    if sample.ahead:
        text = f"{sample.ahead:,} events more than {_AHEAD_MS / 1_000:.0f} s ahead of the log"
        notes.append(Note("warning", text, "correct the clocks of the producers (NTP)"))
    ahead_s = sample.newest_ms / 1_000 - time.time()
    if ahead_s > _AHEAD_MS / 1_000:
        text = f"the newest log timestamp is {ahead_s:.0f} s ahead of this machine's clock"
        notes.append(
            Note("warning", text, "correct the clock of the broker or of this machine (NTP)")
        )
    return notes


def _each(counts: Counter[str]) -> str:
    """Return the number of each."""
    return ", ".join(f"{name} {number:,}" for name, number in counts.most_common())
