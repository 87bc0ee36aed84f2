"""One account's totals and windows: awake while it changes, packed otherwise.

A packed row is bytes of exact size (MessagePack, fields by position). It is about a quarter of the
public JSON row, and takes half the time to wake. This encoding is private. The public row is
`results.AccountRow`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

import msgspec

from service.contract.input_record import Baseline
from service.contract.results import AccountRow, Window, decode_row, encode

GAINED, LOST, REVISION = 1, 2, 3
"""Columns of a window, after its start."""

WindowsOf = Callable[..., Any]
"""Turns lists of windows, one per grain in the rules' order, into what encodes as {name: windows}.
"""


class Row(msgspec.Struct, array_like=True, gc=False):
    """Mutable. `windows`: per grain, in the rules' order, the kept windows sorted by start."""

    gained: int
    lost: int
    baseline: int | None
    net_at_baseline: int | None
    last_event_ms: int
    offset: int
    windows: list[list[Window]]
    baseline_ms: int | None = None
    """When the baseline was true. None without a baseline, and by version 1 of the rules."""

    @property
    def is_empty(self) -> bool:
        """True if nothing counts any more: the account was forgotten or has expired."""
        return not self.gained and not self.lost and self.baseline is None

    @property
    def followers(self) -> int | None:
        """Baseline + net since then; None without a baseline."""
        if self.baseline is None:
            return None
        return self.baseline + self.gained - self.lost - (self.net_at_baseline or 0)

    def clear(self) -> None:
        """Reset to a new row. The windows stay."""
        self.gained = self.lost = 0
        self.baseline = self.net_at_baseline = self.baseline_ms = None
        self.last_event_ms = 0

    def contain(self, action: str) -> None:
        """Treat an event as part of the baseline: it happened before the baseline's time."""
        assert self.net_at_baseline is not None
        self.net_at_baseline += 1 if action == "follow" else -1

    def rebase(self, event: Baseline, at_ms: int | None = None, net_since: int = 0) -> None:
        """Set the baseline. From here on followers = baseline + net since then.

        Net counts from the arrival of the baseline in the log. `net_since` is added: the net that
        is known between its time `at_ms` and its arrival.
        """
        self.baseline = event.followers
        self.net_at_baseline = self.gained - self.lost - net_since
        self.baseline_ms = at_ms


_start_of = itemgetter(0)
pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Row).decode


def new_row(grains: int) -> Row:
    """Build the row of a new account."""
    return Row(0, 0, None, None, -1, -1, [[] for _ in range(grains)])


def window_at(windows: list[Window], start_ms: int) -> tuple[Window, bool]:
    """Find the window that starts at `start_ms`, or insert an empty one.

    Return (window, is new).
    """
    place = bisect_left(windows, start_ms, key=_start_of)
    if place < len(windows) and windows[place][0] == start_ms:
        return windows[place], False
    window = [start_ms, 0, 0, 0]
    windows.insert(place, window)
    return window, True


def windows_by_name(names: Iterable[str]) -> WindowsOf:
    """Build the type that encodes a row's windows as {name: windows}. It is faster than a dict."""
    fields = {f"grain_{index}": name for index, name in enumerate(names)}
    columns = [(field, list[Window]) for field in fields]
    return msgspec.defstruct("Windows", columns, rename=fields, gc=False)


def to_record(key: bytes, row: Row, windows_of: WindowsOf) -> bytes:
    """Encode a row as the value of the updates topic. `windows_of`: from `windows_by_name`."""
    gained, lost, baseline = row.gained, row.lost, row.baseline
    net = gained - lost
    return encode(
        AccountRow(
            key.decode(),
            gained,
            lost,
            net,
            None if baseline is None else baseline + net - (row.net_at_baseline or 0),
            baseline,
            row.net_at_baseline,
            row.last_event_ms,
            row.offset,
            windows_of(*row.windows),
            msgspec.UNSET if row.baseline_ms is None else row.baseline_ms,
        )
    )


def from_record(value: bytes, names: tuple[str, ...]) -> Row:
    """Decode a value of the updates topic. KeyError if its grains are not `names`."""
    public = decode_row(value)
    return Row(
        public.gained,
        public.lost,
        public.baseline,
        public.net_at_baseline,
        public.last_event_ms,
        public.offset,
        [public.windows[name] for name in names],
        None if public.baseline_ms is msgspec.UNSET else public.baseline_ms,
    )
