"""Ranges of the input that an operator has stepped over, because they cannot be unpacked.

    offsets   [0 ------- 16][17 ---- 18][19 --------- next record
                              skipped: (17, 19, "disk of broker 3")

Every checkpoint contains them. Each offset in them counts as rejected. Each range has one rejected
record, at its first offset. Every program that reads the input again leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

Skipped = tuple[tuple[int, int, str], ...]
"""((first offset, offset after the last one, why), ...), in order."""

MOST: Final = 20
"""Largest number of ranges in a checkpoint, because its metadata is limited."""
MAX_WHY: Final = 60
"""Largest length of a `why` in bytes.

It is printable ASCII without `"` and `\\`, so JSON does not make it longer.
"""


def around(skipped: Skipped, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the readable parts of [start, stop), in order."""
    for first, end, _ in skipped:
        if start < min(first, stop):
            yield start, min(first, stop)
        start = max(start, end)
    if start < stop:
        yield start, stop
