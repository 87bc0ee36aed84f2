"""Prints the results of a replay: the top accounts, the totals, and the five counts."""

from __future__ import annotations

import heapq

import msgspec
from rich.console import Console
from rich.table import Table

from service.charts.drawing import printable
from service.charts.series import utc
from service.commands.offline_engine import Offline
from service.contract.results import AccountRow


def top_accounts(shard: Offline, top: int, console: Console) -> None:
    """Print the `top` accounts by |net|, and the totals of all."""
    rows = list(shard.rows())
    table = Table(title=f"{min(top, len(rows)):,} of {len(rows):,} accounts, by |net|")
    table.add_column("account", overflow="fold")
    for name in ("gained", "lost", "net", "followers"):
        table.add_column(name, justify="right")
    table.add_column("last event (UTC)")
    for row in heapq.nlargest(top, rows, key=lambda row: (abs(row.net), row.account_id)):
        table.add_row(printable(row.account_id), *_numbers(row), _when(row.last_event_ms))
    table.add_section()
    gained, lost = sum(row.gained for row in rows), sum(row.lost for row in rows)
    table.add_row("all accounts", f"{gained:,}", f"{lost:,}", f"{gained - lost:+,}", "", "")
    console.print(table)


def counts_line(counts: msgspec.Struct, records: int) -> str:
    """Return the five outcomes in one line. They sum to the records."""
    outcomes = msgspec.structs.asdict(counts)
    total = sum(outcomes.values())
    terms = " + ".join(f"{count:,} {name}" for name, count in outcomes.items())
    return f"{records:,} records {'=' if total == records else '!='} {terms}"


def summary(shard: Offline, seconds: float, console: Console) -> None:
    """Print outcomes, reasons and the speed."""
    engine, tally = shard.engine, shard.engine.tally
    console.print(counts_line(shard.counts, engine.position), soft_wrap=True)
    for name, by in (("rejected", tally.rejected_by_reason), ("late for", tally.late_by_grain)):
        if by:
            told = ", ".join(f"{count:,} {what}" for what, count in sorted(by.items()))
            console.print(f"{name}: {told}", soft_wrap=True)
    console.print(
        f"{tally.finals:,} final windows, {tally.revisions:,} revisions, "
        f"{tally.clamped:,} clamped; "
        f"watermark {_when(engine.watermark_ms)} UTC",
        soft_wrap=True,
    )
    console.print(
        f"{seconds:.2f} s, {engine.position / max(seconds, 1e-9):,.0f} records/s", soft_wrap=True
    )


def _numbers(row: AccountRow) -> list[str]:
    followers = "" if row.followers is None else f"{row.followers:,}"
    return [f"{row.gained:,}", f"{row.lost:,}", f"{row.net:+,}", followers]


def _when(ms: int) -> str:
    return utc(ms, "%Y-%m-%d %H:%M:%S") if ms >= 0 else "-"
