"""The live events of the demo as plain lines: the numbers of one moment in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from service.charts.printable import plain
from service.charts.series import short
from service.demo.update_watcher import Mover

OUTCOMES: Final = ("applied", "late", "duplicate", "rejected", "heartbeat")


@dataclass(frozen=True, slots=True)
class Frame:
    """All numbers of one moment. `rate` is per second; None: not known yet."""

    left_s: float
    sent: int
    rate: int
    lag_records: int | None = None
    watermark_age_s: float | None = None
    latency_p50_s: float | None = None
    latency_p99_s: float | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)
    gainers: Sequence[Mover] = ()
    losers: Sequence[Mover] = ()


def live_line(frame: Frame) -> str:
    """Return one line: what was sent and counted, then the movers of this minute."""
    outcomes = " ".join(f"{name}={frame.outcomes.get(name, 0):,}" for name in OUTCOMES)
    movers = [_mover(mover) for mover in (*frame.gainers, *frame.losers)]
    return (
        f"{frame.left_s:3.0f} s left | sent {frame.sent:,} ({frame.rate:,}/s)"
        f" | lag {_count(frame.lag_records)} | watermark {_seconds(frame.watermark_age_s)} ago"
        f" | visible p50 {_seconds(frame.latency_p50_s)} p99 {_seconds(frame.latency_p99_s)}"
        f" | {outcomes} | net this minute: {', '.join(movers) or '-'}"
    )


def _mover(mover: Mover) -> str:
    followers = "" if mover.followers is None else f" (of {short(mover.followers)})"
    return f"{plain(mover.account_id)} {mover.net:+,}{followers}"


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    return f"{seconds * 1_000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
