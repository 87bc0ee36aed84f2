"""What the leaders cost, by the age of their window: the engine with them and without, in turn.

    python -m bench.leaders [--events 3000000] [--rounds 3]

Uniform accounts, the case in which most rows change. Both engines count the same batches, each
first in every other one; CPU time of `apply` and `seal`. A window of an hour lasts 60 minutes:
at 100,000 events/s the last stretch is the cost of all but its first seconds.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from typing import Final

from bench.growth import BATCH, GRAINS, PER_MS, PER_SEAL, START_MS
from service.contract.input_record import LogRecord
from service.contract.results import Source
from service.counting import Engine, Grain, Rules
from service.counting.checkpoint import Checkpoint, Counts, SweepPosition
from service.synthetic.events import Shape, Synthetic

ENDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
"""The stretches end at these parts of the events."""


def engine(ranked: tuple[str, ...]) -> Engine:
    """A fresh one, whose hour has just begun."""
    rules = Rules(grains=tuple(Grain.parse(text) for text in GRAINS[:3]))
    made = Engine(rules, Source("in", 0), ranked=ranked)
    made.restore(Checkpoint(1, START_MS, Counts(), SweepPosition(), made.settings))
    return made


def spent(counting: Engine, log: list[LogRecord]) -> float:
    """Count and seal; -> CPU seconds."""
    began = time.process_time()
    for at in range(0, len(log), BATCH):
        counting.apply(log[at : at + BATCH], log[at].offset + BATCH)
    counting.seal()
    return time.process_time() - began


def round_of(accounts: int, events: int, seed: int) -> list[float]:
    """-> per stretch, CPU time with the leaders over CPU time without."""
    shape = Shape(accounts=accounts, seed=seed)
    made = Synthetic(shape).span(START_MS, rate=PER_MS * 1_000, count=events)
    both = [engine(("1h",)), engine(())]
    used = [[0.0, 0.0] for _ in ENDS]
    for first in range(0, events, PER_SEAL):
        log = [
            LogRecord(1 + first + n, START_MS + (first + n) // PER_MS, one.key, one.value or b"")
            for n, one in zip(range(PER_SEAL), made, strict=False)
        ]
        stretch = next(number for number, end in enumerate(ENDS) if first < end * events)
        for which in (0, 1) if first // PER_SEAL % 2 else (1, 0):
            used[stretch][which] += spent(both[which], log)
    return [with_them / without for with_them, without in used]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.leaders", description=__doc__)
    parser.add_argument("--events", type=int, default=3_000_000)
    parser.add_argument("--accounts", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    gc.disable()
    rounds = [round_of(asked.accounts, asked.events, seed) for seed in range(asked.rounds)]
    print("| events of the window | with/without, median (all) |\n|---|---|")
    begin = 0
    for end, ratios in zip(ENDS, zip(*rounds, strict=True), strict=True):
        upto = round(end * asked.events)
        each = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"| {begin:,} to {upto:,} | {statistics.median(ratios):.3f} ({each}) |")
        begin = upto


if __name__ == "__main__":
    main()
