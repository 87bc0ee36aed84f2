"""Ranges of the input that an operator has stepped over, because nobody can unpack what they hold.

    offsets   [0 ------- 16][17 ---- 18][19 --------- next record
                              skipped: (17, 19, "disk of broker 3")

They travel with every checkpoint. Each offset in them counts as rejected, and each range has one
rejected record, at its first offset. Whoever reads the input again leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

Skipped = tuple[tuple[int, int, str], ...]
"""((first offset, offset after the last one, why), ...), in order."""

MOST: Final = 20
"""A checkpoint holds this many ranges: its metadata is bounded."""
MAX_WHY: Final = 60
"""Bytes of a `why`; it is printable ASCII without `"` and `\\`, so that JSON makes it no longer."""


def around(skipped: Skipped, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of [start, stop) that can be read, in order."""
    for first, end, _ in skipped:
        if start < min(first, stop):
            yield start, min(first, stop)
        start = max(start, end)
    if start < stop:
        yield start, stop
