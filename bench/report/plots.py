"""A saved run as one PNG. Matplotlib without pyplot: no window, no global state."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.budget import OURS, Found
from bench.report.tables import Rows, groups, is_held

_LEVEL: Final = 4
"""The names of more groups than these are written aslant, else they would cover each other."""
COLOURS: Final = ("#0072b2", "#d55e00", "#e69f00", "#009e73", "#999999")


def _grouped(axes: Axes, bars: dict[str, dict[str, float]], label: str) -> None:
    """Draw bars beside each other. `bars`: the value of each group, by series."""
    names = list(dict.fromkeys(name for values in bars.values() for name in values))
    width = 0.8 / max(1, len(bars))
    for number, (series, values) in enumerate(bars.items()):
        at = [names.index(name) + (number - (len(bars) - 1) / 2) * width for name in values]
        colour = COLOURS[number % len(COLOURS)]
        axes.bar(at, list(values.values()), width, label=series, color=colour)
    is_crowded = len(names) > _LEVEL
    axes.set_xticks(
        range(len(names)),
        names if is_crowded else [name.replace(", ", ",\n", 1) for name in names],
        fontsize=7,
        rotation=30 if is_crowded else 0,
        ha="right" if is_crowded else "center",
    )
    axes.set_title(label, loc="left", fontsize=10)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=7)


def _per_cpu(axes: Axes, rows: Rows) -> None:
    bars: dict[str, dict[str, float]] = {}
    for (who, load), runs in groups(rows, "who", "load").items():
        rates = [run["events"] / max(run["cpu_s"], 0.01) for run in runs]
        bars.setdefault(who, {})[load] = statistics.median(rates)
    _grouped(axes, bars, "events per CPU second (logarithmic)")
    axes.set_yscale("log")


def _latency(axes: Axes, rows: Rows) -> None:
    ours = groups([row for row in rows if row["who"] == OURS], "rate")
    ours = {rate: own for rate, own in ours.items() if all(map(is_held, own))}
    for colour, (name, label) in zip(
        COLOURS, (("p50_ms", "p50"), ("p99_ms", "p99"), ("p999_ms", "p99.9")), strict=False
    ):
        values = [statistics.median(row[name] for row in own) for own in ours.values()]
        axes.plot([rate for (rate,) in ours], values, "o-", label=label, color=colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("events/s", fontsize=8)
    axes.set_title("produce to visible, ms", loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)


def _scaling(axes: Axes, rows: Rows) -> None:
    bars: dict[str, dict[str, float]] = {}
    for (load, workers), own in groups(rows, "load", "workers").items():
        rates = [row["events"] / row["wall_s"] for row in own]
        bars.setdefault(load, {})[f"{workers} workers"] = statistics.median(rates)
    _grouped(axes, bars, "events/s of 1, 2, 3 workers")


PANELS: Final[dict[str, Any]] = {
    "throughput": _per_cpu,
    "latency": _latency,
    "scaling": _scaling,
}


def draw(found: Found, path: Path) -> bool:
    """Write a PNG. Return False if there is nothing to draw."""
    shown = [name for name in PANELS if found.get(name)]
    if not shown:
        return False
    figure = Figure(figsize=(12, 4.2 * -(-len(shown) // 2)), dpi=90, layout="constrained")
    axes = figure.subplots(-(-len(shown) // 2), 2, squeeze=False).flat
    for axis, name in zip(axes, shown, strict=False):
        PANELS[name](axis, found[name])
    for axis in list(axes)[len(shown) :]:
        axis.set_visible(False)
    figure.savefig(path)
    return True
