# ruff: noqa: E501 - a page of text
"""How many workers, partitions and bytes a load takes: docs/measured/capacity.md from measured figures.

    python -m bench.report.capacity --events 60000 --accounts 1000000     # one load, printed
    python -m bench.report.capacity --page docs/measured/capacity.md      # the page, for three
    loads

Figures come from docs/measured/bench.json (uniform over 1,000,000 accounts: the dearest input there
is). What is decided and not measured has a name below and is said on the page.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

from bench.common.environment import ROOT
from bench.report.budget import MOST, OURS
from bench.report.figures import measured_line

BUSY: Final = 0.5
"""Share of a core that counts at the peak: the rest catches up after a restart."""
MEMORY: Final = 8 * 10**9
"""Bytes of a worker."""
RESTORE_S: Final = 60
"""Longest time in which a worker should restore all its shards."""
PER_WORKER: Final = 4
"""Partitions per worker, so that a lost worker's share can be spread."""
EVENT_BYTES: Final = 180
ROW_BYTES: Final = 350
FINAL_BYTES: Final = 220
"""Bytes in the log: key, value and record overhead, uncompressed. A row has a few kept windows."""
UNCOMPACTED: Final = 2
"""A compacted topic is at most this many times as large as its live rows."""
INPUT_DAYS: Final = 7
REPLICAS: Final = 3
DAY_S: Final = 86_400


@dataclass(frozen=True)
class Figures:
    """Per worker process: events per CPU second, bytes per account, rows restored per second."""

    events_s: float
    account_bytes: float
    restore_rows_s: float


@dataclass(frozen=True)
class Load:
    """Peak events per second, accounts, distinct accounts that have an event in a day."""

    events_s: float
    accounts: int
    active: float = 0.3


@dataclass(frozen=True)
class Need:
    """Workers by what asks for them, and the rest."""

    by_cpu: int
    by_memory: int
    by_restore: int
    partitions: int
    table_bytes: float
    input_bytes: float
    finals_bytes_day: float

    @property
    def workers(self) -> int:
        """What all of them need."""
        return max(self.by_cpu, self.by_memory, self.by_restore)


def figures(saved: Mapping[str, Any]) -> Figures:
    """Medians of a saved run of `make bench`."""
    found = saved["found"]
    ours = [
        run for run in found["throughput"] if run["who"] == OURS and run["load"].startswith(MOST)
    ]
    return Figures(
        statistics.median(run["events"] / run["cpu_s"] for run in ours),
        statistics.median(run["rss_bytes"] / run["accounts"] for run in ours),
        statistics.median(
            row["rows"] / (row["read_s"] + row["load_s"]) for row in found["restore"]
        ),
    )


def need(load: Load, seen: Figures) -> Need:
    """Compute what a load needs, from measured figures."""
    by_cpu = ceil(load.events_s / (BUSY * seen.events_s))
    by_memory = ceil(load.accounts * seen.account_bytes / MEMORY)
    by_restore = ceil(load.accounts / (seen.restore_rows_s * RESTORE_S))
    finals_a_day = load.active * load.accounts * 3  # a minute, an hour and a day at least
    return Need(
        by_cpu,
        by_memory,
        by_restore,
        PER_WORKER * max(by_cpu, by_memory, by_restore),
        load.accounts * ROW_BYTES * UNCOMPACTED * REPLICAS,
        load.events_s * EVENT_BYTES * DAY_S * INPUT_DAYS * REPLICAS,
        finals_a_day * FINAL_BYTES * REPLICAS,
    )


LOADS: Final = (
    Load(2_000, 10**6),
    Load(200_000, 10**8),
    Load(2_000_000, 10**9),
)
BREAKS: Final = (
    "Nothing. One worker would do; two, so that one can be lost.",
    (
        "Memory of the workers, then the time of a restore: give instance ids, so that a restart "
        "moves no shard. A worker is a process on one core, not a machine."
    ),
    (
        "The consumer group: an eager rebalance stops all workers until the slowest has answered, "
        "and each member is sent the whole assignment. Cut the accounts into several deployments "
        "(an app id and topics each, by a hash of the account in front) before there are more than "
        "a few hundred partitions in one. Then the brokers: a commit of a shard writes a marker "
        "into each result topic; raise the flush interval."
    ),
)


def size(count: float) -> str:
    """Write a number of bytes with a unit, in a short form."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if count < 1_000:
            return f"{count:,.0f} {unit}"
        count /= 1_000
    return f"{count:,.1f} PB"


def row(load: Load, seen: Figures) -> str:
    """One line of the table."""
    found = need(load, seen)
    shard_rows = load.accounts / found.workers
    return (
        f"| {load.accounts:,} | {load.events_s:,.0f} | {found.by_cpu:,} | {found.by_memory:,} "
        f"| {found.by_restore:,} | **{found.workers:,}** | {found.partitions:,} "
        f"| {size(found.table_bytes)} | {size(found.input_bytes)} "
        f"| {size(found.finals_bytes_day)} | {shard_rows / seen.restore_rows_s:,.0f} s |"
    )


HEAD: Final = (
    "| accounts | peak events/s | workers by CPU | by memory | by restore | workers | partitions "
    "| table on disk | input on disk | finals a day | restore of a worker |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def page(saved: Mapping[str, Any]) -> str:
    """Return the text of docs/measured/capacity.md."""
    seen = figures(saved)
    table = "\n".join([HEAD, *(row(load, seen) for load in LOADS)])
    breaks = "\n".join(
        f"- **{load.accounts:,} accounts**: {text}"
        for load, text in zip(LOADS, BREAKS, strict=True)
    )
    told = saved["machine"]
    return f"""# Capacity

{measured_line(told)}

Made by `python -m bench.report.capacity --page docs/measured/capacity.md` from
[bench.json](bench.json) (commit {told["commit"]}): uniform events over 1,000,000 accounts, the
dearest input there is, exactly once, one worker process, {told["cores"]} cores shared with the
broker. Put your own machine's figures in by `make bench` there.

| measured, per worker process | |
|---|---|
| `r` events per CPU second | {seen.events_s:,.0f} |
| `b` resident bytes per account, everything included | {seen.account_bytes:,.0f} |
| `q` rows restored per second | {seen.restore_rows_s:,.0f} |

| decided | |
|---|---|
| share of a core that is busy at the peak | {BUSY} |
| memory of a worker | {size(MEMORY)} |
| longest restore of a worker | {RESTORE_S} s |
| partitions per worker | {PER_WORKER} |
| bytes of an event, a row, a final window in the log | {EVENT_BYTES}, {ROW_BYTES}, {FINAL_BYTES} |
| replicas; input kept; compacted topic over its live rows | {REPLICAS}; {INPUT_DAYS} days; {UNCOMPACTED} |

## The formula

With `E` events per second at the peak and `A` accounts:

    workers    = max(E / ({BUSY} r), A b / memory, A / ({RESTORE_S} q))
    partitions = {PER_WORKER} x workers          they can never be changed afterwards: take those of
    the largest load table      = A x row bytes x {UNCOMPACTED} x replicas
    input      = E x event bytes x seconds kept x replicas
    finals     = a record per account, grain and window in which it changed

## Worked out

The peak is one event per account in 500 s. Finals: three in ten accounts change in a day, in one
window of each grain.

{table}

What breaks first:

{breaks}

## What else to know

- Hot accounts are cheaper than this: rows that change many times in a flush are written once
  ([bench.md](bench.md)).
- A partition is one shard on one core: a single account's events are all in one, and a worker's
  speed is its limit.
- Time per event by accounts, grains, late share, event size and partitions: [growth.md](growth.md).
- Event ids are remembered for 131,072 to 262,144 offsets of each partition: about 45 MB of resident
  memory per partition that has seen so many, which `b` includes at 4 partitions per worker and 64
  partitions per worker would not.
"""


def main() -> None:
    """Print or write."""
    parser = argparse.ArgumentParser(prog="python -m bench.report.capacity", description=__doc__)
    parser.add_argument("--events", type=float, default=2_000, help="per second, at the peak")
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--bench", type=Path, default=ROOT / "docs" / "measured" / "bench.json")
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    saved = json.loads(asked.bench.read_text())
    if asked.page:
        asked.page.write_text(page(saved))
    else:
        print(f"{HEAD}\n{row(Load(asked.events, asked.accounts), figures(saved))}")


if __name__ == "__main__":
    main()
