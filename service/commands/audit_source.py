"""What the commands that audit share: the source of records, and the code of a report."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka.errors import OffsetOutOfRangeError

from service.audit.run import Report
from service.audit.sources.files import FilesSource
from service.audit.sources.kafka import KafkaSource
from service.audit.sources.source import AuditSourceError, Source
from service.errors import UsageError
from service.exit_codes import ExitCode
from service.kafka import clients
from service.settings import Settings


@asynccontextmanager
async def source_of(settings: Settings, files: str | None) -> AsyncIterator[Source]:
    """Open the files, or the broker and the topics that the settings name."""
    try:
        if files:
            yield FilesSource(Path(files))
            return
        source = KafkaSource(
            clients.options(settings),
            settings.topic_names,
            settings.app_id,
            at_least_once=not settings.is_exactly_once,
        )
        async with source:
            yield source
    except AuditSourceError as error:
        raise UsageError(str(error)) from None
    except OffsetOutOfRangeError:
        message = "retention cut a log while it was being read: try again"
        raise UsageError(message) from None


async def check_partition(source: Source, partition: int | None) -> None:
    """Raise UsageError if there is no such partition."""
    count = await source.partitions()
    if partition is not None and partition >= count:
        message = f"--partition {partition}: there are {count}, numbered from 0"
        raise UsageError(message)


def verdict(report: Report) -> ExitCode:
    """Return the code of a report: a difference weighs more than what could not be checked."""
    if not report.ok:
        return ExitCode.WRONG
    return ExitCode.OK if report.is_whole else ExitCode.INCOMPLETE
