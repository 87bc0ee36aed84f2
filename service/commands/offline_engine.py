"""The counting engine without a broker: one shard, records in, the table and the windows out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final

import msgspec

from service.contract.input_record import HEARTBEAT_HEADER, LogRecord
from service.contract.results import AccountRow, Source, WindowResult, decode_row
from service.counting import Counts, Engine, Rules, Sealed

BATCH: Final = 10_000
NO_LOG_TIME: Final = -1
decode_window = msgspec.json.Decoder(WindowResult).decode


class _Line(msgspec.Struct, gc=False):
    account_id: Any = None
    log_time_ms: Any = None


_decode_line = msgspec.json.Decoder(_Line).decode


def record_of(line: bytes, offset: int) -> LogRecord:
    """Turn a line into a record: account_id is its key, log_time_ms its log timestamp."""
    try:
        known = _decode_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return LogRecord(offset, NO_LOG_TIME, None, line)
    account, at = known.account_id, known.log_time_ms
    key = account.encode(errors="replace") if isinstance(account, str) else None
    if isinstance(at, float) and at.is_integer():
        at = int(at)
    is_time = isinstance(at, int) and not isinstance(at, bool)
    return LogRecord(offset, at if is_time else NO_LOG_TIME, key, line)


class Offline:
    """One shard in memory. Each of `outlets` is called with every sealed checkpoint."""

    def __init__(self, rules: Rules, outlets: Iterable[Callable[[Sealed], None]] = ()) -> None:
        """Start at offset 0 of a log with the name 'replay'."""
        self.rules = rules
        self.engine = Engine(rules, Source("replay", 0))
        self._outlets = list(outlets)
        self._rows: dict[bytes, bytes] = {}

    @property
    def counts(self) -> Counts:
        """The five outcomes so far."""
        return self.engine.counts

    def rows(self) -> Iterable[AccountRow]:
        """Yield the table."""
        return map(decode_row, self._rows.values())

    def row(self, account: str) -> AccountRow | None:
        """One account's row."""
        value = self._rows.get(account.encode())
        return None if value is None else decode_row(value)

    def feed(self, lines: Iterable[bytes]) -> None:
        """Count lines. An empty line is not a record."""
        offset = self.engine.position
        remaining = iter(lines)
        while batch := list(islice(remaining, BATCH)):
            records: list[LogRecord] = []
            for line in batch:
                value = line.strip()
                if value:
                    records.append(record_of(value, offset + len(records)))
            offset += len(records)
            self.engine.apply(records, offset)
            self._seal()

    def close_windows(self) -> None:
        """Feed a heartbeat after which every window of every grain is final."""
        longest = max(grain.size_ms + grain.grace_ms for grain in self.rules.grains)
        value = b'{"occurred_at":%d}' % max(self.engine.watermark_ms + longest, 10**12)
        offset = self.engine.position
        beat = LogRecord(offset, NO_LOG_TIME, None, value, [(HEARTBEAT_HEADER, b"")])
        self.engine.apply([beat], offset + 1)
        self._seal()

    def _seal(self) -> None:
        while self.engine.has_unsealed:
            sealed = self.engine.seal()
            for key, value in sealed.updates:
                if value is None:
                    self._rows.pop(key, None)
                else:
                    self._rows[key] = value
            for outlet in self._outlets:
                outlet(sealed)


class WindowsOf:
    """Keeps one account's windows of one grain: the newest revision of each."""

    def __init__(self, account: str, grain: str) -> None:
        """Start without windows. Use it as an outlet of `Offline`."""
        self.account = account
        self.grain = grain
        self._newest: dict[int, WindowResult] = {}

    def __call__(self, sealed: Sealed) -> None:
        """Take the window results of a checkpoint."""
        key = self.account.encode()
        for found, value in sealed.windows:
            if found == key:
                self.add(decode_window(value))

    def add(self, window: WindowResult) -> None:
        """Keep a result unless a higher revision is known."""
        known = self._newest.get(window.start_ms)
        if window.grain == self.grain and (known is None or known.revision <= window.revision):
            self._newest[window.start_ms] = window

    def contents(self, row: AccountRow | None = None) -> dict[int, tuple[int, int]]:
        """Return (gained, lost) by start; with a row also its windows that are not final yet."""
        found = {start: (w.gained, w.lost) for start, w in self._newest.items()}
        for start, gained, lost, _ in row.windows[self.grain] if row else ():
            found[start] = (gained, lost)
        return dict(sorted(found.items()))
