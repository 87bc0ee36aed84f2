"""What `netfollowers certify` prints: a line per partition, with a hash over its results."""

from __future__ import annotations

import argparse
import asyncio
import sys

from service.audit.certificate.certify import certify, recompute
from service.commands.audit_source import check_partition, source_of
from service.commands.progress_bar import Bar
from service.exit_codes import ExitCode
from service.settings import Settings


def print_hashes(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Print a line per partition. INCOMPLETE: a hash does not cover everything."""
    return asyncio.run(_run(settings, options))


async def _run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    code = ExitCode.OK
    async with source_of(settings, options.files) as source:
        only, offset = options.partition, options.offset
        await check_partition(source, only)
        with Bar() as bar:
            for partition in range(await source.partitions()) if only is None else [only]:
                if options.recompute or offset is not None:
                    found = await recompute(source, partition, offset=offset, begin=bar.begin)
                else:
                    found = await certify(source, partition, begin=bar.begin)
                print(f"partition {found.partition} offset {found.offset} {found.digest}")
                for gap in found.gaps:
                    code = ExitCode.INCOMPLETE
                    line = f"netfollowers: partition {partition}: not over everything: {gap}"
                    print(line, file=sys.stderr)
    return code
