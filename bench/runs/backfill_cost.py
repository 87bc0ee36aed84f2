"""What an event of a backfill costs, as a multiple of a hot live event.

    python -m bench.runs.backfill_cost

The engine alone, CPU time, all inputs in turn in one process, the fastest round of each. The real
channel is `service/demo/channel`: 505,237 events of one account over seven years.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Sequence
from typing import Final

from bench.common import backfill
from service.commands.offline_engine import record_of
from service.contract.input_record import LogRecord
from service.contract.results import Source
from service.counting import Engine, Rules
from service.demo import channel
from service.synthetic.events import Shape, Synthetic

BATCH: Final = 5_000
PER_SEAL: Final = 20_000
PER_MS: Final = 20
START_MS: Final = 1_767_225_600_000
LIVE: Final = "hot live events (Pareto 1.1, 200,000 accounts)"


def live(events: int) -> list[LogRecord]:
    """The hot input of the bench, as records of one partition."""
    made = Synthetic(Shape(accounts=200_000, skew=1.1)).span(
        START_MS, rate=PER_MS * 1_000, count=events
    )
    return [
        LogRecord(offset, START_MS + offset // PER_MS, one.key, one.value)
        for offset, one in enumerate(made)
    ]


def real_channel(*, has_baseline: bool) -> list[LogRecord]:
    """The real channel, in the order of time."""
    lines = [channel.baseline()] if has_baseline else []
    lines += channel.events()
    return [record_of(line, offset) for offset, line in enumerate(lines)]


def inputs(events: int) -> dict[str, list[LogRecord]]:
    """Return the records of each input, by name. The live input comes first."""
    found = {LIVE: live(events)}
    for one in backfill.backfills(events):
        found[f"backfill: {one.name}"] = list(backfill.records(one))
    found["the real channel"] = real_channel(has_baseline=False)
    found["the real channel, with its baseline"] = real_channel(has_baseline=True)
    return found


def cpu_s(records: Sequence[LogRecord]) -> tuple[float, int]:
    """Return the CPU seconds of counting all, and how many final windows there were."""
    engine = Engine(Rules(), Source("in", 0))
    finals = 0
    began = time.process_time()
    for first in range(0, len(records), PER_SEAL):
        for at in range(first, min(first + PER_SEAL, len(records)), BATCH):
            batch = records[at : at + BATCH]
            engine.apply(batch, batch[-1].offset + 1)
        finals += len(engine.seal().windows)
        while engine.has_unsealed:
            finals += len(engine.seal().windows)
    return time.process_time() - began, finals


def main() -> None:
    """Measure, print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.runs.backfill_cost", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    gc.disable()
    every = inputs(asked.events)
    best = dict.fromkeys(every, (float("inf"), 0))
    for _ in range(asked.rounds):
        for name, records in every.items():
            best[name] = min(best[name], cpu_s(records))
            gc.collect()
    us = {name: 1e6 * best[name][0] / len(records) for name, records in every.items()}
    print("| input | us of CPU per event | against a hot live event | final windows per event |")
    print("|---|---|---|---|")
    for name, records in every.items():
        finals = best[name][1] / len(records)
        print(f"| {name} | {us[name]:.2f} | {us[name] / us[LIVE]:.2f} | {finals:.2f} |")


if __name__ == "__main__":
    main()
