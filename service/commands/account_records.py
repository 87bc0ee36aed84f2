"""What `netfollowers explain` prints: an account's records, their sum, and what was published."""

from __future__ import annotations

import argparse
import asyncio
from datetime import UTC, datetime
from typing import Final

from service.audit.explanation.account_lines import Line
from service.audit.explanation.explain import Explained, Question, explain
from service.charts.printable import plain
from service.commands.audit_source import check_partition, source_of
from service.commands.progress_bar import Bar
from service.exit_codes import ExitCode
from service.settings import Settings

HEAD: Final = (
    f"{'offset':>12}  {'log time (UTC)':<23}  {'event time (UTC)':<23}  "
    f"{'action':<9} {'':>2} {'net':>8}  follower"
)


def explain_account(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Print the records and their sum.

    WRONG if it differs from what was published, or without records.
    """
    return asyncio.run(_run(settings, options))


async def _run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    window = None if options.window is None else (options.grain, options.window)
    async with source_of(settings, options.files) as source:
        await check_partition(source, options.partition)
        print(HEAD)
        with Bar() as bar:
            question = Question(options.account, window, options.partition)
            explained = await explain(
                source, question, lambda line: print(text_of(line)), begin=bar.begin
            )
    for line in closing(explained):
        print(line)
    if explained.gap:
        return ExitCode.INCOMPLETE
    return ExitCode.OK if explained.agrees and explained.records else ExitCode.WRONG


def text_of(line: Line) -> str:
    """One line of the table."""
    change = f"{line.change:+d}" if line.change else ""
    told = (
        f"{line.offset:>12}  {_utc(line.log_time_ms):<23}  {_utc(line.event_time_ms):<23}  "
        f"{plain(line.action):<9} {change:>2} {line.net:>8}  {plain(line.follower_id)}"
    )
    return f"{told}  {line.why}".rstrip()


def closing(explained: Explained) -> list[str]:
    """Return the sum, what was published, and whether they agree."""
    counted = explained.records - explained.refused
    gained, lost = explained.summed["gained"], explained.summed["lost"]
    reach = f"partition {explained.partition}, up to offset {explained.position}"
    lines = [
        f"{reach}: {counted} counted, {explained.refused} refused",
        f"sum: gained {gained}, lost {lost}, net {_net(explained.summed)}{_rest(explained.summed)}",
    ]
    published = explained.published
    if published is None:
        lines.append(f"published: {explained.where}")
    else:
        told = f"gained {published['gained']}, lost {published['lost']}{_rest(published)}"
        lines.append(f"published: {told} ({explained.where})")
    if not explained.records:
        return [*lines, "the account has no record"]
    if explained.gap:
        return [*lines, f"not compared: {explained.gap}"]
    return [*lines, "they agree" if explained.agrees else "they DIFFER"]


def _net(summed: dict[str, object]) -> int:
    return int(str(summed["gained"])) - int(str(summed["lost"]))


def _rest(fields: dict[str, object]) -> str:
    if "revision" in fields:
        return f", revision {fields['revision']}"
    followers = fields.get("followers")
    return f", followers {'unknown: no baseline' if followers is None else followers}"


def _utc(ms: int | None) -> str:
    if ms is None or ms < 0:
        return "-"
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat(timespec="milliseconds")[:23]
