"""The budget: what must be, what is aimed at, what a run has measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Found = Mapping[str, Any]
"""What a run has saved: the list of rows of each section."""

HOT: Final = "hot"
TAIL: Final = "heavy tail"
UNIFORM: Final = "uniform, 200,000"
MOST: Final = "uniform, 1,000,000"
OURS: Final = "net followers"
FAUST: Final = "plain Faust"
IDIOMATIC: Final = "Kafka Streams, idiomatic"
TUNED: Final = "Kafka Streams, tuned"


@dataclass(frozen=True)
class Row:
    """One line of the budget. `is_most`: the measured value must not be larger."""

    what: str
    must: float
    aim: float | None
    unit: str
    measured: Callable[[Found], float | None]
    is_most: bool = False

    def verdict(self, value: float | None) -> str:
        """Say in one word how a value compares with the budget."""
        if value is None:
            return "not measured"
        sign = -1 if self.is_most else 1
        if self.aim is not None and sign * value >= sign * self.aim:
            return "aim"
        return "must" if sign * value >= sign * self.must else "MISSED"


def median(values: Iterable[float]) -> float | None:
    """Return the median; None without values."""
    found = list(values)
    return statistics.median(found) if found else None


def rate(found: Found, who: str, load: str, by: str = "wall_s") -> float | None:
    """Median events per second of wall or CPU."""
    return median(
        run["events"] / max(run[by], 0.01)
        for run in found.get("throughput", ())
        if run["who"] == who and run["load"].startswith(load)
    )


def ratio(found: Found, who: str, load: str, by: str) -> float | None:
    """Return the service's rate divided by another program's; None if one was not measured."""
    ours, theirs = rate(found, OURS, load, by), rate(found, who, load, by)
    return ours / theirs if ours and theirs else None


def bytes_per_account(found: Found) -> float | None:
    """Resident bytes of the whole process over accounts, where there are a million."""
    return median(
        run["rss_bytes"] / run["accounts"]
        for run in found.get("throughput", ())
        if run["who"] == OURS and run["load"].startswith(MOST)
    )


def p99_s(found: Found) -> float | None:
    """Return the 99th percentile of the latency at 5,000 events per second, in seconds."""
    return median(
        one["p99_ms"] / 1_000
        for one in found.get("latency", ())
        if one["rate"] == 5_000 and one["who"] == OURS
    )


def of(section: str, value: Callable[[Mapping[str, float]], float]) -> Callable[..., float | None]:
    """Median of a value over the rows of a section."""
    return lambda found: median(value(row) for row in found.get(section, ()))


def throughput(load: str) -> Callable[[Found], float | None]:
    """Return a function that finds the service's events per second."""
    return lambda found: rate(found, OURS, load)


def against(who: str, load: str, by: str = "cpu_s") -> Callable[[Found], float | None]:
    """Return a function that divides the service's rate by another program's."""
    return lambda found: ratio(found, who, load, by)


ROWS: Final = (
    Row("hot accounts, exactly once, one process", 200_000, 500_000, "/s", throughput(HOT)),
    Row("heavy-tail accounts, the same", 200_000, 500_000, "/s", throughput(TAIL)),
    Row("uniform over 200,000 accounts, the same", 60_000, 200_000, "/s", throughput(UNIFORM)),
    Row("against plain Faust, hot, wall", 50, 130, "x", against(FAUST, HOT, "wall_s")),
    Row("against plain Faust, uniform, wall", 50, 130, "x", against(FAUST, UNIFORM, "wall_s")),
    Row("against Kafka Streams tuned, hot, per CPU second", 1, None, "x", against(TUNED, HOT)),
    Row(
        "against Kafka Streams tuned, uniform, per CPU second",
        1.5,
        None,
        "x",
        against(TUNED, UNIFORM),
    ),
    Row(
        "against Kafka Streams idiomatic, uniform, per CPU second",
        5,
        None,
        "x",
        against(IDIOMATIC, UNIFORM),
    ),
    Row("produce -> visible at 5,000/s, flush 0.1 s, p99", 0.3, 0.13, "s", p99_s, is_most=True),
    Row(
        "restore, rows decoded and windows indexed",
        150_000,
        500_000,
        "rows/s",
        of("restore", lambda row: row["rows"] / (row["read_s"] + row["load_s"])),
    ),
    Row(
        "resident bytes per account at 1 M accounts, everything included",
        700,
        400,
        "bytes",
        bytes_per_account,
        is_most=True,
    ),
    Row(
        "a full-hour boundary in one shard, updates stall",
        5,
        1,
        "s",
        of("boundary", lambda row: row["stall_s"]),
        is_most=True,
    ),
)
