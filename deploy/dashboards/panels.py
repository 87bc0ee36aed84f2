"""Panels in one house style, so that a dashboard is a list of facts.

A panel has a title, one sentence or two that say what it shows, queries, a unit, thresholds where a
number can be bad, and a link to what to do about it. Nothing here knows a metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    table,
    text,
    timeseries,
)
from grafana_foundation_sdk.models import common as shown
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as query_model
from grafana_foundation_sdk.models.text import TextMode

from deploy.dashboards.runbook import link_to

DATASOURCE_UID: Final = "netfollowers-prometheus"
DATASOURCE: Final = model.DataSourceRef(type_val="prometheus", uid=DATASOURCE_UID)
GREEN, YELLOW, RED, BLUE, GREY = "green", "yellow", "red", "blue", "text"
GAINED, LOST, NET = "gained", "lost", "net"
_COLOURS: Final = {GAINED: GREEN, LOST: RED, NET: BLUE}
_WIDTH: Final = 24
_WORDS: Final = Path(__file__).parent / "words"

Drawn = timeseries.Panel | stat.Panel | bargauge.Panel | table.Panel | text.Panel
_P = TypeVar("_P", timeseries.Panel, stat.Panel, bargauge.Panel, table.Panel)
Steps = Sequence[tuple[float | None, str]]
FALLS_OR_RISES: Final[Steps] = ((None, RED), (-1e-9, GREY), (1e-9, GREEN))
ZERO_IS_WELL: Final[Steps] = ((None, GREEN), (1, RED))


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL and the legend of its series (`{{label}}` stands for a label)."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class About:
    """What every panel must say. `runbook`: a heading there, for when the number is bad."""

    title: str
    says: str
    unit: str
    runbook: str = ""
    steps: Steps = ((None, BLUE),)
    decimals: int | None = None
    empty: str = ""
    """The text that stands for no value. Only for a panel where no value is a good answer."""


def graph(
    about: About, *queries: Query, width: int = 12, height: int = 8, ebb_and_flow: bool = False
) -> timeseries.Panel:
    """Draw lines over time.

    `ebb_and_flow`: gained is above the axis, lost is below it, net is a line.
    """
    legend = common.VizLegendOptions().display_mode(shown.LegendDisplayMode.LIST)
    legend.placement(shown.LegendPlacement.BOTTOM).show_legend(show_legend=True)
    tooltip = common.VizTooltipOptions().mode(shown.TooltipDisplayMode.MULTI)
    panel = timeseries.Panel().legend(legend).tooltip(tooltip)
    panel.show_points(shown.VisibilityMode.NEVER).line_width(1).fill_opacity(8)
    if len(about.steps) > 1:
        dashed = common.GraphThresholdsStyleConfig().mode(shown.GraphThresholdsStyleMode.DASHED)
        panel.thresholds_style(dashed)
    if ebb_and_flow:
        panel.fill_opacity(35).axis_centered_zero(axis_centered_zero=True)
        for name, colour in _COLOURS.items():
            panel.override_by_name(name, _series_style(name, colour))
    for ref, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(_target(query, ref).range())
    return _finished(panel, about, width, height)


def figure(about: About, query: Query, *, width: int = 4, height: int = 4) -> stat.Panel:
    """Show one number now, coloured by its thresholds."""
    panel = stat.Panel().reduce_options(_last()).graph_mode(shown.BigValueGraphMode.NONE)
    panel.color_mode(shown.BigValueColorMode.BACKGROUND_SOLID)
    panel.text_mode(shown.BigValueTextMode.VALUE)
    panel.with_target(_target(query, "A").instant())
    return _finished(panel, about, width, height)


def ranking(about: About, query: Query, *, width: int = 8, height: int = 9) -> bargauge.Panel:
    """Show one bar for each series now, in the order of the query."""
    panel = bargauge.Panel().reduce_options(_last()).orientation(shown.VizOrientation.HORIZONTAL)
    panel.display_mode(shown.BarGaugeDisplayMode.BASIC)
    panel.value_mode(shown.BarGaugeValueMode.TEXT)
    panel.with_target(_target(query, "A").instant())
    return _finished(panel, about, width, height)


def listing(
    about: About, key: str, columns: Sequence[Query], *, width: int = 12, height: int = 9
) -> table.Panel:
    """Show a table now: a row for each value of the label `key`, a column for each query."""
    panel = table.Panel()
    names = {}
    for ref, query in zip("ABCDEFGH", columns, strict=False):
        target = _target(query, ref).instant().format(query_model.PromQueryFormat.TABLE)
        panel.with_target(target)
        names["Value" if len(columns) == 1 else f"Value #{ref}"] = query.legend
    panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(
        model.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True},
                "indexByName": {name: at for at, name in enumerate([key, *names])},
                "renameByName": names,
            },
        )
    )
    return _finished(panel, about, width, height)


def words(name: str, *, height: int) -> text.Panel:
    """Explain the words of a dashboard: words/NAME.md, over the whole width."""
    panel = text.Panel().title("What the words mean").description("Words that this page uses.")
    panel.mode(TextMode.MARKDOWN).content((_WORDS / f"{name}.md").read_text())
    return panel.span(_WIDTH).height(height)


def _target(query: Query, ref: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref)
    return target.datasource(DATASOURCE).editor_mode(query_model.QueryEditorMode.CODE)


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)


def _series_style(name: str, colour: str) -> list[model.DynamicConfigValue]:
    style = [model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})]
    if name == NET:
        style.append(model.DynamicConfigValue("custom.fillOpacity", 0))
        style.append(model.DynamicConfigValue("custom.lineWidth", 2))
    return style


def _finished(panel: _P, about: About, width: int, height: int) -> _P:
    steps = [model.Threshold(value=value, color=colour) for value, colour in about.steps]
    thresholds = dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)
    panel.title(about.title).description(about.says).unit(about.unit).thresholds(thresholds)
    panel.datasource(DATASOURCE).span(width).height(height)
    if about.decimals is not None:
        panel.decimals(about.decimals)
    if about.empty:
        panel.no_value(about.empty)
    if about.runbook:
        link = dashboard.DashboardLink(f"What to do: {about.runbook}")
        link.type(model.DashboardLinkType.LINK).url(link_to(about.runbook))
        panel.links([link.target_blank(target_blank=True)])
    return panel
