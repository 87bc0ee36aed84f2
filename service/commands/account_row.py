"""The newest row of an account in the updates topic, found and printed."""

from __future__ import annotations

import argparse
import asyncio
import sys

from rich.console import Console
from rich.table import Table

from service.charts.drawing import new_console, printable
from service.charts.printable import plain_json
from service.charts.series import utc
from service.commands.result_reader import read_all
from service.contract.results import AccountRow, decode_row
from service.exit_codes import ExitCode
from service.settings import Settings

_SHOWN: dict[str, str] = {"d": "%Y-%m-%d", "h": "%Y-%m-%d %H:00"}


def show(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Find the row and print it. WRONG if there is no row."""
    value = asyncio.run(latest(settings, options.account))
    if value is None:
        print(
            f"netfollowers: {settings.updates_topic} has no row for {options.account!r}",
            file=sys.stderr,
        )
        return ExitCode.WRONG
    if options.json:
        print(plain_json(value.decode()))
    else:
        _print(decode_row(value), new_console())
    return ExitCode.OK


async def latest(settings: Settings, account: str) -> bytes | None:
    """Read the updates topic to its end. Return the last row of the account, or None.

    It reads all partitions, because the producer of the events chose the account's partition.
    """
    key = account.encode()
    value: bytes | None = None
    async for records in read_all(settings, settings.updates_topic):
        for record in records:
            if record.key == key:
                value = record.value
    return value


def _print(row: AccountRow, console: Console) -> None:
    followers = "unknown: no baseline" if row.followers is None else f"{row.followers:,}"
    console.print(printable(row.account_id, style="bold"))
    console.print(f"  followers   {followers}")
    console.print(f"  net         {row.net:+,}  (gained {row.gained:,}, lost {row.lost:,})")
    console.print(f"  last event  {utc(row.last_event_ms, '%Y-%m-%d %H:%M:%S')} UTC")
    console.print(f"  offset      {row.offset:,}")
    table = Table(title="kept windows", title_justify="left")
    table.add_column("grain")
    table.add_column("start (UTC)")
    for name in ("gained", "lost", "net", "revision"):
        table.add_column(name, justify="right")
    for grain, windows in row.windows.items():
        for start, gained, lost, revision in windows:
            when = utc(start, _SHOWN.get(grain[-1], "%Y-%m-%d %H:%M"))
            net = f"{gained - lost:+,}"
            table.add_row(grain, when, f"{gained:,}", f"{lost:,}", net, str(revision))
        table.add_section()
    console.print(table)
