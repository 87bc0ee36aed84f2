"""Rows per second of a restore: one shard, from the first record of the table to a window index."""

from __future__ import annotations

import os
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from bench.common.environment import OUTPUT, rss_bytes
from bench.common.large_shard import BigShard
from service.local.worker_process import WorkerProcess
from service.run import run as run_worker
from service.runtime import journal
from service.settings import Settings

_STEP: Final = re.compile(r"^step at=([\d.]+) (.*)$", re.MULTILINE)
_TIMED: Final = "from bench.runs.restore import timed_worker; raise SystemExit(timed_worker())"
_OPEN: Final = re.compile(r"shard open .*rows=(\d+) remembered=(\d+) seconds=([\d.]+)")


@dataclass(frozen=True)
class Restore:
    """`read_s`, `load_s`: rows read, rows decoded and indexed; `ids_s`: event ids seen again.

    `open_s` is all of it, fence included; `start_s` until /ready, Python included.
    """

    rows: int
    ids: int
    read_s: float
    load_s: float
    ids_s: float
    open_s: float
    start_s: float
    rss_bytes: int

    @property
    def rows_per_s(self) -> float:
        """Rows read, decoded and their windows indexed."""
        return self.rows / (self.read_s + self.load_s)


def timed_worker() -> int:
    """Run a worker that prints when each step of its restore begins. Returns its exit code."""
    enter = journal.Progress.enter

    def timed(self: journal.Progress, step: str) -> None:
        print(f"step at={time.time():.3f} {step}", flush=True)
        enter(self, step)

    journal.Progress.enter = timed  # type: ignore[method-assign]
    return run_worker(Settings.from_env(os.environ))


def parse(log: str) -> tuple[int, int, dict[str, float], float]:
    """Read the log of a shard's open. Return rows, ids, seconds of each step, seconds in all."""
    opened = _OPEN.search(log)
    assert opened is not None, log[-2_000:]
    steps = [(float(at), step) for at, step in _STEP.findall(log)]
    seconds: dict[str, float] = {}
    for (at, step), (after, _) in pairwise(steps):
        seconds[step] = seconds.get(step, 0.0) + after - at
    return int(opened[1]), int(opened[2]), seconds, float(opened[3])


async def restore(shard: BigShard, runs: int) -> AsyncIterator[Restore]:
    """Start a worker on the shard, `runs` times."""
    for turn in range(runs):
        log = OUTPUT / f"restore-{shard.settings.app_id}-{turn}.log"
        began = time.monotonic()
        worker = WorkerProcess(shard.settings, log, _TIMED)
        try:
            await worker.ready()
            start_s = time.monotonic() - began
            rss = rss_bytes(worker.pid)
            await worker.stop()
        finally:
            worker.end()
        rows, ids, seconds, open_s = parse(worker.log.read_text())
        one = Restore(
            rows,
            ids,
            seconds["read the rows"],
            seconds["load the rows"],
            seconds.get("read the input again", 0.0),
            open_s,
            start_s,
            rss,
        )
        print(f"restore: {one.rows_per_s:,.0f} rows/s, {one}", flush=True)
        yield one
