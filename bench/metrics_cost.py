"""What metrics cost: one worker at full speed, with and without, in turn.

    python -m bench.metrics_cost [--events 1000000] [--rounds 3]

*With*: the defaults, scraped every 5 s. *Without*: never scraped, no leaders, no series of
accounts. Both count the same input from its start. CPU seconds per event count from the first
commit seen to the last; a figure travels only as a ratio of one round.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
import urllib.request
from dataclasses import dataclass, field, replace

from bench.inputs import loads, produce
from bench.machine import OUTPUT, cpu_s
from bench.names import named
from bench.positions import committed
from bench.workers import Worker
from service.kafka import topic_admin as topics
from service.local.broker import start_local_broker
from service.settings import Settings

SCRAPE_S = 5.0
"""As deploy/prometheus/prometheus.yml has it."""


@dataclass
class Run:
    """One worker over the input; `scrapes`: seconds that each took."""

    events: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    scrapes: list[float] = field(default_factory=list)
    series: int = 0


async def scrape(worker: Worker, run: Run) -> None:
    """As Prometheus does."""
    url = f"http://127.0.0.1:{worker.settings.web_port}/metrics"
    while True:
        began = time.monotonic()
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read())
        run.scrapes.append(time.monotonic() - began)
        run.series = sum(not line.startswith(b"#") for line in text.splitlines())
        await asyncio.sleep(SCRAPE_S)


async def measure(settings: Settings, sent: int, *, is_scraped: bool) -> Run:
    """Run a worker until it has committed everything."""
    worker, run = Worker(settings, OUTPUT / "worker.log"), Run()
    scraping: asyncio.Task[None] | None = None
    try:
        while not (first := await committed(settings)):
            worker.check()
            await asyncio.sleep(0.05)
        began, cpu = time.monotonic(), cpu_s(worker.pid)
        if is_scraped:
            scraping = asyncio.create_task(scrape(worker, run))
        while await committed(settings) < sent:
            worker.check()
            await asyncio.sleep(0.1)
        run.events, run.wall_s = sent - first, time.monotonic() - began
        run.cpu_s = cpu_s(worker.pid) - cpu
        return run
    finally:
        if scraping is not None:
            scraping.cancel()
        worker.end()


async def compare(brokers: str, events: int, rounds: int) -> None:
    """Load each input once, then run both in turn; print a row for each input."""
    OUTPUT.mkdir(exist_ok=True)
    print("| input | CPU with/without, median (all) | wall | scrape p50, max | series |")
    print("|---|---|---|---|---|", flush=True)
    for load in loads(events)[0:3:2]:
        source = f"cost-{load.accounts}-{load.skew:.0f}".replace(".", "-")
        input_settings = named(brokers, f"{source}-0", f"{source}-in")
        await topics.create(input_settings)
        sent = await produce(input_settings, load)
        cpu, wall, scrapes, series = [], [], [], 0
        for turn in range(rounds):
            settings = named(brokers, f"{source}-{turn}", f"{source}-in")
            plain = replace(named(brokers, f"{source}-{turn}n", f"{source}-in"), top_grains="none",
                            top_accounts=0)  # fmt: skip
            for one in (settings, plain):
                await topics.create(one)
            without = await measure(plain, sent, is_scraped=False)
            with_all = await measure(settings, sent, is_scraped=True)
            cpu.append(with_all.cpu_s / with_all.events * without.events / without.cpu_s)
            wall.append(with_all.wall_s / with_all.events * without.events / without.wall_s)
            scrapes += with_all.scrapes
            series = with_all.series
        each = ", ".join(f"{ratio:.3f}" for ratio in cpu)
        usual, longest = statistics.median(scrapes) * 1e3, max(scrapes) * 1e3
        print(
            f"| {load.name} | {statistics.median(cpu):.3f} ({each}) "
            f"| {statistics.median(wall):.3f} | {usual:.0f} ms, {longest:.0f} ms | {series} |",
            flush=True,
        )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with start_local_broker("kafka") as broker:
        asyncio.run(compare(broker.bootstrap, asked.events, asked.rounds))


if __name__ == "__main__":
    main()
