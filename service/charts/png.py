"""Draws gains and losses as a PNG. Uses Matplotlib without pyplot: no window, no global state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from service.charts.series import Flow, Scene, short, span_name, utc

GAINED: Final = "#0072b2"
LOST: Final = "#d55e00"
NET: Final = "#1a1a1a"
MOST_BARS: Final = 400
MOST_DOTS: Final = 100
_LINE, _LINES = 0.11, 4
"""Share of a panel's height for the text of a scene, and number of such texts below each other."""

_INCHES_WIDE: Final = 12.0
_INCHES_A_PANEL: Final = 3.6


def ebb_and_flow_png(flows: Sequence[Flow], path: Path) -> None:
    """Draw each flow as a panel. Below the first, draw its followers if they are known."""
    shown = [flow.in_at_most(MOST_BARS) for flow in flows if flow.bars]
    followers = shown[0].followers if shown else None
    heights = [1.2] * len(shown)
    if followers is not None:
        heights.insert(1, 0.6)
    figure = Figure(
        figsize=(_INCHES_WIDE, 0.8 + _INCHES_A_PANEL * sum(heights)), dpi=110, layout="constrained"
    )
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    rest = list(panels)
    for index, flow in enumerate(shown):
        _flow(rest.pop(0), flow, title=index == 0)
        if index == 0 and followers is not None:
            _followers(rest.pop(0), flow, followers)
    figure.supxlabel(f"source: {flows[0].source}", fontsize=8, color="#555555")
    figure.savefig(path)


def _flow(axes: Axes, flow: Flow, *, title: bool) -> None:
    starts = [_when(bar.start_ms) for bar in flow.bars]
    width = timedelta(milliseconds=flow.size_ms)
    gained, lost = [bar.gained for bar in flow.bars], [-bar.lost for bar in flow.bars]
    axes.bar(starts, gained, width, align="edge", color=GAINED, label="gained")  # type: ignore[arg-type]
    axes.bar(starts, lost, width, align="edge", color=LOST, label="lost")  # type: ignore[arg-type]
    _net(axes, flow, [start + width / 2 for start in starts])
    axes.axhline(0, color=NET, linewidth=0.6)
    axes.set_ylabel(f"followers per {span_name(flow.size_ms)}")
    if title:
        axes.set_title(flow.title, loc="left", fontweight="bold")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, borderaxespad=0.2)
    low, high = min(lost, default=0), max(gained, default=0)
    room = 0.05 + _LINE * min(len(flow.scenes), _LINES)
    axes.set_ylim(low * 1.1 - 1, high + 1 + room / (1 - room) * (high - low * 1.1 + 2))
    _times(axes, flow)
    for number, scene in enumerate(flow.scenes):
        _scene(axes, flow, scene, number)


def _net(axes: Axes, flow: Flow, middles: list[datetime]) -> None:
    """Draw dots while they can be distinguished, else a line."""
    nets = [bar.net for bar in flow.bars]
    style = {"marker": "o", "markersize": 3, "linestyle": ""} if len(nets) <= MOST_DOTS else {}
    axes.plot(middles, nets, color=NET, linewidth=0.9, label="net", **style)  # type: ignore[arg-type]


def _scene(axes: Axes, flow: Flow, scene: Scene, number: int) -> None:
    """Mark a moment by a vertical line. Its text is beside it, near the top."""
    at = _number(scene.at_ms)
    axes.axvline(at, color="#777777", linewidth=0.8, linestyle=":")
    is_right = (scene.at_ms - flow.bars[0].start_ms) * 5 > (flow.end_ms - flow.bars[0].start_ms) * 3
    axes.annotate(
        f"{utc(scene.at_ms)}\n{scene.text}",
        xy=(at, 0.98 - _LINE * (number % _LINES)),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if is_right else 6, 0),
        textcoords="offset points",
        ha="right" if is_right else "left",
        va="top",
        fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0},
    )


def _followers(axes: Axes, flow: Flow, followers: list[int]) -> None:
    ends = [_when(bar.start_ms + flow.size_ms) for bar in flow.bars]
    axes.plot(ends, followers, color=NET, linewidth=1.2)  # type: ignore[arg-type]
    axes.set_ylabel("followers")
    axes.set_ylim(0, max(followers) * 1.12 + 1)
    axes.annotate(
        f"{followers[-1]:,}",
        xy=(_number(flow.end_ms), followers[-1]),
        xytext=(0, 6),
        textcoords="offset points",
        ha="right",
        fontsize=9,
    )
    _times(axes, flow)


def _times(axes: Axes, flow: Flow) -> None:
    axes.set_xlim(_number(flow.bars[0].start_ms), _number(flow.end_ms))
    locator = dates.AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        dates.ConciseDateFormatter(locator, tz=UTC)  # type: ignore[no-untyped-call]
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda number, _: short(number)))
    axes.set_xlabel("time (UTC)", fontsize=8)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _when(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1_000, UTC)


def _number(ms: int) -> float:
    return float(dates.date2num(_when(ms)))  # type: ignore[no-untyped-call]
