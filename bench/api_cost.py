"""What the API costs: answers while a worker counts, and throughput with a hundred stream clients.

    python -m bench.api_cost [--events 1000000] [--rounds 3] [--clients 100]

Throughput: one worker over the same input, in turn with no client and with so many, each of which
follows three accounts; a figure travels only as a ratio of one round. Latency: a worker whose table
holds all accounts counts a second half of the input, sent at half of the speed just measured, while
accounts are asked for one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from dataclasses import replace

import aiohttp

from bench.inputs import Load, every_account, produce
from bench.machine import OUTPUT, cpu_s
from bench.names import named
from bench.positions import committed
from bench.workers import Worker
from service.kafka import clients as kafka_clients
from service.kafka import topic_admin as topics
from service.local.broker import start_local_broker
from service.settings import Settings
from service.synthetic.batch_sender import Outbox
from service.synthetic.events import Shape, Synthetic
from service.synthetic.paced_source import Stream

ACCOUNTS = 1_000_000
FOLLOWED = 3
ASKED_S = 20.0
EVERY_S = 0.01


async def follow(port: int, number: int, received: list[int]) -> None:
    """One stream client; `received[number]` counts its bytes."""
    accounts = [("account", f"acct-{number * FOLLOWED + one}") for one in range(FOLLOWED)]
    url = f"http://127.0.0.1:{port}/api/stream"
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, params=accounts) as response,
    ):
        async for chunk in response.content.iter_any():
            received[number] += len(chunk)


async def speed(settings: Settings, sent: int, clients: int) -> tuple[float, float, int]:
    """-> wall and CPU seconds per event of a worker over the input, bytes to all clients."""
    worker, received = Worker(settings, OUTPUT / "worker.log"), [0] * clients
    following = []
    try:
        while not (first := await committed(settings)):
            worker.check()
            await asyncio.sleep(0.05)
        began, cpu = time.monotonic(), cpu_s(worker.pid)
        port = worker.settings.web_port
        following = [asyncio.create_task(follow(port, n, received)) for n in range(clients)]
        while await committed(settings) < sent:
            worker.check()
            await asyncio.sleep(0.1)
        wall, spent = time.monotonic() - began, cpu_s(worker.pid) - cpu
        assert all(received), "a client was told nothing"
        return wall / (sent - first), spent / (sent - first), sum(received)
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        worker.end()


async def streams(brokers: str, events: int, rounds: int, clients: int) -> float:
    """Compare in turn; -> events per second without clients."""
    load = Load("uniform, 200,000 accounts", 200_000, 0.0, events)
    source = named(brokers, "api-0", "api-in")
    await topics.create(source)
    sent = await produce(source, load)
    wall, cpu, rates, told = [], [], [], 0
    for turn in range(rounds):
        pairs = {}
        for count in (0, clients) if turn % 2 else (clients, 0):
            settings = named(brokers, f"api-{turn}-{count}", "api-in")
            await topics.create(settings)
            pairs[count] = await speed(settings, sent, count)
        wall.append(pairs[clients][0] / pairs[0][0])
        cpu.append(pairs[clients][1] / pairs[0][1])
        rates.append(1 / pairs[0][0])
        told = pairs[clients][2]
    print(
        f"{clients} stream clients / none: wall {statistics.median(wall):.3f} "
        f"({', '.join(f'{one:.3f}' for one in wall)}), CPU {statistics.median(cpu):.3f} "
        f"({', '.join(f'{one:.3f}' for one in cpu)}); {statistics.median(rates):,.0f} events/s "
        f"without; {told:,} bytes to all clients in the last run",
        flush=True,
    )
    return statistics.median(rates)


async def latency(brokers: str, rate: float) -> None:
    """Ask while a worker with a million rows counts at `rate`."""
    settings = named(brokers, "api-latency", "api-latency-in")
    await topics.create(settings)
    source = Synthetic(Shape(accounts=ACCOUNTS))
    producer = kafka_clients.producer(settings)
    await producer.start()
    worker = Worker(replace(settings, api_rate=1e6), OUTPUT / "worker.log")
    try:
        outbox = Outbox(producer, settings.input_topic, settings.partitions)
        for number, made in enumerate(every_account(ACCOUNTS, round(time.time() * 1_000)), start=1):
            outbox.put(made)
            if number % 20_000 == 0:
                await outbox.send()
        await outbox.settle()
        while await committed(settings) < sum(outbox.sent.values()):
            worker.check()
            await asyncio.sleep(0.2)
        before, until = sum(outbox.sent.values()), time.monotonic() + ASKED_S
        stream = Stream(source, outbox, rate=rate)
        sending = asyncio.create_task(
            stream.run(lambda: 0 if time.monotonic() > until else 1_000_000)
        )
        times = await ask(worker.settings.web_port, until)
        await sending
        await outbox.settle()
        sent = sum(outbox.sent.values()) - before
        cuts = statistics.quantiles(times, n=1_000)
        print(
            f"/api/accounts/{{id}} at {ACCOUNTS:,} accounts and {sent / ASKED_S:,.0f} events/s "
            f"({len(times):,} requests): p50 {cuts[499]:.1f} ms, p95 {cuts[949]:.1f} ms, "
            f"p99 {cuts[989]:.1f} ms, max {max(times):.1f} ms",
            flush=True,
        )
    finally:
        worker.end()
        await producer.stop()


async def ask(port: int, until: float) -> list[float]:
    """Milliseconds of each request, one after the other."""
    draw, times = random.Random(1), []
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < until:
            url = f"http://127.0.0.1:{port}/api/accounts/acct-{draw.randrange(ACCOUNTS)}"
            began = time.monotonic()
            async with session.get(url) as response:
                assert response.status == 200, await response.text()
                await response.read()
            times.append((time.monotonic() - began) * 1_000)
            await asyncio.sleep(EVERY_S)
    return times


async def both(brokers: str, asked: argparse.Namespace) -> None:
    """Throughput first, if there are rounds: half of it is the load of the second."""
    OUTPUT.mkdir(exist_ok=True)
    full = 0.0
    if asked.rounds:
        full = await streams(brokers, asked.events, asked.rounds, asked.clients)
    await latency(brokers, asked.rate or full / 2)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.0, help="of the second (else half)")
    asked = parser.parse_args()
    if not asked.rounds and not asked.rate:
        parser.error("without rounds the second needs its --rate")
    with start_local_broker("kafka") as broker:
        asyncio.run(both(broker.bootstrap, asked))


if __name__ == "__main__":
    main()
