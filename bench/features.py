"""What each feature costs: the same input with it and without it, in turn.

A cost is a ratio within one run. Exactly-once and metrics are switched off by settings; dedup and
late output by `bench.variants`, which is no worker that anybody should run.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench import variants
from bench.inputs import Load, Loaded
from bench.names import named
from bench.throughput import Run, run_ours, said

ALL_ON: Final = "all on"


@dataclass(frozen=True)
class Off:
    """A worker without one feature."""

    name: str
    variant: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


WITHOUT: Final = (
    Off(ALL_ON),
    Off("without dedup", "no-dedup"),
    Off("at least once", settings={"guarantee": "at_least_once"}),
    Off("without leaders and series", settings={"top_grains": "none", "top_accounts": 0}),
)
LATE: Final = (Off(ALL_ON), Off("without late output", "no-late"))


def late_load(events: int) -> Load:
    """An input of which one event in twenty misses a window."""
    return Load("uniform, 200,000 accounts, 5 % late", 200_000, 0.0, events, late=0.05)


async def features(brokers: str, inputs: Sequence[Loaded], runs: int) -> AsyncIterator[Run]:
    """All inputs with and without, `runs` times."""
    for turn in range(runs):
        for number, one in enumerate(inputs):
            for off in LATE if one.load.late else WITHOUT:
                name = f"off-{turn}-{number}-{time.monotonic_ns() % 10**9}"
                settings = named(
                    brokers, name, one.topic, partitions=one.partitions, **off.settings
                )
                code = variants.code(off.variant) if off.variant else ""
                run = await run_ours(off.name, one.load.name, settings, one.records, code)
                print(said(run), flush=True)
                yield run
