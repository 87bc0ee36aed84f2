"""A run's rows as Markdown tables, one function for each section."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.report.budget import MOST, OURS

Rows = Sequence[Mapping[str, Any]]


def spread(values: Iterable[float], digits: int = 0) -> str:
    """Median and range of at least one value."""
    found = sorted(values)
    if not found:
        return "-"
    text = f"{statistics.median(found):,.{digits}f}"
    if len(found) > 1:
        text += f" ({found[0]:,.{digits}f} to {found[-1]:,.{digits}f})"
    return text


def table(head: Sequence[str], body: Iterable[Sequence[object]]) -> list[str]:
    """Return a table as Markdown lines."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return lines + [f"| {' | '.join(str(cell) for cell in row)} |" for row in body]


def groups(rows: Rows, *names: str) -> dict[tuple[Any, ...], list[Mapping[str, Any]]]:
    """Rows by the values of some fields, in the order in which they came."""
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def number(value: float | None) -> str:
    """Short, with as many digits as mean something."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def throughput(rows: Rows) -> list[str]:
    """Return the table of all programs over every input."""
    lines: list[str] = []
    for (load,), runs in groups(rows, "load").items():
        ours = [run["events"] / run["cpu_s"] for run in runs if run["who"] == OURS]
        body = []
        for (who,), own in groups(runs, "who").items():
            per_cpu = [run["events"] / max(run["cpu_s"], 0.01) for run in own]
            rss = statistics.median(run["rss_bytes"] for run in own)
            accounts = max(run["accounts"] for run in own)
            each = f"{rss / accounts:,.0f}" if load.startswith(MOST) and accounts else "-"
            theirs = statistics.median(per_cpu)
            factor = statistics.median(ours) / theirs if ours and theirs else 0
            body.append(
                (
                    who,
                    spread(run["events"] / run["wall_s"] for run in own),
                    spread(per_cpu),
                    f"{factor:.3g}x",
                    f"{rss / 1e6:,.0f}",
                    each,
                    f"{max(run['events'] for run in own):,}",
                )
            )
        head = (
            "",
            "events/s",
            "per CPU second",
            "ours per CPU s",
            "RSS MB",
            "bytes each",
            "events",
        )
        lines += [f"### {load[0].upper()}{load[1:]}", "", *table(head, body), ""]
    return lines


def latency(rows: Rows) -> list[str]:
    """Return the table of latencies, with a row for every rate."""
    body = []
    for (rate, accounts, who), own in groups(rows, "rate", "accounts", "who").items():
        names = ("p50_ms", "p99_ms", "p999_ms", "max_ms")
        if all(is_held(one) for one in own):
            cells = [spread(one[name] for one in own) for name in names]
            held = "yes"
        else:
            left = spread(one["uncounted"] for one in own)
            cells = ["-"] * len(names)
            held = f"NO: 5 s after the last of {own[0]['sent']:,} uncounted were {left}"
        cores = spread((one["cores"] for one in own), 2)
        body.append((f"{rate:,.0f}", accounts, who, *cells, cores, held))
    head = ("events/s", "accounts", "", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "cores", "held")
    return [*table(head, body), ""]


def is_held(one: Mapping[str, Any]) -> bool:
    """True when senders and worker kept up with the rate."""
    return bool(one["seen"]) and one["behind_s"] < 0.5 and not one["uncounted"]


def restore(rows: Rows) -> list[str]:
    """Return the table of restores of one shard."""
    names = ("read_s", "load_s", "ids_s", "open_s", "start_s")
    body = [
        (
            f"{rows[0]['rows']:,}",
            spread(row["rows"] / (row["read_s"] + row["load_s"]) for row in rows),
            *(spread((row[name] for row in rows), 2) for name in names),
            spread(row["rss_bytes"] / 1e6 for row in rows),
        )
    ]
    head = (
        "rows", "rows/s, read + loaded", "rows read s", "rows loaded s", "event ids s",
        "whole open s", "until ready s", "RSS MB",
    )  # fmt: skip
    return [*table(head, body), ""]


def boundary(rows: Rows) -> list[str]:
    """One shard, all windows of the hour."""
    names = ("calm_s", "stall_s", "sweep_s")
    body = [(f"{rows[0]['windows']:,}", *(spread((row[n] for row in rows), 2) for n in names))]
    head = ("open windows", "longest pause before s", "longest pause s", "until all published s")
    return [*table(head, body), ""]


def scaling(rows: Rows) -> list[str]:
    """1, 2, 3 workers."""
    one = {
        load: statistics.median(row["events"] / row["wall_s"] for row in own)
        for (load, workers), own in groups(rows, "load", "workers").items()
        if workers == 1
    }
    body = []
    for (load, workers), own in groups(rows, "load", "workers").items():
        rates = [row["events"] / row["wall_s"] for row in own]
        per_cpu = spread(row["events"] / row["cpu_s"] for row in own)
        factor = f"{statistics.median(rates) / one[load]:.2f}x" if load in one else "-"
        body.append((load, workers, spread(rates), factor, per_cpu))
    return [*table(("input", "workers", "events/s", "of one", "per CPU second"), body), ""]
