"""Measures events per second and per CPU second: the service and its peers over the same inputs.

The clock runs from the first commit to the commit that has everything (plain Faust: from the first
update to the last). Each run is a process of its own with topics of its own. Slow peers get only
the first `Peer.share` of each input. JVM peers first process most of it once, as a warm-up in the
same process. The input with the most accounts measures memory. It is run for the service and the
floor.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.common.environment import OUTPUT, rss_bytes
from bench.common.inputs import Load, Loaded
from bench.common.process_stats import sums
from bench.common.settings import named
from bench.common.stopwatch import clocked
from bench.common.topics import remove_topics
from bench.peers.process import Peer, create_topics, running
from service.kafka import topic_admin as topics
from service.local.worker_process import WorkerProcess
from service.settings import Settings

OURS: Final = "net followers"


@dataclass(frozen=True)
class Run:
    """One process over one input. `accounts` 0: not known."""

    who: str
    load: str
    events: int
    wall_s: float
    cpu_s: float
    rss_bytes: int
    accounts: int = 0


async def run_ours(who: str, load: str, settings: Settings, records: int) -> Run:
    """Let a worker count `records` of the input."""
    await topics.create(settings)
    worker = WorkerProcess(settings, OUTPUT / "worker.log")
    try:
        found = await clocked(settings, worker.pid, records, worker.check)
        rows = int(sums(worker.get("/metrics")[1])["netfollowers_table_rows"])
        rss = rss_bytes(worker.pid)
        await worker.stop()
    finally:
        worker.end()
    await remove_topics(settings)
    return Run(who, load, found.events, found.wall_s, found.cpu_s, rss, rows)


async def run_peer(peer: Peer, load: str, settings: Settings, records: int) -> Run:
    """Let a peer count its share of the input."""
    await create_topics(settings, peer)
    wanted = round(records * peer.share)
    log = OUTPUT / "peer.log"
    with running(peer, settings, warm_records=round(wanted * peer.warm), log=log) as process:

        def check() -> None:
            assert process.poll() is None, log.read_text()[-2_000:]

        found = await clocked(settings, process.pid, wanted, check, by=peer.by)
        rss = rss_bytes(process.pid)
    await remove_topics(settings)
    return Run(peer.name, load, found.events, found.wall_s, found.cpu_s, rss)


def said(run: Run) -> str:
    """Return one line about a run, for the terminal."""
    return (
        f"{run.events / run.wall_s:>11,.0f} events/s {run.events / max(run.cpu_s, 0.01):>11,.0f} "
        f"per CPU second {run.rss_bytes / 1e6:>6,.0f} MB  {run.who:<26} {run.load}"
    )


def _peers_for(load: Load, peers: Sequence[Peer]) -> list[Peer]:
    """Return the peers that count an input. No peer counts a backfill: it is for windows only."""
    if load.history is not None:
        return []
    return [peer for peer in peers if peer.is_fast or not load.every]


async def in_turn(
    brokers: str, inputs: Sequence[Loaded], peers: Sequence[Peer], runs: int
) -> AsyncIterator[Run]:
    """Run every program over every input, `runs` times."""
    for turn in range(runs):
        for number, one in enumerate(inputs):
            for who in (None, *_peers_for(one.load, peers)):
                name = f"t{turn}-{number}-{time.monotonic_ns() % 10**9}"
                settings = named(brokers, name, one.topic, partitions=one.partitions)
                run = await (
                    run_ours(OURS, one.load.name, settings, one.records)
                    if who is None
                    else run_peer(who, one.load.name, settings, one.records)
                )
                print(said(run), flush=True)
                yield run
