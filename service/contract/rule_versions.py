"""Which version of the rules judges which offsets: the ranges that travel with every checkpoint.

    rules     1                          2
    offsets   [0 ------------- 81,233][81,234 ---------- next record
                                       ^ the first offset after the upgrade

A record is judged once, when it is counted. A restart and the audit read it again, perhaps by a
newer program: they judge it by the version of its range, so an upgrade changes no number that has
been published.

Version 1 is that of release 0.1.0, which wrote no ranges. What changed after it is listed in
docs/design/decisions/0025.
"""

from __future__ import annotations

from typing import Final

CURRENT: Final = 2
"""The version that this program counts by."""
ACTION_IS_PART_OF_THE_ID: Final = 2
"""From this version on an event is known by its id and its action, before by its id alone."""
BASELINES_HAVE_A_TIME: Final = 2
"""From this version on what happened between a baseline's time and its arrival counts on top, what
comes later and happened earlier does not, and a baseline older than the last one is ignored;
before, every baseline began at its arrival."""
LAST_ATTRIBUTE_COUNTS: Final = 2
"""From this version on the last of two CloudEvents attributes counts, of whatever type the first
is; before, a first one of a wrong type spoilt the envelope."""

Ranges = tuple[tuple[int, int], ...]
"""((first offset, version), ...), in order; each holds up to the next one."""

BEFORE_RANGES: Final[Ranges] = ((0, 1),)
"""What a checkpoint without ranges was counted by."""
MOST: Final = 32
"""A checkpoint keeps this many ranges, the newest: its metadata is bounded."""


class RulesTooNewError(ValueError):
    """A checkpoint was counted by rules that this program does not know."""


def version_at(ranges: Ranges, offset: int) -> int:
    """-> the version that judges `offset`; that of the first range for offsets before it."""
    version = ranges[0][1]
    for start, later in ranges:
        if start > offset:
            break
        version = later
    return version


def continued(ranges: Ranges, position: int, version: int = CURRENT) -> Ranges:
    """Go on at `position` by `version`. RulesTooNewError when the last one is newer."""
    newest = ranges[-1][1]
    if newest > version:
        message = f"it was counted by version {newest} of the rules, this program knows {version}"
        raise RulesTooNewError(message)
    if newest == version:
        return ranges
    earlier = tuple(one for one in ranges if one[0] < position)
    return (*earlier, (position, version))[-MOST:]
