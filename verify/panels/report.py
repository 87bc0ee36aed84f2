"""Panels, queries, truths and measured values, as a table and as docs/measured/panels.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from bench.common.environment import machine
from bench.report.figures import measured_line
from tests.support.dashboard_queries import ROOT
from verify.panels.expected_accounts import CHOSEN
from verify.panels.run import STORY_S, Line, Measured
from verify.panels.tolerance import RATE_S, Value

PAGE: Final = ROOT / "docs" / "measured" / "panels.md"
_SHOWN: Final = 4
_HEAD: Final = f"""\
# What every panel and alert shows, and what is true

%s

Made by `make panels`, which runs what `test_every_panel_and_alert_shows_what_is_true` runs: two
workers on a real Kafka, a real Prometheus with the repository's rules, {STORY_S} s of events
whose every fact is known, then every query at one moment. `$__rate_interval` stood for {RATE_S}s,
`$account` for `{CHOSEN}`; Prometheus scraped every second. The truth comes from what was sent,
from the broker's logs and from the kernel; none of it from a metric, except the number of account
series, which Prometheus counted. *In a..b*: a truth of which only bounds are known.

After the panels: each alert's expression (without its `for`), and those that a killed worker makes
true. *Nothing* means that the expression must return nothing. That each alert fires and stays
silent at its border is tested by `promtool test rules deploy/prometheus/tests.yml`.
"""


def page(measured: Measured) -> str:
    parts = [_HEAD % measured_line(machine())]
    for title in dict.fromkeys(line.name.split(" / ")[0] for line in measured.panels):
        ours = [line for line in measured.panels if line.name.startswith(f"{title} / ")]
        parts.append(f"## {title}\n\n{_rows('panel', ours)}")
    parts.append(f"## Alerts\n\n{_rows('alert', measured.alerts)}")
    return "\n".join(parts)


def table(measured: Measured) -> str:
    """Return the same lines for a terminal."""
    lines = [*measured.panels, *measured.alerts]
    return "\n".join(
        f"{'WRONG' if line.wrong else 'ok   '} {line.name} -> {' '.join(line.expr.split())}"
        f" -> {_values(line.true, line)} -> {_values(line.measured, line)} -> {line.allowed}"
        for line in lines
    )


def _rows(what: str, lines: Iterable[Line]) -> str:
    rows = [f"| {what} | query | truth | measured | allowed error |", "|---|---|---|---|---|"]
    for line in lines:
        name = line.name.partition(" / ")[2] or line.name
        query = " ".join(line.expr.split()).replace("|", "\\|")
        true, found = _values(line.true, line), _values(line.measured, line)
        rows.append(f"| {name} | `{query}` | {true} | {found} | {line.allowed} |")
    return "\n".join(rows) + "\n"


def _values(values: Mapping[str, Value], line: Line) -> str:
    """Write the first values by name. Truth and measurement show the same ones."""
    names = sorted(line.measured.keys() & values.keys()) or sorted(values)
    shown = [f"{name} {_text(values[name])}".strip() for name in names[:_SHOWN]]
    more = len(names) - _SHOWN
    return "<br>".join(shown + ([f"... {more} more"] if more > 0 else [])) or "nothing"


def _text(value: Value) -> str:
    if isinstance(value, tuple):
        return f"in {value[0]:g}..{value[1]:g}"
    return f"{value:.4g}" if abs(value) < 1_000 else f"{value:,.0f}"
