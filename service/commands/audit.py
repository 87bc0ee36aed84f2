"""`netfollowers audit`: the settings and options, handed to `service.audit`."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiokafka.errors import OffsetOutOfRangeError

from service.audit.check import Report, audit
from service.audit.files import FilesSource, dump
from service.audit.kafka import KafkaSource
from service.audit.source import KINDS, AuditSourceError, Source
from service.commands.progress_bar import Bar
from service.errors import UsageError
from service.kafka import clients
from service.settings import Settings

AGREES: Final = 0
DIFFERS: Final = 1
INCOMPLETE: Final = 4


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Audit, or dump what an audit would read; -> exit code."""
    if arguments.dump:
        Path(arguments.dump).mkdir(parents=True, exist_ok=True)
    return asyncio.run(_run(settings, arguments))


async def _run(settings: Settings, arguments: argparse.Namespace) -> int:
    async with source_of(settings, arguments.files) as source:
        await check_partition(source, arguments.partition)
        with Bar() as bar:
            if arguments.dump:
                await dump(source, Path(arguments.dump), bar.begin)
                print(f"dumped: netfollowers audit --files {arguments.dump}")  # noqa: T201
                return AGREES
            expect_swept = True if arguments.at_rest else None
            report = await audit(
                source, only=arguments.partition, expect_swept=expect_swept, begin=bar.begin
            )
    print(report)  # noqa: T201 - the report is the output
    return verdict(report)


def verdict(report: Report) -> int:
    """Exit code of a report: a difference weighs more than what could not be checked."""
    if not report.ok:
        return DIFFERS
    return AGREES if report.is_whole else INCOMPLETE


@asynccontextmanager
async def source_of(settings: Settings, files: str | None) -> AsyncIterator[Source]:
    """Open the files, or the broker and the topics that the settings name."""
    try:
        if files:
            yield FilesSource(Path(files))
            return
        topics = dict(zip(KINDS, (settings.input_topic, *settings.result_topics), strict=True))
        is_loose = not settings.is_exactly_once
        source = KafkaSource(
            clients.options(settings), topics, settings.app_id, at_least_once=is_loose
        )
        async with source:
            yield source
    except AuditSourceError as error:
        raise UsageError(str(error)) from None
    except OffsetOutOfRangeError:
        message = "retention cut a log while it was being read: try again"
        raise UsageError(message) from None


async def check_partition(source: Source, partition: int | None) -> None:
    """UsageError when there is no such partition."""
    count = await source.partitions()
    if partition is not None and partition >= count:
        message = f"--partition {partition}: there are {count}, numbered from 0"
        raise UsageError(message)
