"""Is a series flat? The verdicts of the soak, from its samples."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

STEPS = 200
"""Largest number of points that a slope is computed from. The time is quadratic in it."""


@dataclass(frozen=True)
class Verdict:
    """One series of the second half: its median, its slope, and what was allowed."""

    name: str
    median: float
    per_hour: float
    allowed_per_hour: float

    @property
    def is_flat(self) -> bool:
        """True when it does not grow faster than allowed. Shrinking is allowed."""
        return self.per_hour <= self.allowed_per_hour

    def __str__(self) -> str:
        """One line."""
        flat = "flat" if self.is_flat else "NOT FLAT"
        return (
            f"{self.name:<22} median {self.median:>14,.1f}   {self.per_hour:>+12,.1f} per hour "
            f"(allowed {self.allowed_per_hour:,.1f})   {flat}"
        )


def floors(
    times_s: Sequence[float], values: Sequence[float], parts: int = 10
) -> tuple[list[float], list[float]]:
    """Cut a series into parts, keep the lowest of each: what comes and goes is not growth."""
    size = max(1, len(values) // parts)
    lows = [
        min(range(first, min(first + size, len(values))), key=values.__getitem__)
        for first in range(0, len(values), size)
    ]
    return [times_s[low] for low in lows], [values[low] for low in lows]


def slope_per_hour(times_s: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope by Theil and Sen: the median of the slopes between all pairs of points.

    A few outliers do not change it.
    """
    step = max(1, len(times_s) // STEPS)
    points = list(zip(times_s, values, strict=True))[::step]
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(points)
        for later in points[index + 1 :]
    ]
    return statistics.median(slopes) * 3_600


def verdict(
    name: str,
    times_s: Sequence[float],
    values: Sequence[float],
    *,
    share: float = 0.0,
    absolute: float = 0.0,
) -> Verdict:
    """Judge how its floor grows per hour: up to a share of the median, or an absolute number."""
    median = statistics.median(values)
    allowed = max(share * median, absolute)
    return Verdict(name, median, slope_per_hour(*floors(times_s, values)), allowed)
