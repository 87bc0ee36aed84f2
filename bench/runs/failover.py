"""Measures how long updates pause when a worker is stopped or killed, or all are replaced.

    python -m bench.runs.failover [--rounds 3] [--rate 2000] [--partitions 6]

Three workers with default settings on a real Kafka, live input to every partition, and a
`read_committed` reader of the updates topic. Each scenario is run with and without instance ids
(static membership). A figure is the longest time in which a partition showed no committed update,
although its input continued. Prints a table and writes `bench-output/failover.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace

from bench.common.environment import OUTPUT, machine
from bench.common.pauses import Gaps
from service.kafka import topic_admin as topics
from service.local.broker import start_local_broker
from service.local.worker_process import WorkerProcess
from service.settings import Settings
from service.synthetic.batch_sender import outbox_to
from service.synthetic.events import Shape, Synthetic
from service.synthetic.paced_source import CHUNK, Stream

WORKERS = 3
ACCOUNTS = 200_000
SKEW = 0.2
"""Skew of the accounts, as in the soak: some hot accounts, and a table that a restart restores."""
STEP_S = 0.05
CALM_S = 4.0
"""Time before and after each scenario. It is longer than a group heartbeat."""
SETTLED_WITHIN_S = 90.0


@dataclass
class Outcome:
    """One run of one scenario."""

    scenario: str
    with_ids: bool
    pauses_s: list[float]
    took_s: float

    @property
    def worst_s(self) -> float:
        """Longest pause of any partition."""
        return max(self.pauses_s)


class Fleet:
    """Three workers of one group, and what happens to them."""

    def __init__(self, settings: Settings, *, with_ids: bool) -> None:
        """Nothing is started yet."""
        self._settings = settings
        self._with_ids = with_ids
        self.workers: list[WorkerProcess] = []

    async def start(self) -> None:
        """Start all of them and wait."""
        self.workers = [self._worker(number) for number in range(WORKERS)]
        await self.ready()

    async def ready(self) -> None:
        """Wait until every worker runs all that is assigned to it."""
        await asyncio.gather(*(worker.ready() for worker in self.workers))

    async def nothing(self) -> None:
        """Do nothing: what the measurement itself shows."""
        await asyncio.sleep(CALM_S)

    async def restart(self) -> None:
        """Send SIGTERM to one worker, and start it again when it has ended."""
        await self.workers[0].stop()
        await self._anew(0)

    async def crash(self) -> None:
        """Kill one worker with SIGKILL, and start it again."""
        self.workers[0].check()
        await self.workers[0].kill()
        await self._anew(0)

    async def deploy(self) -> None:
        """Replace all of them, one after the other, each when the one before is ready."""
        for number in range(WORKERS):
            await self.workers[number].stop()
            await self._anew(number)

    def end(self) -> None:
        """End what is left."""
        for worker in self.workers:
            worker.end()

    async def _anew(self, number: int) -> None:
        self.workers[number] = self._worker(number)
        await self.workers[number].ready()

    def _worker(self, number: int) -> WorkerProcess:
        name = f"worker-{number}" if self._with_ids else ""
        log = OUTPUT / f"failover-{self._settings.app_id}-{number}.log"
        return WorkerProcess(replace(self._settings, instance_id=name), log)


SCENARIOS: dict[str, Callable[[Fleet], Awaitable[None]]] = {
    "nothing": Fleet.nothing,
    "SIGTERM and restart of one": Fleet.restart,
    "kill -9 and restart of one": Fleet.crash,
    "rolling deploy of all three": Fleet.deploy,
}


async def feed(settings: Settings, rate: float) -> None:
    """Send `rate` events per second to every partition, until cancelled."""
    source = Synthetic(Shape(accounts=ACCOUNTS, skew=SKEW, disorder_s=0.2))
    async with outbox_to(settings) as outbox:
        await Stream(source, outbox, rate=rate * settings.partitions).run(lambda: CHUNK)


@asynccontextmanager
async def alongside(*tasks: Awaitable[None]) -> AsyncIterator[None]:
    """Run these tasks for as long as the block. A task that ends by itself is an error."""
    running = [asyncio.ensure_future(task) for task in tasks]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        for task in running:
            with suppress(asyncio.CancelledError):
                await task


async def settled(gaps: Gaps, partitions: int) -> None:
    """Wait until every partition has moved after now."""
    began = time.monotonic()
    async with asyncio.timeout(SETTLED_WITHIN_S):
        while min(gaps.newest(p) for p in range(partitions)) <= began:  # noqa: ASYNC110
            await asyncio.sleep(STEP_S)


async def measure(fleet: Fleet, gaps: Gaps, partitions: int, scenario: str) -> list[float]:
    """Run a scenario with a calm time before and after it.

    Return the longest pause of every partition, in seconds.
    """
    await settled(gaps, partitions)
    await asyncio.sleep(CALM_S)
    begin = time.monotonic()
    await SCENARIOS[scenario](fleet)
    await fleet.ready()
    await asyncio.sleep(CALM_S)
    await settled(gaps, partitions)
    return gaps.longest(partitions, begin, time.monotonic())


async def scenarios(settings: Settings, *, with_ids: bool, rate: float) -> list[Outcome]:
    """Run every scenario once, one after the other, on one fleet."""
    await topics.create(settings)
    gaps, fleet, outcomes = Gaps(), Fleet(settings, with_ids=with_ids), []
    try:
        async with alongside(gaps.follow(settings), feed(settings, rate)):
            await fleet.start()
            for name in SCENARIOS:
                began = time.monotonic()
                pauses = await measure(fleet, gaps, settings.partitions, name)
                outcome = Outcome(name, with_ids, pauses, time.monotonic() - began)
                outcomes.append(outcome)
                said = " ".join(f"{pause:.2f}" for pause in pauses)
                print(
                    f"{name:<30} ids={with_ids!s:<5} pauses of the partitions: {said}", flush=True
                )
    finally:
        fleet.end()
    return outcomes


def named(brokers: str, name: str, partitions: int) -> Settings:
    """Default settings, with topics of their own."""
    return Settings(brokers=brokers, partitions=partitions).with_prefix(name)


def row(name: str, outcomes: list[Outcome]) -> str:
    """One line of the table: worst partition, median and maximum over the rounds."""
    cells = []
    for with_ids in (False, True):
        runs = [one for one in outcomes if one.scenario == name and one.with_ids is with_ids]
        worst = [one.worst_s for one in runs]
        cells.append(f"{statistics.median(worst):.1f} s ({max(worst):.1f} s)")
    return f"| {name} | {cells[0]} | {cells[1]} |"


async def bench(rounds: int, rate: float, partitions: int) -> None:
    """Run all rounds and print."""
    OUTPUT.mkdir(exist_ok=True)
    outcomes: list[Outcome] = []
    with start_local_broker("kafka") as broker:
        for turn in range(rounds):
            for with_ids in (False, True):
                name = f"turn-{turn}-{'static' if with_ids else 'dynamic'}"
                settings = named(broker.bootstrap, name, partitions)
                outcomes += await scenarios(settings, with_ids=with_ids, rate=rate)
    found = {**machine(), "rate": rate, "partitions": partitions, "rounds": rounds}
    report = {**found, "outcomes": [asdict(one) for one in outcomes]}
    (OUTPUT / "failover.json").write_text(json.dumps(report, indent=1))
    print(f"\n{found}\nlongest pause of any partition: median of the rounds (worst round)\n")
    print("| what happens | without instance ids | with instance ids |")
    print("|---|---|---|")
    for name in SCENARIOS:
        print(row(name, outcomes))


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.runs.failover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=2_000, help="events/s to every partition")
    parser.add_argument("--partitions", type=int, default=6)
    arguments = parser.parse_args()
    asyncio.run(bench(arguments.rounds, arguments.rate, arguments.partitions))


if __name__ == "__main__":
    main()
