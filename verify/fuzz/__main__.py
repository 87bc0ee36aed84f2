"""python -m verify.fuzz: mutated records by the million, against the second decoder.

Each seed is one log (fuzz_log.py). What disagrees is printed, with the smallest input.
"""

# ruff: noqa: T201 - a command line

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import count, islice
from multiprocessing import get_context
from typing import Final

from tests.support.record_mutations import Drawn
from verify.fuzz.fuzz_log import TOTAL, fuzz

AT_A_TIME: Final = 10
"""Seeds that a process takes at once."""
FOUND: Final = "DISAGREEMENTS"
MOST_FOUND: Final = 10
"""The fuzzer stops after this number. More disagreements would say the same."""
_TELL_EVERY_S: Final = 10


def fuzz_all(seeds: Sequence[int]) -> Drawn:
    """Fuzz some seeds. Print what disagrees, and continue."""
    drawn = Drawn()
    for seed in seeds:
        try:
            drawn += fuzz(seed)
        except AssertionError as found:
            print(found, flush=True)
            drawn[FOUND] += 1
    return drawn


def _in_processes(processes: int, seeds: Iterator[int]) -> Iterator[Drawn]:
    """Yield what comes of each few seeds. AssertionError: a process has died."""
    at_work: dict[Future[Drawn], list[int]] = {}
    with ProcessPoolExecutor(processes, get_context("fork")) as pool:
        while True:
            while len(at_work) < 2 * processes:
                some = list(islice(seeds, AT_A_TIME))
                at_work[pool.submit(fuzz_all, some)] = some
            done, _ = wait(at_work, return_when=FIRST_COMPLETED)
            for one in done:
                try:
                    drawn = one.result()
                except BrokenProcessPool as error:
                    message = f"a process has died at one of the seeds {list(at_work.values())}"
                    raise AssertionError(message) from error
                del at_work[one]
                yield drawn


def main(arguments: Sequence[str]) -> int:
    """Fuzz until as many records as asked for have been counted."""
    parser = argparse.ArgumentParser("verify.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args(arguments)
    began = told = time.monotonic()
    seen = Drawn()
    try:
        for drawn in _in_processes(asked.processes, count(asked.start)):
            seen += drawn
            now = time.monotonic()
            if now - told > _TELL_EVERY_S or seen[TOTAL] >= asked.inputs:
                told = now
                rate = seen[TOTAL] / (now - began)
                print(f"{seen[TOTAL]:>12,} records, {rate:,.0f} a second", flush=True)
            if seen[TOTAL] >= asked.inputs or seen[FOUND] >= MOST_FOUND:
                break
    except AssertionError as found:
        print(found)
        return 1
    for name, number in sorted(seen.items()):
        print(f"{number:>12,}  {name}")
    print(f"{time.monotonic() - began:>12,.0f}  seconds")
    print("NOT all agree" if seen[FOUND] else "all accounted for, all agree")
    return 1 if seen[FOUND] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
