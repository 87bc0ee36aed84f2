"""Which version of the rules judges which offsets. Every checkpoint contains these ranges.

    rules     1                          3
    offsets   [0 ------------- 81,233][81,234 ---------- next record
                                       ^ the first offset after the upgrade

A record is judged when it is counted. A restart and the audit read it again, perhaps with a newer
program. They judge it by the version of its range, so an upgrade changes no published number.

Version 1 is that of release 0.1.0, which wrote no ranges. docs/design/decisions/0025 and 0038 list
the changes since then.
"""

from __future__ import annotations

from typing import Final

CURRENT: Final = 3
"""The version by which this program counts."""
ACTION_IS_PART_OF_THE_ID: Final = 2
"""From this version on an event is known by its id and its action. Before, by its id alone."""
BASELINES_HAVE_A_TIME: Final = 2
"""From this version on a baseline has a time, and events are compared with that time.

Events between its time and its arrival count on top of it. Later records with an earlier time do
not. A baseline older than the last one is ignored. Before, every baseline began at its arrival.
"""
LAST_ATTRIBUTE_COUNTS: Final = 2
"""From this version on the last copy of a CloudEvents attribute counts.

It counts whatever type the first copy has. Before, a first copy of a wrong type made the envelope
invalid.
"""
MORE_SPELLINGS: Final = 3
"""From this version on numbers and times may be written in more ways.

A number that is whole may have a fraction or an exponent (1.7e12, 5.0). A time may have a blank
instead of its T, and an offset without a colon (+0000). Before, such records were rejected.
"""

Ranges = tuple[tuple[int, int], ...]
"""((first offset, version), ...), in order. Each range ends where the next one begins."""

BEFORE_RANGES: Final[Ranges] = ((0, 1),)
"""The version by which a checkpoint without ranges was counted."""
MOST: Final = 32
"""A checkpoint keeps the newest ranges up to this number, because its metadata is limited."""


class RulesTooNewError(ValueError):
    """A checkpoint was counted by rules that this program does not know."""


def version_at(ranges: Ranges, offset: int) -> int:
    """Return the version that judges `offset`; before the first range, the first version."""
    version = ranges[0][1]
    for start, later in ranges:
        if start > offset:
            break
        version = later
    return version


def continued(ranges: Ranges, position: int, version: int = CURRENT) -> Ranges:
    """Continue at `position` by `version`. RulesTooNewError if the last version is newer."""
    newest = ranges[-1][1]
    if newest > version:
        message = f"it was counted by version {newest} of the rules, this program knows {version}"
        raise RulesTooNewError(message)
    if newest == version:
        return ranges
    earlier = tuple(one for one in ranges if one[0] < position)
    return (*earlier, (position, version))[-MOST:]
