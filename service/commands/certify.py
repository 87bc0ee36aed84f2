"""`netfollowers certify`: one line per partition, with a hash over what it published."""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import asyncio
import sys

from service.audit.certify import certify, recompute
from service.commands.audit import AGREES, INCOMPLETE, check_partition, source_of
from service.commands.progress_bar import Bar
from service.settings import Settings


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Certify; -> exit code."""
    return asyncio.run(_run(settings, arguments))


async def _run(settings: Settings, arguments: argparse.Namespace) -> int:
    code = AGREES
    async with source_of(settings, arguments.files) as source:
        only, offset = arguments.partition, arguments.offset
        await check_partition(source, only)
        with Bar() as bar:
            for partition in range(await source.partitions()) if only is None else [only]:
                if arguments.recompute or offset is not None:
                    found = await recompute(source, partition, offset=offset, begin=bar.begin)
                else:
                    found = await certify(source, partition, begin=bar.begin)
                print(f"partition {found.partition} offset {found.offset} {found.digest}")
                for gap in found.gaps:
                    code = INCOMPLETE
                    line = f"netfollowers: partition {partition}: not over everything: {gap}"
                    print(line, file=sys.stderr)
    return code
