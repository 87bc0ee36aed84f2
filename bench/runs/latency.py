"""Measures the time from producing to a `read_committed` reader of the updates topic, by rate.

The accounts are uniform, and the flush interval is 0.1 s. The time is counted from the moment at
which an event was planned to be sent, so neither a slow sender nor a slow reader hides anything. A
row tells the time of its newest event. With uniform accounts nearly every event has a row of its
own. With hot accounts, only events that share a row with few others are measured
(`sender.Plan.skew`).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from bench.common.environment import OUTPUT, ROOT, cpu_s
from bench.common.progress import positions_of
from bench.common.sender import ENCODED_PER_S, HOT, Plan
from bench.common.settings import named
from bench.common.topics import remove_topics
from bench.peers.process import Peer, create_topics, running
from bench.runs.throughput import OURS
from service.commands.result_reader import reader_of
from service.kafka import topic_admin as topics
from service.local.worker_process import WorkerProcess
from service.settings import Settings

RATES: Final = (1_000, 5_000, 50_000, 200_000)
HOT_FROM: Final = 200_000
"""From this rate on, hot accounts are measured too: uniform ones need more than a core."""
TICK_S: Final = 0.02
ACCOUNTS: Final = 200_000
FLUSH_S: Final = 0.1
WARM_S: Final = 4.0
"""Events of this time at the beginning are not measured."""
PER_SENDER: Final = 100_000
"""Events per second of one sending process."""
_LATE_S: Final = 5.0


class Seen(msgspec.Struct, gc=False):
    """What a row must have."""

    last_event_ms: int


@dataclass(frozen=True)
class Latency:
    """`behind_s`: how far a sender fell behind its plan; `uncounted`: left 5 s after the end."""

    who: str
    rate: float
    accounts: str
    sent: int
    seen: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    behind_s: float
    uncounted: int
    cores: float


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the percentile of sorted values. `share`: 0 to 1."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


async def watch(settings: Settings, from_ms: float, found: list[int]) -> None:
    """Note the latency (ms) of every row whose newest event was planned from `from_ms` on."""
    decode = msgspec.json.Decoder(Seen).decode
    async with reader_of(settings, settings.updates_topic) as consumer:
        while True:
            batches = await consumer.getmany(timeout_ms=100, max_records=50_000)
            now = int(time.time() * 1_000)
            for records in batches.values():
                for record in records:
                    at = decode(record.value).last_event_ms
                    if at >= from_ms and not record.key.startswith(HOT):
                        found.append(now - at)


async def send(plan: Plan, processes: int) -> tuple[int, float]:
    """Send with several processes. Return the number of records, and the largest delay of one."""
    each = []
    for number in range(processes):
        part = replace(plan, rate=plan.rate / processes, seed=number + 1)
        command = (sys.executable, "-m", "bench.common.sender", part.to_json())
        each.append(
            await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        )
    said = [json.loads((await one.communicate())[0]) for one in each]
    return sum(one["sent"] for one in said), max(one["behind_s"] for one in said)


@asynccontextmanager
async def counting(who: Peer | None, settings: Settings) -> AsyncIterator[int]:
    """Run the service or a peer. Yield its process id."""
    if who is None:
        worker = WorkerProcess(settings, OUTPUT / "worker.log")
        try:
            await worker.ready()
            yield worker.pid
            await worker.stop()
        finally:
            worker.end()
        return
    await create_topics(settings, who)
    with running(who, settings) as process:
        await asyncio.sleep(8.0)
        yield process.pid


async def uncounted(settings: Settings, sent: int) -> int:
    """Wait a moment. Return the number of records that are not committed then."""
    until, left = time.monotonic() + _LATE_S, sent
    async with positions_of(settings) as positions:
        while left and time.monotonic() < until:
            left = sent - await positions.total()
            await asyncio.sleep(0.1)
    return left


async def measure(
    brokers: str, rate: float, seconds: float, who: Peer | None = None, skew: float = 0.0
) -> Latency:
    """One rate, one process."""
    name = f"latency-{round(rate)}-{time.monotonic_ns() % 10**9}"
    settings = named(brokers, name, f"{name}-in", flush_interval_s=FLUSH_S)
    await topics.create(settings)
    processes = -(-round(rate) // PER_SENDER)
    found: list[int] = []
    async with counting(who, settings) as pid:
        start_s = time.time() + 4.0 + rate / processes * seconds / ENCODED_PER_S
        plan = Plan(
            brokers,
            settings.input_topic,
            settings.partitions,
            ACCOUNTS,
            skew,
            rate,
            seconds,
            TICK_S,
            start_s,
            seed=1,
        )
        watching = asyncio.create_task(watch(settings, (start_s + WARM_S) * 1_000, found))
        sending = asyncio.create_task(send(plan, processes))
        await asyncio.sleep(max(0.0, start_s - time.time()))
        spent = cpu_s(pid)
        sent, behind = await sending
        cores = (cpu_s(pid) - spent) / (time.time() - start_s)
        left = await uncounted(settings, sent)
        await asyncio.sleep(0.3)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    await remove_topics(settings)
    found.sort()
    p50, p99, p999, most = (percentile(found, share) for share in (0.5, 0.99, 0.999, 1.0))
    name = OURS if who is None else who.name
    kind = f"Pareto {skew}" if skew else "uniform"
    return Latency(
        name, rate, kind, sent, len(found), p50, p99, p999, most, behind, left, round(cores, 2)
    )


async def latency(
    brokers: str, rates: Sequence[float], seconds: float, runs: int, peer: Peer | None
) -> AsyncIterator[Latency]:
    """Every rate, `runs` times in turn; the peer at the rate of the budget only."""
    for _ in range(runs):
        for rate in rates:
            cases: list[tuple[Peer | None, float]] = [(None, 0.0)]
            if peer is not None and rate == 5_000:
                cases.append((peer, 0.0))
            if rate >= HOT_FROM:
                cases.append((None, 1.1))
            for who, skew in cases:
                one = await measure(brokers, rate, seconds, who, skew)
                print(said(one), flush=True)
                yield one


def said(one: Latency) -> str:
    """Return one line about a run, for the terminal."""
    return (
        f"{one.rate:>9,.0f} events/s {one.accounts}: p50 {one.p50_ms:.0f} p99 {one.p99_ms:.0f} "
        f"p99.9 {one.p999_ms:.0f} max {one.max_ms:.0f} ms of {one.seen:,}, {one.cores} cores, "
        f"behind {one.behind_s} s, {one.uncounted:,} uncounted  {one.who}"
    )
