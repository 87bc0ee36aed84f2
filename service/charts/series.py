"""The gains and losses of one account per window, ready to be drawn.

windows   [day][day][day]...        as in the windows topic
bars      [ 30 days ][ 30 days ]    as many as fit, with silent spans
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate
from typing import Final, NamedTuple

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000


class Bar(NamedTuple):
    """Followers gained and lost in [start_ms, start_ms + size_ms of the flow)."""

    start_ms: int
    gained: int
    lost: int

    @property
    def net(self) -> int:
        """Gained minus lost."""
        return self.gained - self.lost


class Scene(NamedTuple):
    """A moment worth marking, at an event time."""

    at_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Flow:
    """Bars of one length, in time order, without gaps. `source`: the origin of the numbers.

    `followers_before`: followers at the start of the first bar; None if unknown.
    """

    title: str
    source: str
    size_ms: int
    bars: tuple[Bar, ...]
    scenes: tuple[Scene, ...] = ()
    followers_before: int | None = None

    @property
    def followers(self) -> list[int] | None:
        """Followers at the end of each bar; None if unknown."""
        if self.followers_before is None:
            return None
        return list(accumulate((bar.net for bar in self.bars), initial=self.followers_before))[1:]

    @property
    def end_ms(self) -> int:
        """End of the last bar."""
        return self.bars[-1].start_ms + self.size_ms

    def between(self, start_ms: int, end_ms: int) -> Flow:
        """Return the bars and scenes in [start_ms, end_ms)."""
        before = sum(bar.net for bar in self.bars if bar.start_ms < start_ms)
        known = self.followers_before
        return replace(
            self,
            bars=tuple(bar for bar in self.bars if start_ms <= bar.start_ms < end_ms),
            scenes=tuple(scene for scene in self.scenes if start_ms <= scene.at_ms < end_ms),
            followers_before=None if known is None else known + before,
        )

    def in_at_most(self, bars: int) -> Flow:
        """Join neighbours until there are at most `bars` bars."""
        joined = -(-len(self.bars) // bars)
        if joined <= 1:
            return self
        groups = [self.bars[at : at + joined] for at in range(0, len(self.bars), joined)]
        wide = (
            Bar(group[0].start_ms, sum(b.gained for b in group), sum(b.lost for b in group))
            for group in groups
        )
        return replace(self, size_ms=self.size_ms * joined, bars=tuple(wide))


def without_holes(windows: Mapping[int, tuple[int, int]], size_ms: int) -> tuple[Bar, ...]:
    """Return windows given by start as bars. Windows without events become zeros."""
    if not windows:
        return ()
    starts: Iterable[int] = range(min(windows), max(windows) + 1, size_ms)
    return tuple(Bar(start, *windows.get(start, (0, 0))) for start in starts)


def span_name(size_ms: int) -> str:
    """Name a span: 86400000 is 'day', 7200000 is '2 hours'."""
    units = ((DAY_MS, "day"), (HOUR_MS, "hour"), (MINUTE_MS, "minute"), (1_000, "s"))
    for unit_ms, unit in units:
        if size_ms % unit_ms == 0:
            count = size_ms // unit_ms
            return unit if count == 1 else f"{count} {unit}{'' if unit == 's' else 's'}"
    return f"{size_ms} ms"


def utc(ms: int, form: str = "%Y-%m-%d %H:%M") -> str:
    """Write epoch ms as text in UTC."""
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime(form)


def short(number: float) -> str:
    """Shorten a number: 26344 is '26.3k'."""
    size = abs(number)
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= limit:
            return f"{number / limit:.3g}{unit}"
    return f"{number:.3g}"
