"""What `netfollowers audit` does: compares and prints a report, or dumps what it would read."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from service.audit.run import Begin, Report, audit, unwatched
from service.audit.sources.files import dump
from service.commands.audit_source import check_partition, source_of, verdict
from service.commands.progress_bar import Bar
from service.exit_codes import ExitCode
from service.settings import Settings


def audit_or_dump(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Audit and print the report, or write the records that an audit needs."""
    if options.dump:
        Path(options.dump).mkdir(parents=True, exist_ok=True)
    return asyncio.run(_run(settings, options))


async def _run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    async with source_of(settings, options.files) as source:
        await check_partition(source, options.partition)
        with Bar() as bar:
            if options.dump:
                await dump(source, Path(options.dump), bar.begin)
                print(f"dumped: netfollowers audit --files {options.dump}")
                return ExitCode.OK
            expect_swept = True if options.at_rest else None
            report = await audit(
                source, only=options.partition, expect_swept=expect_swept, begin=bar.begin
            )
    print(report)
    return verdict(report)


async def audit_at_rest(settings: Settings, begin: Begin = unwatched) -> Report:
    """Audit the topics that the settings name. The workers must be at rest.

    `begin`: see `service.audit.run.audit`.
    """
    async with source_of(settings, None) as source:
        return await audit(source, expect_swept=True, begin=begin)
