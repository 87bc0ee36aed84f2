"""`netfollowers generate`: the synthetic source, to the input topic at a rate, or to a file."""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import chain
from typing import Final

from aiokafka.errors import UnknownTopicOrPartitionError

from service.commands.offline_engine import record_of
from service.commands.output import open_output
from service.contract.input_record import Rejection, judge
from service.errors import UsageError
from service.kafka import clients
from service.settings import Settings
from service.synthetic.batch_sender import Outbox
from service.synthetic.events import Made, Shape, Synthetic, late_after_ms
from service.synthetic.paced_source import CHUNK, PACE, Stream

FILE_START_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
FILE_EVENTS: Final = 10_000
_STOPPED_WITHIN_S: Final = 5.0
"""All that was settled has arrived; the rest was given up with an exception."""


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Generate as the options say; -> exit code."""
    shape = shape_of(settings, arguments)
    if arguments.topic:
        settings = replace(settings, input_topic=arguments.topic)
    if arguments.output:
        return _to_file(shape, arguments)
    return asyncio.run(_to_topic(settings, shape, arguments))


def shape_of(settings: Settings, arguments: argparse.Namespace) -> Shape:
    """Options -> the shape of the events."""
    try:
        return Shape(
            seed=arguments.seed,
            accounts=arguments.accounts,
            skew=arguments.skew,
            unfollow_share=arguments.unfollow_share,
            disorder_s=arguments.disorder_s,
            duplicates=arguments.duplicates,
            late=arguments.late,
            bad=arguments.bad,
            surges=arguments.surges,
            late_after_ms=late_after_ms(settings.rules.grains),
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


# ---- to a file


def _to_file(shape: Shape, arguments: argparse.Namespace) -> int:
    rate = arguments.rate or PACE
    start_ms = FILE_START_MS if arguments.start_ms is None else arguments.start_ms
    count = arguments.events or round((arguments.seconds or 0) * rate) or FILE_EVENTS
    written = 0
    source = Synthetic(shape)
    first = list(source.baselines(start_ms)) if arguments.baselines else []
    with open_output(arguments.output) as out:
        records = chain(first, source.span(start_ms, rate=rate, count=count))
        for index, made in enumerate(records, start=-len(first)):
            line = as_line(made, log_time_ms=start_ms + int(max(index, 0) * 1_000 / rate))
            if line is not None:
                out.write(line)
                written += 1
    print(f"wrote {written:,} lines to {arguments.output}", file=sys.stderr)
    return 0


def as_line(made: Made, *, log_time_ms: int) -> bytes | None:
    """Write a record as a line with its log time; None for bad ones that are not bad as a line.

    A line has no key of its own: `replay` takes the account_id for it.
    """
    value = made.value
    if made.kind != "bad":
        assert value is not None
        return b'%s,"log_time_ms":%d}\n' % (value[:-1], log_time_ms)
    if not value or b"\n" in value or not isinstance(judge(record_of(value, 0)), Rejection):
        return None
    return value + b"\n"


# ---- to a topic


async def _to_topic(settings: Settings, shape: Shape, arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    async with outbox_to(settings) as outbox:
        source = Synthetic(shape)
        if arguments.baselines:
            now_ms = int(time.time() * 1_000) if arguments.start_ms is None else arguments.start_ms
            outbox.put_all(source.baselines(now_ms))
            await outbox.send()
        stream = Stream(
            source,
            outbox,
            rate=arguments.rate,
            start_ms=arguments.start_ms,
            with_heartbeats=arguments.heartbeats,
        )
        try:
            await stream.run(_until(stream, arguments))
        finally:
            await outbox.settle()
            seconds = time.monotonic() - began
            total = sum(outbox.sent.values())
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in outbox.sent.most_common())
            print(
                f"sent {total:,} records to {settings.input_topic} in {seconds:.1f} s "
                f"({total / seconds:,.0f}/s): {kinds}",
                file=sys.stderr,
            )
    return 0


@contextlib.asynccontextmanager
async def outbox_to(settings: Settings) -> AsyncIterator[Outbox]:
    """Open an outbox to the input topic."""
    producer = clients.producer(settings)
    try:
        await producer.start()
        partitions = await producer.partitions_for(settings.input_topic)
        yield Outbox(producer, settings.input_topic, len(partitions))
    except UnknownTopicOrPartitionError:
        message = f"there is no topic {settings.input_topic}: netfollowers topics create"
        raise UsageError(message) from None
    finally:
        with contextlib.suppress(TimeoutError):  # it waits for what it cannot send any more
            async with asyncio.timeout(_STOPPED_WITHIN_S):
                await producer.stop()


def _until(stream: Stream, arguments: argparse.Namespace) -> Callable[[], int]:
    """-> how many more events may be made now; 0 ends the stream."""
    if arguments.events:
        return lambda: arguments.events - stream.made
    if arguments.seconds is None:
        return lambda: CHUNK
    ends = time.monotonic() + arguments.seconds
    return lambda: CHUNK if time.monotonic() < ends else 0
