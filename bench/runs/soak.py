"""One worker under steady load for a long time: does anything grow?

    python -m bench.runs.soak [--minutes 20] [--rate 20000] [--audit]

A real Kafka, one worker, the synthetic generator at a rate with duplicates, late and bad records,
every few seconds a sample of what the worker holds. The verdicts are about the second half: the
first one fills the table, the kept windows and the ids. Windows of a minute are kept for 4 minutes
instead of 15, so that their number is steady before the half. Writes samples and verdicts to
`bench-output/soak.json`, the plot beside it. Exit 1 when not flat.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from bench.common.environment import OUTPUT, machine
from bench.common.process_stats import Sample, sample
from bench.common.trend import Verdict, verdict
from bench.report.soak_plot import draw
from service.kafka import topic_admin as topics
from service.local.broker import start_local_broker
from service.local.worker_process import ROOT, WorkerProcess, environment
from service.settings import Settings

SAMPLE_EVERY_S = 5.0
BYTES_PER_EVENT = 600
"""Bytes on disk for each event, of input and results together."""
HOUR = 1 / 24
ONE_IN_TEN_MINUTES = 6.0
CAUGHT_UP_WITHIN_S = 120.0
ACCOUNTS = 200_000
SKEW = 0.2
"""Two thirds of the events to 200 accounts, yet every account about every minute."""


@dataclass(frozen=True)
class Plan:
    """What the command line asks for."""

    minutes: float
    rate: float
    audit: bool

    @property
    def seconds(self) -> float:
        """How long events are made."""
        return self.minutes * 60

    @property
    def disk_bytes(self) -> float:
        """What the topics take at most: an hour is kept."""
        return self.rate * min(self.seconds, 2 * 3_600) * BYTES_PER_EVENT


def named(brokers: str) -> Settings:
    """Default settings but for the retention and the keep of minutes."""
    return Settings(
        brokers=brokers,
        app_id="soak",
        grains="1m:30s:4m,1h,1d",
        input_retention_days=HOUR,
        results_retention_days=HOUR,
    )


@contextmanager
def generator(settings: Settings, plan: Plan) -> Iterator[subprocess.Popen[bytes]]:
    """Run the synthetic source as a process of its own."""
    options = {
        "--rate": plan.rate, "--seconds": plan.seconds, "--accounts": ACCOUNTS, "--skew": SKEW,
        "--duplicates": 0.01, "--late": 0.001, "--bad": 0.001,
    }  # fmt: skip
    words = [str(word) for option in options.items() for word in option]
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "generate", "--heartbeats", *words],
        env=environment(settings),
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


async def watch(worker: WorkerProcess, source: subprocess.Popen[bytes]) -> list[Sample]:
    """Sample the worker for as long as the source runs."""
    began = time.monotonic()
    samples: list[Sample] = []
    while source.poll() is None:
        await asyncio.sleep(SAMPLE_EVERY_S)
        worker.check()
        status, metrics = await asyncio.to_thread(worker.get, "/metrics")
        if status == 200:
            samples.append(sample(time.monotonic() - began, worker.pid, metrics))
        if len(samples) % 12 == 1:
            print(samples[-1], flush=True)
    assert source.returncode == 0, source.returncode
    return samples[:-1]  # the last one may lie after the last event


async def caught_up(worker: WorkerProcess) -> None:
    """Wait until nothing is left to count."""
    async with asyncio.timeout(CAUGHT_UP_WITHIN_S):
        while True:
            _, metrics = await asyncio.to_thread(worker.get, "/metrics")
            if sample(0.0, worker.pid, metrics).lag == 0:
                break
            await asyncio.sleep(1.0)
    await asyncio.sleep(5.0)  # the last checkpoint and its sweep


def verdicts(samples: Sequence[Sample], rate: float) -> list[Verdict]:
    """Judge the second half."""
    half = samples[len(samples) // 2 :]
    at = [one.at_s for one in half]
    return [
        verdict("resident MB", at, [one.rss_mb for one in half], share=0.1),
        verdict("open files", at, [one.files for one in half], absolute=ONE_IN_TEN_MINUTES),
        verdict("sockets", at, [one.sockets for one in half], absolute=ONE_IN_TEN_MINUTES),
        verdict("threads", at, [one.threads for one in half], absolute=ONE_IN_TEN_MINUTES),
        verdict("tasks", at, [one.tasks for one in half], absolute=ONE_IN_TEN_MINUTES),
        verdict("lag, records", at, [one.lag for one in half], absolute=rate),
    ]


def summary(samples: Sequence[Sample]) -> dict[str, Any]:
    """What was reached in the second half."""
    half = samples[len(samples) // 2 :]
    first, last = half[0], half[-1]
    seconds, checkpoints = last.at_s - first.at_s, last.checkpoints - first.checkpoints
    return {
        "events_per_s": round((last.counted - first.counted) / seconds),
        "cores": round((last.cpu_s - first.cpu_s) / seconds, 2),
        "accounts": last.rows,
        "rss_mb_before_any_event": round(samples[0].rss_mb),
        "rss_mb_at_half": round(first.rss_mb),
        "rss_mb_at_end": round(last.rss_mb),
        "rss_mb_most": round(max(one.rss_mb for one in samples)),
        "checkpoint_mean_ms": round(
            1_000 * (last.checkpoint_s - first.checkpoint_s) / max(1, checkpoints), 1
        ),
        "checkpoints": checkpoints,
        "checkpoints_over_1s": last.checkpoints_over_1s - first.checkpoints_over_1s,
        "lag_median": statistics.median(one.lag for one in half),
        "lag_most": max(one.lag for one in half),
    }


def audit(settings: Settings) -> int:
    """Recompute everything from the input. Return the exit code."""
    began = time.monotonic()
    command = [sys.executable, "-m", "service", "audit"]
    done = subprocess.run(command, env=environment(settings), cwd=ROOT, check=False)
    print(f"audit: exit {done.returncode} after {time.monotonic() - began:.0f} s", flush=True)
    return done.returncode


async def measure(settings: Settings, plan: Plan) -> list[Sample]:
    """Run worker and source. Return the samples."""
    await topics.create(settings)
    worker = WorkerProcess(settings, OUTPUT / "soak.log")
    try:
        await worker.ready()
        with generator(settings, plan) as source:
            samples = await watch(worker, source)
        await caught_up(worker)
        await worker.stop()
        return samples
    finally:
        worker.end()


def report(plan: Plan, samples: Sequence[Sample]) -> list[Verdict]:
    """Print and write the samples. Return the verdicts."""
    judged = verdicts(samples, plan.rate)
    found = {
        **machine(),
        **asdict(plan),
        "second_half": summary(samples),
        "verdicts": [asdict(one) for one in judged],
    }
    print(json.dumps(found, indent=1), *judged, sep="\n", flush=True)
    found |= {"samples": [asdict(one) for one in samples]}
    path = OUTPUT / "soak.json"
    path.write_text(json.dumps(found))
    title = f"{plan.minutes:g} minutes at {plan.rate:,.0f} events/s, judged by the shaded half"
    draw(samples, title, path.with_suffix(".png"))
    return judged


def soak(plan: Plan) -> int:
    """Run everything. Return the exit code."""
    OUTPUT.mkdir(exist_ok=True)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    assert free > 1.5 * plan.disk_bytes, f"{free:,} bytes of disk free, not enough"
    properties = {"log.segment.bytes": "268435456", "log.retention.check.interval.ms": "30000"}
    with start_local_broker("kafka", overrides=properties) as broker:
        settings = named(broker.bootstrap)
        samples = asyncio.run(measure(settings, plan))
        judged = report(plan, samples)
        wrong = audit(settings) if plan.audit else 0
    return 0 if all(one.is_flat for one in judged) and not wrong else 1


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.runs.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--audit", action="store_true", help="recompute everything at the end")
    arguments = parser.parse_args()
    return soak(Plan(arguments.minutes, arguments.rate, arguments.audit))


if __name__ == "__main__":
    sys.exit(main())
