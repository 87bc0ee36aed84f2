"""The run as a picture: which fault when, how long until healed, and the updates per second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

EFFECTIVE: Final = "#c0392b"
VAIN: Final = "#bbbbbb"
AFTER: Final = "#f0b27a"
UPDATES: Final = "#2e6f9e"
CALM: Final = "#eeeeee"
_LEAST: Final = 400
"""A fault of no length is drawn as wide as this part of the run."""


def draw(report: dict[str, Any], per_second: Mapping[int, int], path: Path) -> None:
    """Draw the run. `per_second`: number of updates by whole seconds since the begin."""
    kinds = [kind for kind, seen in report["faults"].items() if seen["struck"]]
    figure = Figure(figsize=(14, 7), dpi=100, layout="constrained")
    faults, updates = figure.subplots(2, 1, sharex=True, height_ratios=(1.4, 1))
    for audit in report["audits"]:
        for axes in (faults, updates):
            axes.axvspan(audit["at_s"], audit["at_s"] + audit["took_s"], color=CALM, zorder=0)
    last = max(per_second, default=0)
    for strike in report["strikes"]:
        at, lasted = strike["began_s"], strike["lasted_s"]
        row = kinds.index(strike["kind"])
        color = EFFECTIVE if strike["effective"] else VAIN
        healed = lasted + (strike["aftermath_s"] or 0.0)
        faults.barh(row, healed, left=at, height=0.5, color=AFTER, zorder=2)
        faults.barh(row, max(lasted, last / _LEAST), left=at, height=0.5, color=color, zorder=3)
    faults.set_yticks(range(len(kinds)), kinds)
    faults.invert_yaxis()
    faults.grid(axis="x", color="#dddddd", linewidth=0.6)
    faults.set_title(
        f"{report['effective']} effective faults, {report['mismatches']} mismatches. Red: a fault "
        "(grey: it hit nothing); orange: until updates went on everywhere; shaded: audits",
        loc="left",
        fontsize=10,
    )
    seconds = range(last + 1)
    updates.fill_between(
        seconds, [per_second.get(at, 0) for at in seconds], color=UPDATES, step="post"
    )
    updates.set_ylabel("updates per second")
    updates.set_xlabel("seconds since the begin")
    updates.set_xlim(0, last + 1)
    for axes in (faults, updates):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
