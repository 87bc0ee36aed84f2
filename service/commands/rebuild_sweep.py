"""Where a sweep stands, as the results tell: which windows are published, and which are not yet.

A sweep publishes all windows up to a time, bucket by bucket, and then the next one begins. So what
is published says where the sweeps stand (service/counting/sweep.py):

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
    """Results are missing that a sweep must have published."""


def sweep_position(
    windows: Iterable[Swept], *, watermark_ms: int, newest_final_ms: int
) -> SweepPosition:
    """Find a position that has published exactly what is published. SweepGapError: there is none.

    `newest_final_ms`: the latest time at which a published window became final; -1: none is.
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
    """Of a windows topic whose oldest results are gone: how far the first sweep in it reached.

    A sweep goes through the buckets in order, so a smaller bucket is a new sweep. All windows that
    were final by the end of the first one are published, whether their results are still there.
    """

    def __init__(self) -> None:
        """Nothing was seen."""
        self.reached_ms = NEVER_MS
        self.is_over = False
        self._bucket = -1

    def see(self, final_at_ms: int, bucket: int) -> None:
        """Take the next first result of a window (revision 0), in the topic's order."""
        self.is_over = self.is_over or bucket < self._bucket
        self._bucket = bucket
        if not self.is_over:
            self.reached_ms = max(self.reached_ms, final_at_ms)
