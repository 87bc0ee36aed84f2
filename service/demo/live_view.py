"""The live view of the demo: the numbers of one moment, as panels or as one plain line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from service.charts.drawing import printable
from service.charts.series import short, utc
from service.charts.terminal import GAINED, LOST
from service.demo.update_watcher import Mover, sparkline

TOP: Final = 8
TRAIL: Final = 12
WIDE: Final = 116
OUTCOMES: Final = ("applied", "late", "duplicate", "rejected", "heartbeat")


@dataclass(frozen=True, slots=True)
class Frame:
    """All numbers of one moment. Rates are per second. None: not known yet."""

    title: str
    left_s: float
    minute_ms: int
    sent: int
    sent_rates: Sequence[int]
    rows_per_s: int
    lag_records: int | None = None
    watermark_age_s: float | None = None
    latency_p50_s: float | None = None
    latency_p99_s: float | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)
    gainers: Sequence[Mover] = ()
    losers: Sequence[Mover] = ()


def plain(frame: Frame) -> str:
    """Return one line for a log."""
    rate = frame.sent_rates[-1] if frame.sent_rates else 0
    movers = [
        f"{mover.account_id} {mover.net:+,}" for mover in (*frame.gainers[:2], *frame.losers[:2])
    ]
    outcomes = " ".join(f"{name}={frame.outcomes.get(name, 0):,}" for name in OUTCOMES)
    return (
        f"{frame.left_s:3.0f} s left | sent {frame.sent:,} ({rate:,}/s)"
        f" | lag {_count(frame.lag_records)} | watermark {_seconds(frame.watermark_age_s)} ago"
        f" | visible p50 {_seconds(frame.latency_p50_s)} p99 {_seconds(frame.latency_p99_s)}"
        f" | {outcomes} | {', '.join(movers)}"
    )


def panels(frame: Frame, width: int) -> RenderableType:
    """Draw the view in 18 lines. Gross counts are shown only if there is room."""
    minute = utc(frame.minute_ms, "%H:%M")
    is_wide = width >= WIDE
    movers = Table.grid(padding=(0, 2, 0, 0))
    movers.add_row(
        _movers(f"gaining in the minute of {minute} UTC", frame.gainers, GAINED, is_wide=is_wide),
        _movers("losing", frame.losers, LOST, is_wide=is_wide),
    )
    return Group(
        Panel(_numbers(frame), title=frame.title, title_align="left", border_style="dim"),
        movers,
        Text(f"{frame.left_s:.0f} s left of the live events", style="dim"),
    )


def _numbers(frame: Frame) -> Table:
    table = Table.grid(padding=(0, 2))
    for style in ("dim", "bold", "dim", "bold"):
        table.add_column(style=style)
    rate = frame.sent_rates[-1] if frame.sent_rates else 0
    table.add_row(
        "events sent",
        Text.assemble(f"{rate:>7,}/s ", (sparkline(frame.sent_rates[-24:]), GAINED)),
        "lag",
        f"{_count(frame.lag_records)} records",
    )
    table.add_row(
        "rows updated",
        f"{frame.rows_per_s:>7,}/s",
        "watermark",
        f"{_seconds(frame.watermark_age_s)} ago (oldest partition)",
    )
    visible = f"p50 {_seconds(frame.latency_p50_s)}, p99 {_seconds(frame.latency_p99_s)}"
    table.add_row("sent in all", f"{frame.sent:>7,}", "produce to visible", visible)
    outcomes = "  ".join(f"{name} {frame.outcomes.get(name, 0):,}" for name in OUTCOMES)
    return _stacked(table, Text(outcomes))


def _stacked(*parts: RenderableType) -> Table:
    stack = Table.grid()
    for part in parts:
        stack.add_row(part)
    return stack


def _movers(title: str, movers: Sequence[Mover], style: str, *, is_wide: bool) -> Table:
    table = Table(title=title, title_justify="left", title_style=style, box=None, pad_edge=False)
    table.add_column("account", min_width=9, no_wrap=True)
    table.add_column("net", justify="right", min_width=6)
    if is_wide:
        table.add_column("gained", justify="right", min_width=6)
        table.add_column("lost", justify="right", min_width=6)
    table.add_column("total", justify="right", min_width=5)
    table.add_column(f"last {TRAIL} s", min_width=TRAIL, style=style, no_wrap=True)
    for mover in movers:
        gross = [f"{mover.gained:,}", f"{mover.lost:,}"] if is_wide else []
        total = "?" if mover.followers is None else short(mover.followers)
        trail = sparkline(mover.trail[-TRAIL:])
        table.add_row(printable(mover.account_id), f"{mover.net:+,}", *gross, total, trail)
    for _ in range(TOP - len(movers)):
        table.add_row("")
    return table


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    return f"{seconds * 1_000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
