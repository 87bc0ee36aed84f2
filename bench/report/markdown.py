"""A saved run as Markdown. Knows nothing of how anything was measured but what the rows say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from bench.report.budget import ROWS, Found
from bench.report.figures import measured_line
from bench.report.tables import (
    Rows,
    boundary,
    latency,
    number,
    restore,
    scaling,
    table,
    throughput,
)


def budget(found: Found) -> list[str]:
    """Every row: must, aim, measured."""
    body = []
    for row in ROWS:
        value = row.measured(found)
        sign = "<" if row.is_most else ">="
        aim = "-" if row.aim is None else f"{sign} {number(row.aim)}"
        body.append(
            (
                row.what,
                f"{sign} {number(row.must)} {row.unit}",
                aim,
                number(value),
                row.verdict(value),
            )
        )
    return table(("what", "must", "aim", "measured", "reached"), body)


SECTIONS: Final[dict[str, tuple[str, str, Callable[[Rows], list[str]]]]] = {
    "throughput": (
        "Throughput",
        (
            "Median (range). From the first commit seen to the one that has everything, flush or "
            "commit every 0.5 s (plain Faust: from the first update to the last). *events*: how "
            "many were counted on that stretch; plain Faust and Kafka Streams idiomatic count only "
            "the first part of an input, plain Faust at least once, the others exactly once (the "
            "floor counts nothing). Only ours looks for duplicates, checks keys, publishes finals "
            "and revisions. Kafka Streams: 2 GB of heap (RSS says no more than that), one thread, "
            "tuned with ParallelGC; 0.6 (idiomatic 0.5) of the same part counted once before in "
            "the same JVM. *ours/this*: ours over this one, per CPU second. RSS of the whole "
            "process; *bytes each*: RSS over accounts."
        ),
        throughput,
    ),
    "latency": (
        "Produce to visible",
        (
            "From the time at which an event was planned to be sent until a `read_committed` "
            "reader has its row; 200,000 accounts, 4 partitions, flush (commit) every 0.1 s. "
            "With Pareto accounts those of one event in twenty are looked at, which is uniform."
        ),
        latency,
    ),
    "restore": (
        "Restore",
        "One shard, its table from the first record on; one record per row.",
        restore,
    ),
    "boundary": (
        "Full-hour boundary",
        "One shard, a live feed of 2,000/s; the longest time without a new update.",
        boundary,
    ),
    "scaling": (
        "Workers",
        (
            "One group, 6 partitions; beside the broker on the same machine. "
            "From when each runs its share until the first partition is at 90 %."
        ),
        scaling,
    ),
}


def markdown(saved: Mapping[str, Any], plot: str = "") -> str:
    """The whole page."""
    machine = ", ".join(f"{name} {value}" for name, value in saved["machine"].items())
    lines = [
        "# Benchmark",
        "",
        measured_line(saved["machine"]),
        "",
        f"`{saved['command']}`, {saved['began']}, {saved['minutes']:.0f} minutes; {machine}.",
        "",
        (
            "Made by one command on one machine, which also runs the broker, the senders and the "
            "readers: only ratios within one run travel."
        ),
        "",
        "## Budget",
        "",
        *budget(saved["found"]),
        "",
    ]
    if plot:
        lines += [f"![The run as plots]({plot})", ""]
    for name, (title, text, render) in SECTIONS.items():
        if rows := saved["found"].get(name):
            lines += [f"## {title}", "", text, "", *render(rows)]
    if saved["missing"]:
        lines += ["## Not measured", "", *(f"- {one}" for one in saved["missing"]), ""]
    return "\n".join(lines)
