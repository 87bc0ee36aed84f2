"""Steps over an input range that cannot be unpacked: on purpose, with the group stopped.

The position, the counts, the range and its rejected record become durable in one transaction. With
at least once, the record is written first, then the checkpoint in the table, as a worker does it.
"""

from __future__ import annotations

import argparse
import asyncio

import msgspec
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from service.commands.stopped_group import check_stopped
from service.commands.unpackable import end_of, partition_count, why_not
from service.contract.input_record import LogRecord, Reason, Rejection
from service.contract.results import ResultRecord, Source, rejected_record
from service.contract.skipped_ranges import MAX_WHY, MOST
from service.counting import Checkpoint, Publisher, Sealed
from service.errors import RefusedError, UsageError
from service.exit_codes import ExitCode
from service.kafka import clients
from service.runtime.journal import Journal
from service.runtime.shard_factory import journal_of
from service.settings import Settings


def skip(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Print the plan, or carry it out. WRONG: the command refused, and says why."""
    _check_usage(options)
    try:
        asyncio.run(_run(settings, options))
    except RefusedError as refused:
        print(f"refused: {refused}")
        return ExitCode.WRONG
    return ExitCode.OK


def _check_usage(options: argparse.Namespace) -> None:
    if options.start >= options.end:
        message = f"--to {options.end}: the offset to continue from; it must be larger than --from"
        raise UsageError(message)
    why = options.reason
    is_plain = why.isascii() and why.isprintable() and not set('"\\') & set(why)
    if not is_plain or not 1 <= len(why) <= MAX_WHY:
        message = f'--reason: 1 to {MAX_WHY} printable ASCII characters without " and \\'
        raise UsageError(message)


async def _run(settings: Settings, options: argparse.Namespace) -> None:
    partition, start, end = options.partition, options.start, options.end
    await check_stopped(settings)
    partitions = await partition_count(settings)
    if partition >= partitions:
        message = f"{settings.input_topic} has no partition {partition}"
        raise RefusedError(message)
    journal = _journal(settings, partition, partitions)
    try:
        restored = await journal.open(lambda checkpoint: checkpoint.position)
        found = restored.checkpoint
        assert found is None or isinstance(found, Checkpoint)
        before = _checked(settings, found, start)
        await _check_range(settings, TopicPartition(settings.input_topic, partition), start, end)
        after = _stepped(before, start, end, options.reason)
        print(f"{settings.input_topic} partition {partition}: offsets {start} to {end - 1}")
        for name, one in (("before", before), ("after", after)):
            print(
                f"{name:6}  position {one.position}  rejected {one.counts.rejected}  "
                f"ranges stepped over {len(one.skipped)}"
            )
        if not options.yes:
            print("dry run: nothing was changed; add --yes")
            return
        rejected = [_record(settings, partition, after)]
        await journal.commit(Sealed(after, settings.result_topics, [], [], [], rejected))
        print("stepped over: start the workers")
    finally:
        await journal.close()


def _checked(settings: Settings, checkpoint: Checkpoint | None, start: int) -> Checkpoint:
    if checkpoint is None:
        message = (
            f"group {settings.app_id} has counted nothing in this partition: start a worker first"
        )
        raise RefusedError(message)
    position = checkpoint.position
    if start < position:
        message = f"the group has counted up to {position}: use --from {position}"
        raise RefusedError(message)
    if start > position:
        message = (
            f"the group has counted up to {position}: start a worker. It counts all "
            "records that it can unpack, then ends with 70 and logs an offset: use it for --from"
        )
        raise RefusedError(message)
    if len(checkpoint.skipped) >= MOST:
        message = (
            f"{MOST} ranges of this partition have been stepped over: that is the maximum. "
            "Count again with a new NETFOLLOWERS_APP_ID, from a log that begins after the last one"
        )
        raise RefusedError(message)
    return checkpoint


def _stepped(before: Checkpoint, start: int, end: int, why: str) -> Checkpoint:
    """Count every offset of the range as rejected; no row, window or watermark changes."""
    counts = msgspec.structs.replace(before.counts, rejected=before.counts.rejected + end - start)
    skipped = (*before.skipped, (start, end, why))
    return msgspec.structs.replace(before, position=end, counts=counts, skipped=skipped)


def _record(settings: Settings, partition: int, after: Checkpoint) -> ResultRecord:
    start, end, why = after.skipped[-1]
    detail = f"offsets {start} to {end - 1}: {why}"
    return rejected_record(
        LogRecord(start, -1, None, None),
        Source(settings.input_topic, partition),
        Rejection(Reason.SKIPPED, detail),
    )


def _journal(settings: Settings, partition: int, partitions: int) -> Journal:
    async def commit(number: int, position: int, metadata: str) -> None:
        consumer = clients.consumer(settings, group_id=settings.app_id)
        await clients.start(consumer)
        try:
            tp = TopicPartition(settings.input_topic, number)
            consumer.assign([tp])
            await consumer.commit({tp: OffsetAndMetadata(position, metadata)})
        finally:
            await consumer.stop()

    publisher = Publisher(settings.result_topics)
    return journal_of(settings, partition, partitions, publisher, commit)


async def _check_range(settings: Settings, tp: TopicPartition, start: int, end: int) -> None:
    """Refuse if the first offset can be unpacked, or the offset to continue from cannot."""
    log_end = await end_of(settings, tp)
    if end > log_end:
        message = f"--to {end}: the log ends at {log_end}"
        raise RefusedError(message)
    if await why_not(settings, tp, start) is None:
        message = f"offset {start} can be unpacked: there is nothing to step over"
        raise RefusedError(message)
    why = await why_not(settings, tp, end) if end < log_end else None
    if why is not None:
        message = f"--to {end}: it cannot be unpacked either ({why})"
        raise RefusedError(message)
