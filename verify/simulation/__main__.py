"""`python -m verify.simulation` runs many seeds on all cores; exit 1 if a number was ever wrong."""

# ruff: noqa: T201 - a command line

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from verify.simulation.checker import verdict
from verify.simulation.faults import Kind
from verify.simulation.run import run
from verify.simulation.scenario import Scenario
from verify.simulation.shrink import shrink

SHOWN_RECORDS = 40
SHOWN_BYTES = 200


class Result(NamedTuple):
    """What one seed has shown."""

    seed: int
    wrong: list[str]
    planned: Counter[Kind]
    effective: Counter[Kind]
    records: int
    deaths: int
    virtual_s: float


def try_seed(seed: int) -> Result:
    """Run a seed and judge it."""
    scenario = Scenario.of(seed)
    outcome = run(scenario)
    wrong = verdict(outcome)
    ledger = outcome.ledger
    records = sum(map(len, scenario.logs))
    return Result(
        seed, wrong, ledger.planned, ledger.effective, records, len(outcome.deaths), outcome.seconds
    )


def main(arguments: Sequence[str]) -> int:
    """Seeds, or the file that a failing seed has left."""
    parser = argparse.ArgumentParser("verify.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--least", type=int, default=0, help="times that each kind must strike")
    parser.add_argument("--replay", type=Path, help="a scenario file instead")
    asked = parser.parse_args(arguments)
    if asked.replay:
        return _replay(Scenario.load(asked.replay.read_text()))
    return _many(range(asked.start, asked.start + asked.seeds), asked.processes, asked.least)


def _replay(scenario: Scenario) -> int:
    outcome = run(scenario)
    wrong = verdict(outcome)
    print("\n".join([*outcome.ledger.lines, *outcome.deaths, *wrong]))
    return 1 if wrong else 0


def _many(seeds: range, processes: int, least: int) -> int:
    began = time.monotonic()
    failed: list[Result] = []
    results: list[Result] = []
    with multiprocessing.Pool(processes) as pool:
        for result in pool.imap_unordered(try_seed, seeds, chunksize=4):
            results.append(result)
            if result.wrong:
                failed.append(result)
                print(f"seed {result.seed}: {result.wrong[0][:SHOWN_BYTES]}", flush=True)
    _report(results, time.monotonic() - began, processes)
    if failed:
        _explain(min(failed, key=lambda result: result.seed))
    effective = sum((result.effective for result in results), Counter[Kind]())
    rare = [kind.value for kind in Kind if effective[kind] < least]
    if rare:
        print(f"struck less than {least} times: {', '.join(rare)}")
    return 1 if failed or rare else 0


def _report(results: Sequence[Result], seconds: float, processes: int) -> None:
    planned = sum((result.planned for result in results), Counter[Kind]())
    effective = sum((result.effective for result in results), Counter[Kind]())
    print(f"{'fault':<46}{'planned':>9}{'effective':>11}")
    for kind in Kind:
        print(f"{kind.value:<46}{planned[kind]:>9,}{effective[kind]:>11,}")
    wrong = sum(bool(result.wrong) for result in results)
    print(
        f"{len(results):,} seeds, {sum(r.records for r in results):,} records, "
        f"{sum(r.deaths for r in results):,} worker lives ended, "
        f"{sum(r.virtual_s for r in results) / 3_600:.1f} virtual hours "
        f"in {seconds:.0f} s on {processes} processes: {wrong} with differences"
    )


def _explain(result: Result) -> None:
    """Shrink the first failing seed, print what is left, and how to run it again."""
    scenario = shrink(Scenario.of(result.seed), lambda one: bool(verdict(run(one))))
    path = Path("build") / f"simulation-{result.seed}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(scenario.dump())
    print(f"\nseed {result.seed}, shrunken: {scenario.workers} workers, rules {scenario.rules}")
    for fault in sorted(scenario.faults, key=lambda fault: fault.at_s):
        print(f"  at {fault.at_s:6.2f} s  {fault.kind.value}")
    for partition, log in enumerate(scenario.logs):
        for record in log[:SHOWN_RECORDS]:
            at = f"partition {partition} offset {record.offset}"
            print(f"  {at} {_short(record.key)} {_short(record.value)}")
    for line in verdict(run(scenario))[:10]:
        print(f"  WRONG {line[:SHOWN_BYTES]}")
    print(f"again:    make simulate SEEDS=1 START={result.seed}")
    print(f"shrunken: .venv/bin/python -m verify.simulation --replay {path}")


def _short(data: bytes | None) -> str:
    text = repr(data)
    return text if len(text) <= SHOWN_BYTES else f"{text[:SHOWN_BYTES]}..."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
