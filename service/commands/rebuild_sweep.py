"""Finds the position of a sweep from the results: which windows are published, and which are not.

A sweep publishes all windows up to a time, bucket by bucket. Then the next sweep begins. So the
published windows give the position of the sweeps (service/counting/sweep.py):

    final_at  ... closed_to][ ... closing_to][ ...
               published     published in buckets    not published
                             before `bucket` only

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from service.counting.checkpoint import SweepPosition
from service.counting.sweep import NEVER_MS
from service.errors import NetFollowersError


class Swept(NamedTuple):
    """A window of a row: when it is final, its account's bucket, and whether it was published."""

    final_at_ms: int
    bucket: int
    is_published: bool


class SweepGapError(NetFollowersError):
    """A sweep must have published results that are missing."""


def sweep_position(
    windows: Iterable[Swept], *, watermark_ms: int, newest_final_ms: int
) -> SweepPosition:
    """Find a sweep position that fits exactly what is published. SweepGapError without one.

    `newest_final_ms`: the latest time at which a published window became final; -1 without one.
    """
    final = [one for one in windows if one.final_at_ms <= watermark_ms]
    waiting = [one for one in final if not one.is_published]
    if not waiting:
        return SweepPosition(newest_final_ms, newest_final_ms, 0)
    closed_to = min(min(one.final_at_ms for one in waiting) - 1, newest_final_ms)
    begun = [one for one in final if one.is_published and one.final_at_ms > closed_to]
    if not begun:
        return SweepPosition(closed_to, closed_to, 0)
    closing_to = max(one.final_at_ms for one in begun)
    bucket = max(one.bucket for one in begun) + 1
    passed = [one for one in waiting if one.final_at_ms <= closing_to and one.bucket < bucket]
    if passed:
        message = f"{len(passed)} windows that were final by {closing_to} were never published"
        raise SweepGapError(message)
    return SweepPosition(closed_to, closing_to, bucket)


class FirstSweep:
    """Finds how far the first sweep reached in a windows topic whose oldest results are gone.

    A sweep takes the buckets in order, so a smaller bucket begins a new sweep. All windows that
    were final by the end of the first sweep are published, even if their results are gone.
    """

    def __init__(self) -> None:
        """Start with no results."""
        self.reached_ms = NEVER_MS
        self.is_over = False
        self._bucket = -1

    def see(self, final_at_ms: int, bucket: int) -> None:
        """Take the next first result of a window (revision 0), in the topic's order."""
        self.is_over = self.is_over or bucket < self._bucket
        self._bucket = bucket
        if not self.is_over:
            self.reached_ms = max(self.reached_ms, final_at_ms)
