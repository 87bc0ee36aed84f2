"""Many accounts in one worker: memory per account, whether churn grows it, a start after a kill.

    python -m bench.runs.memory [--accounts 1000000 5000000] [--report docs]

A real Kafka, one worker, default settings, 8 partitions. First one event of every account, then
turns of as many events as there are accounts, of random ones, two hours of event time each of one
day: windows of an hour are kept for three hours, so that from the second turn on as many windows
end as begin. Then `kill -9`, and a new worker. Writes memory.json and memory.md to bench-output/.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.common.environment import OUTPUT, machine, rss_bytes
from bench.common.inputs import every_account, fill
from bench.common.progress import positions_of
from bench.common.settings import named
from bench.report.figures import measured_line
from service.kafka import topic_admin as topics
from service.local.broker import start_local_broker
from service.local.worker_process import WorkerProcess
from service.settings import Settings
from service.synthetic.events import Made, Shape, Synthetic

TURNS: Final = 3
TURN_MS: Final = 2 * 3_600_000
_DAY_MS: Final = 24 * 3_600_000
_COUNTED_WITHIN_S: Final = 900.0
_AT_REST_S: Final = 5.0
_OPENED: Final = re.compile(r"shard open .*rows=(\d+) .*seconds=([\d.]+)")


@dataclass(frozen=True)
class Held:
    """`rss_bytes`: before any event, with every account, after each turn of churn.

    `ready_s`: from the start after the kill until /ready; `open_s`: until the last of the shards,
    opened side by side, was open; `rss_restored` then.
    """

    accounts: int
    rss_bytes: Sequence[int]
    ready_s: float
    open_s: float
    rss_restored: int

    @property
    def per_account(self) -> float:
        """Resident bytes of the whole process after the last turn over accounts."""
        return self.rss_bytes[-1] / self.accounts

    @property
    def growth(self) -> float:
        """Share by which the last turn changed what is resident."""
        return self.rss_bytes[-1] / self.rss_bytes[-2] - 1


def _turn(accounts: int, turn: int, start_ms: int) -> Iterator[Made]:
    if turn == 0:
        return every_account(accounts, start_ms)
    source = Synthetic(Shape(accounts=accounts, skew=0.0, disorder_s=0.5, seed=turn))
    return source.span(start_ms, rate=accounts * 1_000 / TURN_MS, count=accounts)


def _send(settings: Settings, accounts: int, turn: int, start_ms: int) -> int:
    """Send the events of one turn, in a process of its own. Return the number of records."""
    return asyncio.run(fill(settings, _turn(accounts, turn, start_ms)))


async def measure(brokers: str, accounts: int) -> Held:
    """Fill a worker, churn it, kill it, start another."""
    name = f"memory-{accounts}"
    settings = named(brokers, name, f"{name}-in", partitions=8)
    await topics.create(settings)
    now_ms = int(time.time() * 1_000)
    begin_ms = now_ms - now_ms % _DAY_MS - _DAY_MS
    worker = WorkerProcess(settings, OUTPUT / "memory.log")
    try:
        await worker.ready()
        seen, sent = [rss_bytes(worker.pid)], 0
        for turn in range(TURNS + 1):
            sent += await _sent(settings, accounts, turn, begin_ms + turn * TURN_MS)
            await _counted(worker, settings, sent)
            seen.append(rss_bytes(worker.pid))
            print(f"{accounts:,} accounts, turn {turn}: {seen[-1] / 1e6:,.0f} MB", flush=True)
        worker.check()
        await worker.kill()
        worker.log.rename(OUTPUT / "memory-killed.log")
        began = time.monotonic()
        worker = WorkerProcess(settings, OUTPUT / "memory.log")
        await worker.ready()
        ready_s = time.monotonic() - began
        opened = _OPENED.findall(worker.log.read_text())
        assert sum(int(rows) for rows, _ in opened) == accounts, opened
        open_s = max(float(seconds) for _, seconds in opened)
        held = Held(accounts, seen, ready_s, open_s, rss_bytes(worker.pid))
        await worker.stop()
    finally:
        worker.end()
    print(held, flush=True)
    return held


async def _sent(settings: Settings, accounts: int, turn: int, start_ms: int) -> int:
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(1) as pool:
        return await loop.run_in_executor(pool, _send, settings, accounts, turn, start_ms)


async def _counted(worker: WorkerProcess, settings: Settings, sent: int) -> None:
    async with positions_of(settings) as positions, asyncio.timeout(_COUNTED_WITHIN_S):
        while await positions.total() < sent:
            worker.check()
            await asyncio.sleep(0.5)
    await asyncio.sleep(_AT_REST_S)


def to_markdown(found: Sequence[Held]) -> str:
    """Put it into a table."""
    told = machine()
    about = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items())
    turns = " | ".join(f"after turn {turn}" for turn in range(1, TURNS + 1))
    lines = [
        "# Memory",
        "",
        measured_line(told),
        "",
        f"`python -m bench.runs.memory`, {about}.",
        "",
        "One worker, exactly once, default settings, 8 partitions: one event of every account,",
        "then turns of as many events of random accounts, two hours of event time each (windows",
        "of an hour are kept for three: from turn 2 on as many end as begin), then `kill -9` and",
        "a new worker. MB resident, of the whole process.",
        "",
        f"| accounts | empty | every account once | {turns} | bytes per account | last turn |",
        "|---|---|---|" + "---|" * (TURNS + 2),
    ]
    for held in found:
        mb = " | ".join(f"{one / 1e6:,.0f}" for one in held.rss_bytes)
        lines.append(f"| {held.accounts:,} | {mb} | {held.per_account:,.0f} | {held.growth:+.1%} |")
    lines += [
        "",
        "After the kill: seconds until the new worker is ready (until the group has missed the old",
        "one, and Python's start, included), and until all shards are open, event ids read again.",
        "",
        "| accounts | ready, s | shards open, s | rows/s of it | MB then |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {held.accounts:,} | {held.ready_s:.1f} | {held.open_s:.1f} | "
        f"{held.accounts / held.open_s:,.0f} | {held.rss_restored / 1e6:,.0f} |"
        for held in found
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.runs.memory", description=__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--report", type=Path, help="copy memory.md there")
    asked = parser.parse_args()
    OUTPUT.mkdir(exist_ok=True)
    with start_local_broker("kafka") as broker:
        found = [asyncio.run(measure(broker.bootstrap, accounts)) for accounts in asked.accounts]
    told = {"machine": machine(), "found": [asdict(held) for held in found]}
    (OUTPUT / "memory.json").write_text(json.dumps(told, indent=1))
    (OUTPUT / "memory.md").write_text(to_markdown(found))
    if asked.report:
        shutil.copy(OUTPUT / "memory.md", asked.report)


if __name__ == "__main__":
    main()
