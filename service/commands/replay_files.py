"""What `netfollowers replay` does: counts JSON Lines with the engine, without a broker."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from service.charts.drawing import draw, new_console
from service.charts.series import Flow, without_holes
from service.commands.first_refusals import FirstRefusals
from service.commands.json_lines import EventFiles
from service.commands.offline_engine import Offline, WindowsOf
from service.commands.output import check_outputs, open_output
from service.commands.replay_summary import summary, top_accounts
from service.commands.result_lines import ResultsFile
from service.counting import Rules, Sealed
from service.demo import channel
from service.demo import channel_truth as story
from service.errors import UsageError
from service.exit_codes import ExitCode
from service.settings import Settings

EARLIEST_MS: Final = 946_684_800_000
"""Event time of a baseline without a time. It is before all events, so it moves no watermark."""

PLOT_FILE: Final = "plot.png"
"""The file of `--plot` without `--png`."""


def replay(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Count, and print. UsageError. WRONG: a day of the channel differs, or no record was good."""
    _check(settings.rules, options)
    png = None if options.plot is None else options.png or PLOT_FILE
    check_outputs([options.results, png], options.files)
    console = new_console(stderr=options.results == "-")
    began = time.monotonic()
    days = WindowsOf(channel.ACCOUNT_ID, story.DAY_GRAIN)
    drawn = WindowsOf(options.plot or channel.ACCOUNT_ID, options.grain)
    files = EventFiles(options.files)
    refused = FirstRefusals(files, len(options.baseline))
    outlets: list[Callable[[Sealed], None]]
    outlets = [days, drawn] if options.channel else [drawn, refused]
    shard = _replay(settings.rules, options, files, outlets)
    top_accounts(shard, options.top, console)
    refused.print(console)
    summary(shard, time.monotonic() - began, console)
    if png is not None:
        _draw(shard, drawn, options, console, Path(png))
    if options.channel:
        return _judge(shard, days, console)
    return ExitCode.WRONG if 0 < refused.total == files.records else ExitCode.OK


def _check(rules: Rules, options: argparse.Namespace) -> None:
    """Raise UsageError if the options contradict each other."""
    names = {grain.name: grain for grain in rules.grains}
    wrong = {
        "give files to replay, or --channel": bool(options.files) == options.channel,
        "--plot needs an ACCOUNT": options.plot == "" and not options.channel,
        "--png goes with --plot": bool(options.png) and options.plot is None,
        f"--grain {options.grain}: should be one of {', '.join(names)}": (
            options.plot is not None and options.grain not in names
        ),
        f"--channel needs grain {story.DAY_GRAIN}: add it to NETFOLLOWERS_GRAINS": (
            options.channel and story.DAY_GRAIN not in names
        ),
    }
    for message, is_so in wrong.items():
        if is_so:
            raise UsageError(message)


def _replay(
    rules: Rules,
    options: argparse.Namespace,
    files: EventFiles,
    outlets: list[Callable[[Sealed], None]],
) -> Offline:
    with ExitStack() as stack:
        if options.results:
            out = stack.enter_context(open_output(options.results))
            outlets = [*outlets, ResultsFile(out)]
        shard = Offline(rules, outlets)
        shard.feed(_baselines(options.baseline))
        shard.feed(_channel() if options.channel else files)
        if options.close or options.channel:
            shard.close_windows()
    return shard


def _channel() -> Iterator[bytes]:
    yield channel.baseline()
    yield from channel.events()


def _baselines(wanted: list[tuple[str, int, int | None]]) -> Iterator[bytes]:
    for account, followers, at_ms in wanted:
        at = EARLIEST_MS if at_ms is None else at_ms
        yield msgspec.json.encode(
            {
                "event_id": f"baseline:{account}:{followers}:{at}",
                "account_id": account,
                "action": "baseline",
                "followers": followers,
                "occurred_at": at,
            }
        )


def _draw(
    shard: Offline,
    windows: WindowsOf,
    options: argparse.Namespace,
    console: Console,
    png: Path,
) -> None:
    size_ms = next(g.size_ms for g in shard.rules.grains if g.name == windows.grain)
    row = shard.row(windows.account)
    bars = without_holes(windows.contents(row), size_ms)
    if options.channel and windows.account == channel.ACCOUNT_ID:
        whole = Flow(
            story.TITLE, story.SOURCE, size_ms, bars, story.SCENES, channel.BASELINE_FOLLOWERS
        )
        flows = [whole, whole.between(*story.RAID)]
    else:
        source = "bundled channel" if options.channel else ", ".join(map(_name, options.files))
        flows = [Flow(windows.account, f"netfollowers replay of {source}", size_ms, bars)]
    draw(flows, console, png)


def _name(file: str) -> str:
    return "standard input" if file == "-" else Path(file).name


def _judge(shard: Offline, days: WindowsOf, console: Console) -> ExitCode:
    """Compare the channel with its truth."""
    row = shard.row(channel.ACCOUNT_ID)
    told = story.differences(row, days.contents())
    for line in told:
        print(f"netfollowers: wrong: {line}", file=sys.stderr)
    if not told:
        console.print(f"exact: {story.verdict(row, days.contents())}", soft_wrap=True)
    return ExitCode.WRONG if told else ExitCode.OK
