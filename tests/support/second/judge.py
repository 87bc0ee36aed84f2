"""What the second engine should have published, from the log alone; it shares no code with it."""

from __future__ import annotations

import binascii
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol


class Record(Protocol):
    """One record of a log."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Log(NamedTuple):
    """One partition: the window results, and what the engine has published there."""

    windows: Sequence[Record]
    table: Sequence[Record]
    milestones: Sequence[Record]
    newcomers: Sequence[Record]


def wrong(logs: Sequence[Log], *, is_exact: bool) -> list[str]:
    """Each difference in a line. `is_exact`: nothing may have been published twice."""
    found = []
    newcomers: list[list[tuple[bytes, bytes]]] = [[] for _ in logs]
    for number, log in enumerate(logs):
        rows, milestones, came = _expected(log.windows)
        for key in came:
            newcomers[binascii.crc32(key) % len(logs)].append((key, str(number).encode()))
        newest = {one.key: json.loads(one.value or b"null") for one in log.table if one.key}
        if newest != rows:
            found.append(f"partition {number}: rows {_unequal(newest, rows)}")
        if not _same(_pairs(log.milestones), milestones, is_exact=is_exact):
            found.append(f"partition {number}: milestones differ")
    for number, log in enumerate(logs):
        if not _same(_pairs(log.newcomers), newcomers[number], is_exact=is_exact):
            found.append(f"partition {number}: newcomers differ")
    return found


def _expected(
    windows: Iterable[Record],
) -> tuple[dict[bytes, dict[str, int]], list[tuple[bytes, bytes]], list[bytes]]:
    rows: dict[bytes, dict[str, int]] = {}
    milestones: list[tuple[bytes, bytes]] = []
    newcomers: list[bytes] = []
    last: dict[str, int] = {}
    for one in windows:
        said, key = json.loads(one.value or b"{}"), one.key or b""
        about = f"{key!r} {said['grain']} {said['start_ms']}"
        row = rows.setdefault(key, {"finals": 0, "revisions": 0, "quick": 0, "offset": 0})
        row["offset"] = one.offset
        if one.offset - last.get(about, -1_000_000) <= 64:
            row["quick"] += 1
        if said["revision"] > 0:
            row["revisions"] += 1
        else:
            row["finals"] += 1
            if row["finals"] == 1:
                newcomers.append(key)
            if row["finals"] % 5 == 0:
                milestones.append((key, str(row["finals"]).encode()))
        last[about] = one.offset
    return rows, milestones, newcomers


def _pairs(records: Iterable[Record]) -> list[tuple[bytes, bytes]]:
    return [(one.key or b"", one.value or b"") for one in records]


def _same(
    found: list[tuple[bytes, bytes]], right: list[tuple[bytes, bytes]], *, is_exact: bool
) -> bool:
    return Counter(found) == Counter(right) if is_exact else set(found) == set(right)


def _unequal(found: Mapping[bytes, object], right: Mapping[bytes, object]) -> str:
    keys = [key for key in found.keys() | right.keys() if found.get(key) != right.get(key)]
    return ", ".join(f"{key!r} {found.get(key)} not {right.get(key)}" for key in keys[:3])
