"""Draws gains and losses on a terminal: gained above the axis, lost below, the net as dots.

Every column is a bar of a `Flow`. It uses eighth blocks above the axis and half blocks below it,
because most fonts have no eighths that hang from the top. Sky blue and vermillion can be told apart
by colour-blind readers too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rich.text import Text

from service.charts.series import DAY_MS, Bar, Flow, Scene, short, span_name, utc

GAINED: Final = "#56b4e9"
LOST: Final = "#d55e00"
NET: Final = "bold"

_UP: Final = " ▁▂▃▄▅▆▇█"
_DOWN: Final = " ▔▀█"
_MARKS: Final = "①②③④⑤⑥⑦⑧⑨"
_MARGIN: Final = 8
_AROUND: Final = 5  # lines: title, scenes' marks, axis, times, source
_WIDEST_BAR: Final = 4
_DAYS_OF_YEARS, _DAYS_OF_MONTHS, _DAYS_OF_DAYS = 800, 45, 3


@dataclass(frozen=True, slots=True)
class Scale:
    """`unit`: followers per line. `up`: lines above the axis. `down`: lines below it."""

    unit: float
    up: int
    down: int

    @classmethod
    def fit(cls, bars: tuple[Bar, ...], lines: int) -> Scale:
        """Divide the lines by the largest gain and the largest loss."""
        most = max((bar.gained for bar in bars), default=0)
        least = max((bar.lost for bar in bars), default=0)
        total = max(1, most + least)
        up = min(lines - 2, max(2, round(lines * most / total)))
        unit = max(most / up, least / (lines - up), 1e-9)
        return cls(unit, up, lines - up)


def ebb_and_flow(flow: Flow, *, width: int = 100, height: int = 30) -> Text:
    """Draw a flow in at most `width` columns and `height` lines. `.plain` has no styles."""
    if not flow.bars:
        return Text(f"{flow.title}: nothing happened")
    columns = width - _MARGIN
    drawn = flow.in_at_most(columns)
    repeat = max(1, min(_WIDEST_BAR, columns // len(drawn.bars)))
    scale = Scale.fit(drawn.bars, height - _AROUND - len(flow.scenes))
    lines = [
        _heading(drawn),
        _marks(drawn, repeat),
        *(_line(drawn, scale, row, repeat) for row in range(scale.up, 0, -1)),
        _axis(drawn, repeat),
        *(_line(drawn, scale, -row, repeat) for row in range(1, scale.down + 1)),
        _times(drawn, repeat, columns),
        *(_scene(mark, scene) for mark, scene in zip(_MARKS, drawn.scenes, strict=False)),
        Text(f"source: {flow.source}", style="dim", overflow="fold"),
    ]
    return Text("\n").join(lines)


def _heading(flow: Flow) -> Text:
    return Text.assemble(
        (flow.title, "bold"),
        ": followers ",
        ("█ gained", GAINED),
        ", ",
        ("█ lost", LOST),
        ", ",
        ("• net", NET),
        f" per {span_name(flow.size_ms)}, UTC",
    )


def _column(flow: Flow, at_ms: int) -> int:
    return (at_ms - flow.bars[0].start_ms) // flow.size_ms


def _marks(flow: Flow, repeat: int) -> Text:
    places = [" "] * (len(flow.bars) * repeat + 1)
    for mark, scene in zip(_MARKS, flow.scenes, strict=False):
        place = _column(flow, scene.at_ms) * repeat + repeat // 2
        while places[place] != " ":
            place += 1
        places[place] = mark
    return Text(" " * _MARGIN + "".join(places).rstrip(), style="bold")


def _line(flow: Flow, scale: Scale, row: int, repeat: int) -> Text:
    """Draw line `row`: 1 is the first above the axis, -1 the first below."""
    label = _label(scale, row)
    line = Text(f"{label:>{_MARGIN - 2}} {'┤' if label else '│'}", style="dim")
    for bar in flow.bars:
        line.append_text(_cell(bar, scale.unit, row, repeat))
    return line


def _label(scale: Scale, row: int) -> str:
    edge = scale.up if row > 0 else scale.down
    is_labelled = abs(row) == edge or (edge >= 6 and abs(row) == edge // 2)  # noqa: PLR2004
    return f"{'+' if row > 0 else '-'}{short(abs(row) * scale.unit)}" if is_labelled else ""


def _cell(bar: Bar, unit: float, row: int, repeat: int) -> Text:
    blocks, style = (_UP, GAINED) if row > 0 else (_DOWN, LOST)
    lines = (bar.gained if row > 0 else bar.lost) / unit
    filled = min(1.0, max(0.0, lines - abs(row) + 1))
    level = round(filled * (len(blocks) - 1))
    if level == 0 and abs(row) == 1 and lines > 0:
        level = 1
    net = bar.net / unit
    is_here = (net > 0) == (row > 0) and abs(row) - 1 < abs(net) <= abs(row)
    if is_here and abs(row) > 1:  # next to the axis it would hide the bars
        is_full = level == len(blocks) - 1
        return Text("•" * repeat, style=f"{NET} black on {style}" if is_full else NET)
    return Text(blocks[level] * repeat, style=style)


def _axis(flow: Flow, repeat: int) -> Text:
    ticks = "".join(
        "┬" + "─" * (repeat - 1) if label else "─" * repeat for label in _labels_of_times(flow)
    )
    return Text(f"{'0':>{_MARGIN - 2}} ┼{ticks}", style="dim")


def _times(flow: Flow, repeat: int, columns: int) -> Text:
    places = [" "] * columns
    free = 0
    for index, label in enumerate(_labels_of_times(flow)):
        start = index * repeat
        if label and start >= free and start + len(label) <= columns:
            places[start : start + len(label)] = label
            free = start + len(label) + 1
    return Text(" " * _MARGIN + "".join(places).rstrip(), style="dim")


def _labels_of_times(flow: Flow) -> list[str]:
    """Label each bar in which a year, month, day or hour begins. Other bars get ''."""
    days = (flow.end_ms - flow.bars[0].start_ms) / DAY_MS
    if days > _DAYS_OF_YEARS:
        form = "%Y"
    elif days > _DAYS_OF_MONTHS:
        form = "%Y-%m"
    elif days > _DAYS_OF_DAYS:
        form = "%m-%d"
    else:
        form = "%H:00"
    names = [utc(bar.start_ms, form) for bar in flow.bars]
    return [
        name if index == 0 or name != names[index - 1] else "" for index, name in enumerate(names)
    ]


def _scene(mark: str, scene: Scene) -> Text:
    return Text.assemble((f"{mark} ", "bold"), f"{utc(scene.at_ms)} {scene.text}")
