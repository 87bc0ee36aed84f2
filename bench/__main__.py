"""Throughput and memory of one worker on a real Kafka, exactly once, dedup on.

    python -m bench [--events 1000000] [--runs 3]

Loads each input once, then runs the configurations in turn, each run a new worker process with
topics of its own. Wall and CPU seconds count from the first record counted to the last one, as
/metrics and the operating system tell. Prints a table and writes `bench-output/throughput.json`. A
figure travels only as a ratio within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from service.kafka import clients, topics
from service.settings import Settings
from service.tools.broker import start_local_broker
from service.tools.generate import Made, Shape, Synthetic
from service.tools.outbox import Outbox
from service.tools.ports import free_ports
from service.tools.worker_process import environment, parse

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "bench-output"
CHUNK = 20_000


@dataclass(frozen=True)
class Load:
    """One input: how many accounts, how skewed (0: all alike), how many events."""

    name: str
    accounts: int
    skew: float
    events: int


@dataclass
class Run:
    """One worker over one input, from the first record counted to the last."""

    load: str
    events: int
    wall_s: float
    cpu_s: float
    rss_bytes: int
    accounts: int


def loads(events: int) -> list[Load]:
    """The inputs of the budget's table."""
    return [
        Load("hot (Pareto 1.1)", 200_000, 1.1, events),
        Load("uniform, 200,000 accounts", 200_000, 0.0, events),
        Load("uniform, 1,000,000 accounts", 1_000_000, 0.0, 2 * events),
    ]


def records(load: Load) -> Iterator[Made]:
    """20 events per ms of event time, half a second of disorder, ending now."""
    shape = Shape(accounts=load.accounts, skew=load.skew, disorder_s=0.5)
    start_ms = int(time.time() * 1_000) - load.events // 20
    if load.accounts >= load.events // 2:  # every account at least once
        yield from every_account(load, start_ms)
    yield from Synthetic(shape).span(start_ms, rate=20_000, count=load.events)


def every_account(load: Load, at_ms: int) -> Iterator[Made]:
    """One event of each account, so that the table has all of them."""
    for account in range(load.accounts):
        key = b"acct-%d" % account
        value = (
            b'{"event_id":"%032x","account_id":"%s","follower_id":"%d","action":"follow",'
            b'"occurred_at":%d}' % (uuid.uuid4().int, key, account, at_ms)
        )
        yield Made(key, value, [], "event")


async def produce(settings: Settings, load: Load) -> int:
    """Fill the input topic; -> records sent."""
    producer = clients.producer(settings)
    await producer.start()
    outbox = Outbox(producer, settings.input_topic, settings.partitions)
    try:
        for number, made in enumerate(records(load), start=1):
            outbox.put(made)
            if number % CHUNK == 0:
                await outbox.send()
        await outbox.send()
        await outbox.settle()
    finally:
        await producer.stop()
    return sum(outbox.sent.values())


async def measure(settings: Settings, load: Load, sent: int) -> Run:
    """Run a worker until it has counted everything."""
    [port] = free_ports(1)
    log = (OUTPUT / "worker.log").open("ab")
    worker = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
        [sys.executable, "-m", "service", "worker"],
        env=environment(replace(settings, web_port=port)),
        cwd=ROOT,
        stdout=log,
        stderr=log,
    )
    try:
        first: tuple[float, float] | None = None
        while True:
            await asyncio.sleep(0.02)
            assert worker.poll() is None, (OUTPUT / "worker.log").read_text()[-2_000:]
            counted, rows = await asyncio.to_thread(progress, port)
            if counted and first is None:
                first, began_with = (time.monotonic(), cpu_s(worker.pid)), counted
            if first is not None and counted >= sent and await committed(settings) >= sent:
                break
        wall, cpu = time.monotonic() - first[0], cpu_s(worker.pid) - first[1]
        return Run(load.name, sent - began_with, wall, cpu, rss_bytes(worker.pid), rows)
    finally:
        worker.terminate()
        await asyncio.to_thread(worker.wait, 60)
        log.close()


def progress(port: int) -> tuple[int, int]:
    """Records counted and rows, as the worker's metrics say."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return 0, 0
    rows = [line for line in text.splitlines() if line.startswith("netfollowers_table_rows{")]
    return parse(text).counted, sum(int(float(line.rsplit(" ", 1)[1])) for line in rows)


async def committed(settings: Settings) -> int:
    """Sum of the committed positions."""
    reader = clients.consumer(settings, group_id=settings.app_id)
    await reader.start()
    try:
        tps = [TopicPartition(settings.input_topic, p) for p in range(settings.partitions)]
        reader.assign(tps)
        found = await reader._coordinator.fetch_committed_offsets(tps)  # noqa: SLF001
        return sum(commit.offset for commit in found.values())
    finally:
        await reader.stop()


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    """Resident bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def named(brokers: str, name: str, input_topic: str) -> Settings:
    """Settings with result topics of their own."""
    return Settings(
        brokers=brokers,
        app_id=name,
        input_topic=input_topic,
        updates_topic=f"{name}-updates",
        windows_topic=f"{name}-windows",
        late_topic=f"{name}-late",
        rejected_topic=f"{name}-rejected",
        flush_interval_s=0.5,
    )


def row(name: str, runs: list[Run]) -> str:
    """One line of the table: medians and the spread of the rate."""
    rates = sorted(run.events / run.wall_s for run in runs)
    per_cpu = statistics.median(run.events / run.cpu_s for run in runs)
    rss = statistics.median(run.rss_bytes for run in runs)
    accounts = max(run.accounts for run in runs)
    each = f"{rss / accounts:,.0f}" if accounts >= 1_000_000 else "-"
    return (
        f"| {name} | {statistics.median(rates):,.0f} | {rates[0]:,.0f} to {rates[-1]:,.0f} "
        f"| {per_cpu:,.0f} | {rss / 1e6:,.0f} | {accounts:,} | {each} |"
    )


def machine() -> dict[str, Any]:
    """What the figures were seen on."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "faust": version("faust-streaming"),
        "aiokafka": version("aiokafka"),
        "commit": commit,
    }


async def bench(events: int, count: int) -> None:
    """Load, run in turn, print."""
    OUTPUT.mkdir(exist_ok=True)
    runs: dict[str, list[Run]] = {}
    with start_local_broker("kafka") as broker:
        sent = {}
        for number, load in enumerate(loads(events)):
            settings = named(broker.bootstrap, f"load-{number}", f"in-{number}")
            await topics.create(settings)
            sent[load.name] = await produce(settings, load)
            print(f"loaded {sent[load.name]:,} records: {load.name}", flush=True)
        for turn in range(count):
            for number, load in enumerate(loads(events)):
                settings = named(broker.bootstrap, f"run-{turn}-{number}", f"in-{number}")
                await topics.create(settings)
                run = await measure(settings, load, sent[load.name])
                runs.setdefault(load.name, []).append(run)
                print(f"{run.events / run.wall_s:>10,.0f} events/s  {load.name}", flush=True)
    found = machine()
    (OUTPUT / "throughput.json").write_text(
        json.dumps(
            {**found, "runs": [asdict(run) for each in runs.values() for run in each]}, indent=1
        )
    )
    print(f"\n{found}\n")
    print("| input | events/s, median | spread | per CPU second | RSS MB | accounts | bytes each |")
    print("|---|---|---|---|---|---|---|")
    for name, each in runs.items():
        print(row(name, each))


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    asyncio.run(bench(arguments.events, arguments.runs))


if __name__ == "__main__":
    main()
