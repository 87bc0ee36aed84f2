"""Measures the service, its peers and the floor on this machine: `make bench`.

    python -m bench [throughput|peers|latency|restore|boundary|scaling|all]...

It needs a real Kafka. It loads each input once and runs the configurations in turn. It prints each
result at once, and writes bench.json, bench.md and bench.png to bench-output/. With
`--report docs/measured/bench.md` it also writes a copy of them there.

`throughput` measures the service and the floor, `peers` measures all peers too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.common.environment import OUTPUT, machine
from bench.common.inputs import backfill_loads, load_all, loads
from bench.common.large_shard import big_shard
from bench.peers.process import FLOOR, PEERS, TUNED, Peer, build
from bench.report.markdown import markdown
from bench.report.plots import draw
from bench.report.publish import publish
from bench.runs.hour_boundary import boundary
from bench.runs.latency import RATES, latency
from bench.runs.restore import restore
from bench.runs.scaling import PARTITIONS, scaling
from bench.runs.throughput import in_turn
from service.errors import WorkerError
from service.local.broker import start_local_broker
from service.local.kafka_jars import KafkaJarsError

SECTIONS: Final = ("throughput", "peers", "latency", "restore", "boundary", "scaling")
_OVERRIDES: Final = {"log.segment.bytes": "268435456", "num.network.threads": "2"}


class Bench:
    """One run: the sections that it measures, and their results."""

    def __init__(self, asked: argparse.Namespace) -> None:
        """Nothing is started yet."""
        self._asked = asked
        self.found: dict[str, list[dict[str, Any]]] = {}
        self.missing: list[str] = []
        self._began = time.time()
        self._machine = machine()
        self._peers: tuple[Peer, ...] = self._available() if "peers" in asked.sections else ()

    def _available(self) -> tuple[Peer, ...]:
        try:
            build()
        except KafkaJarsError as missing:
            self.missing.append(f"Kafka Streams: {missing}")
            print(self.missing[-1], file=sys.stderr)
            return tuple(peer for peer in PEERS if not peer.is_java)
        return PEERS

    async def run(self, brokers: str) -> None:
        """Measure all sections. A section that fails is named, and the others continue."""
        for names, measure in self._measures(brokers):
            if not names & set(self._asked.sections):
                continue
            began = time.monotonic()
            print(f"\n--- {' and '.join(sorted(names))}", flush=True)
            try:
                await measure()
            except (AssertionError, TimeoutError, WorkerError) as failed:
                said = f"{' and '.join(sorted(names))}: {type(failed).__name__} {failed}"
                self.missing.append(said[-300:].replace("\n", " "))
                print(said, file=sys.stderr, flush=True)
            print(f"--- {time.monotonic() - began:.0f} s", flush=True)
            self.save()

    def _measures(self, brokers: str) -> list[tuple[set[str], Callable[[], Awaitable[None]]]]:
        return [
            ({"throughput", "peers"}, lambda: self._throughput(brokers)),
            ({"latency"}, lambda: self._latency(brokers)),
            ({"restore", "boundary"}, lambda: self._shards(brokers)),
            ({"scaling"}, lambda: self._scaling(brokers)),
        ]

    async def _throughput(self, brokers: str) -> None:
        inputs = load_all(
            brokers, "through", [*loads(self._asked.events), *backfill_loads(self._asked.events)]
        )
        peers = self._peers or (FLOOR,)
        await self._keep("throughput", in_turn(brokers, inputs, peers, self._asked.runs))

    async def _latency(self, brokers: str) -> None:
        asked = self._asked
        peer = TUNED if TUNED in self._peers else None
        await self._keep("latency", latency(brokers, asked.rates, asked.seconds, asked.runs, peer))

    async def _shards(self, brokers: str) -> None:
        asked = self._asked
        for turn in range(asked.runs if "boundary" in asked.sections else 1):
            shard = await big_shard(brokers, asked.windows)
            if "restore" in asked.sections and turn == 0:
                await self._keep("restore", restore(shard, asked.runs))
            if "boundary" in asked.sections:
                await self._keep("boundary", boundary(shard))

    async def _scaling(self, brokers: str) -> None:
        hot, _, uniform, _ = loads(2 * self._asked.events)
        inputs = load_all(brokers, "scale-in", [hot, uniform], partitions=PARTITIONS)
        await self._keep("scaling", scaling(brokers, inputs, self._asked.runs))

    async def _keep(self, section: str, rows: AsyncIterator[Any]) -> None:
        """Keep each row as it comes: what fails later takes nothing away."""
        async for row in rows:
            self.found.setdefault(section, []).append(asdict(row))

    def save(self) -> str:
        """Write all results so far. Return them as Markdown."""
        saved = {
            "command": f"python -m bench {shlex.join(sys.argv[1:])}".strip(),
            "began": datetime.fromtimestamp(self._began, UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "minutes": (time.time() - self._began) / 60,
            "machine": self._machine,
            "missing": self.missing,
            "found": self.found,
        }
        (OUTPUT / "bench.json").write_text(json.dumps(saved, indent=1))
        has_plot = draw(self.found, OUTPUT / "bench.png")
        text = markdown(saved, "bench.png" if has_plot else "")
        (OUTPUT / "bench.md").write_text(text)
        return text


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", default=["all"], help="what to measure")
    parser.add_argument(
        "--events", type=int, default=600_000, help="of an input (hot: twice as many)"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of a latency run")
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES))
    parser.add_argument("--windows", type=int, default=1_000_000, help="open at the boundary")
    parser.add_argument("--report", type=Path, help="write the report there too")
    asked = parser.parse_args(arguments)
    unknown = set(asked.sections) - {*SECTIONS, "all"}
    if unknown:
        parser.error(f"{min(unknown)} is none of {', '.join((*SECTIONS, 'all'))}")
    if "all" in asked.sections:
        asked.sections = list(SECTIONS)
    return asked


def main(arguments: Sequence[str]) -> int:
    """Measure, print and save. Return 1 if a section could not be measured."""
    asked = parse(arguments)
    OUTPUT.mkdir(exist_ok=True)
    for log in ("worker.log", "peer.log"):
        (OUTPUT / log).unlink(missing_ok=True)
    bench = Bench(asked)
    with start_local_broker("kafka", overrides=_OVERRIDES) as broker:
        asyncio.run(bench.run(broker.bootstrap))
    print(f"\n{bench.save()}")
    if asked.report:
        publish(asked.report)
    return 1 if bench.missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
