"""Two configurations of a worker over the same input, in turn: what does the difference cost?

    python -m bench.runs.compare --settings NETFOLLOWERS_TOP_GRAINS=none NETFOLLOWERS_TOP_ACCOUNTS=0
    python -m bench.runs.compare --settings NETFOLLOWERS_GUARANTEE=at_least_once --runs 5

The first worker has the default settings, the second one those of `--settings`. Each round runs
both, and every second round begins with the second one. A figure is a ratio within one round.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Mapping
from typing import Final

from bench.common.environment import OUTPUT
from bench.common.inputs import Loaded, load_all, loads
from bench.common.settings import named
from bench.runs.throughput import Run, run_ours, said
from service.local.broker import start_local_broker
from service.local.worker_process import environment
from service.settings import Settings

DEFAULT: Final = "default settings"
CHANGED: Final = "changed settings"


async def one_round(
    brokers: str, loaded: Loaded, changes: Mapping[str, str], turn: int
) -> dict[str, Run]:
    """Run both workers over one input, in turn. Returns their runs by name."""
    runs = {}
    for name in (DEFAULT, CHANGED) if turn % 2 == 0 else (CHANGED, DEFAULT):
        settings = named(brokers, f"compare-{time.monotonic_ns()}", loaded.topic)
        if name == CHANGED:
            settings = Settings.from_env({**environment(settings), **changes})
        runs[name] = await run_ours(name, loaded.load.name, settings, loaded.records)
        print(said(runs[name]), flush=True)
    return runs


def row(load: str, rounds: list[dict[str, Run]]) -> str:
    """One line of the table: CPU and wall time per event, changed over default."""
    cells = []
    for field in ("cpu_s", "wall_s"):
        ratios = []
        for runs in rounds:
            changed, default = (runs[name] for name in (CHANGED, DEFAULT))
            changed_s, default_s = (
                max(getattr(run, field), 0.01) / run.events for run in (changed, default)
            )
            ratios.append(changed_s / default_s)
        every = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        cells.append(f"{statistics.median(ratios):.3f} ({every})")
    return f"| {load} | {' | '.join(cells)} |"


def main() -> None:
    """Load the inputs once, run both workers in turn, print a line for each input."""
    parser = argparse.ArgumentParser(prog="python -m bench.runs.compare", description=__doc__)
    parser.add_argument("--settings", nargs="+", required=True, metavar="NAME=VALUE")
    parser.add_argument("--events", type=int, default=600_000, help="of an input (hot: twice)")
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    changes = dict(pair.split("=", 1) for pair in asked.settings)
    Settings.from_env(changes)  # a wrong name or value is refused here
    OUTPUT.mkdir(exist_ok=True)
    hot, _, uniform, _ = loads(asked.events)
    lines = []
    with start_local_broker("kafka") as broker:
        for loaded in load_all(broker.bootstrap, "compare-in", [hot, uniform]):
            rounds = [
                asyncio.run(one_round(broker.bootstrap, loaded, changes, turn))
                for turn in range(asked.runs)
            ]
            lines.append(row(loaded.load.name, rounds))
    print(f"\n{' '.join(asked.settings)}, against the defaults; median (every round)\n")
    print("| input | CPU per event | wall time per event |\n|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
