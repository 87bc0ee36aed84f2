"""How the time of an event grows: with accounts, grains, late events, size, history, partitions.

    python -m bench.runs.growth [--report docs]

CPU microseconds per event. All but the partitions are the engine alone, in a new process for each
point: records in, `apply`, `seal` every 20,000, rows and windows encoded; the fastest of some
rounds. Partitions are counted by one worker on a real Kafka, transactions and all. Writes
growth.json, growth.md and growth.png to bench-output/.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from bench.common.backfill import DAY_MS, Backfill
from bench.common.backfill import records as backfilled
from bench.common.environment import OUTPUT, machine, rss_bytes
from bench.common.inputs import Load, load_all
from bench.common.settings import named
from bench.report.figures import measured_line
from bench.runs.throughput import run_ours
from service.contract.input_record import LogRecord
from service.contract.results import Source
from service.counting import Engine, Grain, Rules
from service.counting.checkpoint import Checkpoint, Counts, SweepPosition
from service.counting.rows import Row, to_record, windows_by_name
from service.local.broker import start_local_broker
from service.synthetic.events import Shape, Synthetic

BATCH: Final = 5_000
PER_SEAL: Final = 20_000
PER_MS: Final = 20
START_MS: Final = 1_767_225_600_000
ACCOUNTS: Final = (1_000, 10_000, 100_000, 1_000_000, 5_000_000)
GRAINS: Final = ("1m:30s:15m", "1h:1m:3h", "1d:5m:2d", "10m:1m:1h", "6h:1m:1d")
LATE: Final = (0.0, 0.01, 0.05, 0.2, 0.5)
PADDING: Final = (0, 100, 1_000, 8_000, 60_000)
DAYS: Final = (1, 30, 365, 2_555, 25_550)
PARTITIONS: Final = (4, 16, 64)


ABOUT: Final = (
    "CPU time of an event by what it depends on, uniform over 100,000 accounts and three grains "
    "where nothing else is said. The engine alone, without a broker; partitions: a worker on a "
    "real Kafka. Nothing grows faster than what it depends on."
)
WHY: Final = {
    "accounts": "Few accounts change many times in a flush, and a row is woken and encoded once: "
    "what is left is the event itself. It bends where nearly every event changes another row "
    "(200,000 events over 100,000 accounts, 20,000 a seal); from there on only misses of the "
    "processor's caches grow.",
    "grains": "A grain is a window more in each row that is woken and encoded.",
    "late share": "A late event is a record of its own with six headers.",
    "bytes per event": "What is not known is skipped, byte by byte: linear from about 1 KB on.",
    "days of history": "A backfill of 6 accounts with baselines: 200,000 events over that many "
    "days. It rises with the windows that an event opens, three at the most, and "
    "is flat from there on.",
    "partitions": "Flat: shards share nothing. More partitions are more transactions of fewer "
    "rows each, and smaller tables.",
}
"""Where it bends, and why."""


@dataclass(frozen=True)
class Point:
    """`us`: CPU microseconds per event at `x` of `by`. `rss_bytes`, `load_rows_s`: where known."""

    by: str
    x: float
    us: float
    rss_bytes: int = 0
    load_rows_s: float = 0.0


@dataclass(frozen=True)
class Case:
    """One point to be measured by the engine alone."""

    by: str
    x: float
    accounts: int = 100_000
    grains: Sequence[str] = GRAINS[:3]
    late: float = 0.0
    padding: int = 0
    events: int = 200_000
    days: int = 0


def cases() -> list[Case]:
    """All of them. Late events miss a minute, so their grain is the minute alone."""
    return [
        *(Case("accounts", n, accounts=n) for n in ACCOUNTS),
        *(Case("grains", n, grains=GRAINS[:n]) for n in range(1, len(GRAINS) + 1)),
        *(Case("late share", share, late=share) for share in LATE),
        *(Case("bytes per event", 180 + n, padding=n, events=40_000) for n in PADDING),
        *(Case("days of history", n, accounts=6, days=n) for n in DAYS),
    ]


def rows(accounts: int, names: Sequence[str]) -> Iterator[tuple[bytes, bytes]]:
    """Rows of the updates topic: each account has counted some events before."""
    windows_of = windows_by_name(names)
    row = Row(7, 3, None, None, START_MS - 60_000, 0, [[] for _ in names])
    for number in range(accounts):
        key = b"acct-%d" % number
        yield key, to_record(key, row, windows_of)


def records(case: Case, first: int) -> list[LogRecord]:
    """Return uniform events. `first`: the first offset, from which their time follows.

    A backfill continues where the last one ended.
    """
    if case.days:
        return history(case, first)
    shape = Shape(accounts=case.accounts, late=case.late, seed=first + 1)
    padding = b'{"padding":"%s",' % (b"p" * case.padding) if case.padding else b"{"
    start_ms = START_MS + first // PER_MS
    made = Synthetic(shape).span(start_ms, rate=PER_MS * 1_000, count=case.events)
    return [
        LogRecord(
            first + number,
            start_ms + number // PER_MS,
            one.key,
            (one.value or b"").replace(b"{", padding, 1),
        )
        for number, one in enumerate(made)
    ]


def history(case: Case, first: int) -> list[LogRecord]:
    """A backfill that begins where the one before it has ended."""
    whole = Backfill(
        "growth", case.accounts, case.days, case.events - case.accounts, has_baselines=True,
        begins_ms=START_MS + case.days * DAY_MS * (first // case.events),
    )  # fmt: skip
    return list(backfilled(whole, offset=first))


def measure(case: Case, rounds: int = 4) -> Point:
    """Load the rows and then count, `rounds` times, in this process."""
    gc.disable()
    rules = Rules(grains=tuple(Grain.parse(text) for text in case.grains))
    engine = Engine(rules, Source("in", 0))
    engine.restore(Checkpoint(1, START_MS, Counts(), SweepPosition(), engine.settings))
    before = rss_bytes(os.getpid())
    loaded_s = 0.0
    for part in _slices(rows(case.accounts, [grain.name for grain in rules.grains])):
        began = time.process_time()
        engine.load(part)
        loaded_s += time.process_time() - began
    held = rss_bytes(os.getpid()) - before
    best = float("inf")
    for turn in range(rounds):
        log = records(case, 1 + turn * case.events)
        began = time.process_time()
        for first in range(0, case.events, PER_SEAL):
            for at in range(first, first + PER_SEAL, BATCH):
                engine.apply(log[at : at + BATCH], log[at].offset + BATCH)
            engine.seal()
            while engine.has_unsealed:
                engine.seal()
        best = min(best, time.process_time() - began)
    us = 1e6 * best / case.events
    return Point(case.by, case.x, us, held, case.accounts / loaded_s)


def _slices(
    source: Iterator[tuple[bytes, bytes]], size: int = 10_000
) -> Iterator[list[tuple[bytes, bytes]]]:
    part: list[tuple[bytes, bytes]] = []
    for one in source:
        part.append(one)
        if len(part) == size:
            yield part
            part = []
    yield part


def by_partitions(events: int) -> list[Point]:
    """One worker, uniform over 200,000 accounts, as many partitions as said."""

    async def all_of_them(brokers: str) -> list[Point]:
        found = []
        for count in PARTITIONS:
            load = Load(f"{count} partitions", 200_000, 0.0, events)
            [there] = load_all(brokers, f"grow-{count}", [load], partitions=count)
            settings = named(brokers, f"grow-{count}", there.topic, partitions=count)
            run = await run_ours("ours", load.name, settings, there.records)
            found.append(said(Point("partitions", count, 1e6 * run.cpu_s / run.events)))
        return found

    with start_local_broker("kafka") as broker:
        return asyncio.run(all_of_them(broker.bootstrap))


def said(point: Point) -> Point:
    """Print a point, and return it."""
    print(f"{point.by:<16} {point.x:>12,g} {point.us:8.2f} us", flush=True)
    return point


def markdown(points: Sequence[Point]) -> str:
    """Tables, one a quantity."""
    found = machine()
    said = ", ".join(f"{name} {value}" for name, value in found.items())
    lines = [
        "# Growth",
        "",
        measured_line(found),
        "",
        f"`make growth`, {said}.",
        "",
        ABOUT,
        "",
        "![The tables as plots](growth.png)",
        "",
    ]
    for by in dict.fromkeys(point.by for point in points):
        own = [point for point in points if point.by == by]
        lines += [f"| {by} | us of CPU per event | against the first |", "|---|---|---|"]
        lines += [f"| {one.x:,g} | {one.us:.2f} | {one.us / own[0].us:.2f} |" for one in own]
        lines += ["", WHY[by], ""]
    lines += ["Rows in memory, two boards and no windows: the engine alone, after loading.", ""]
    lines += ["| accounts | resident bytes each | rows loaded per CPU second |", "|---|---|---|"]
    lines += [
        f"| {one.x:,g} | {one.rss_bytes / one.x:,.0f} | {one.load_rows_s:,.0f} |"
        for one in points
        if one.by == "accounts"
    ]
    return "\n".join(lines) + "\n"


def draw(points: Sequence[Point], path: Path) -> None:
    """One plot a quantity, from 0, logarithmic where the quantity is."""
    names = list(dict.fromkeys(point.by for point in points))
    figure = Figure(figsize=(3.2 * len(names), 3.2), layout="constrained")
    for number, by in enumerate(names):
        axes = figure.add_subplot(1, len(names), number + 1)
        own = [point for point in points if point.by == by]
        axes.plot([one.x for one in own], [one.us for one in own], "o-", color="#0072b2")
        axes.set_ylim(bottom=0)
        axes.set_title(f"us of CPU per event, by {by}", loc="left", fontsize=9)
        if own[-1].x >= 10 * max(own[0].x, 0.001) and own[0].x > 0:
            axes.set_xscale("log")
            axes.set_xticks([one.x for one in own], [f"{one.x:,g}" for one in own], fontsize=7)
            axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(prog="python -m bench.runs.growth", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="for the partitions")
    parser.add_argument("--report", type=Path, help="copy growth.md and growth.png there")
    asked = parser.parse_args()
    OUTPUT.mkdir(exist_ok=True)
    points = []
    for case in cases():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            points.append(said(alone.submit(_measured(), case).result()))
    points += by_partitions(asked.events)
    kept = {"machine": machine(), "points": [asdict(point) for point in points]}
    (OUTPUT / "growth.json").write_text(json.dumps(kept, indent=1))
    (OUTPUT / "growth.md").write_text(markdown(points))
    draw(points, OUTPUT / "growth.png")
    print(markdown(points))
    if asked.report:
        for name in ("growth.md", "growth.png"):
            shutil.copy(OUTPUT / name, asked.report / name)


def _measured() -> Callable[[Case], Point]:
    """Return `measure` by its module's name, because `__main__` of a spawned process is another."""
    from bench.runs.growth import measure as imported  # noqa: PLC0415

    return imported


if __name__ == "__main__":
    main()
