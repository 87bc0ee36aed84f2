"""Panels in one house style. The facts of each panel stand in the YAML files of this folder.

Nothing here knows a metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
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
_NET: Final = "net"
_COLOURS: Final = {"gained": "green", "lost": "red", _NET: "blue"}
_WIDTH: Final = 24
_REFS: Final = "ABCDEFGH"
_WORDS: Final = Path(__file__).parent / "words"

Drawn = timeseries.Panel | stat.Panel | bargauge.Panel | table.Panel


class Panel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of a panel."""

    title: str
    says: str
    """A sentence or two that say what it shows."""
    queries: dict[str, str]
    """PromQL by the legend of its series (`{{label}}` stands for a label)."""
    width: int
    height: int
    kind: Literal["graph", "figure", "ranking", "listing"] = "graph"
    unit: str = "short"
    runbook: str = ""
    """A heading there, for when the number is bad."""
    steps: dict[int | float | str, str] = msgspec.field(default_factory=lambda: {"base": "blue"})
    """From which value on which colour; below the first value, that of `base`."""
    decimals: int | None = None
    empty: str = ""
    """The text that stands for no value. Only for a panel where no value is a good answer."""
    is_ebb_and_flow: bool = False
    """Of a graph: gained above the axis, lost below, net as a line."""
    key: str = ""
    """Of a listing: the label that each row has a value of."""


def drawn(panel: Panel) -> Drawn:
    """Make the panel in the form of Grafana."""
    made = _KINDS[panel.kind](panel)
    steps = [
        model.Threshold(value=None if isinstance(value, str) else value, color=colour)
        for value, colour in panel.steps.items()
    ]
    thresholds = dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)
    made.title(panel.title).description(panel.says).unit(panel.unit).thresholds(thresholds)
    made.datasource(DATASOURCE).span(panel.width).height(panel.height)
    if panel.decimals is not None:
        made.decimals(panel.decimals)
    if panel.empty:
        made.no_value(panel.empty)
    if panel.runbook:
        link = dashboard.DashboardLink(f"What to do: {panel.runbook}")
        link.type(model.DashboardLinkType.LINK).url(link_to(panel.runbook))
        made.links([link.target_blank(target_blank=True)])
    return made


def _graph(facts: Panel) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(shown.LegendDisplayMode.LIST)
    legend.placement(shown.LegendPlacement.BOTTOM).show_legend(show_legend=True)
    tooltip = common.VizTooltipOptions().mode(shown.TooltipDisplayMode.MULTI)
    panel = timeseries.Panel().legend(legend).tooltip(tooltip)
    panel.show_points(shown.VisibilityMode.NEVER).line_width(1).fill_opacity(8)
    if len(facts.steps) > 1:
        dashed = common.GraphThresholdsStyleConfig().mode(shown.GraphThresholdsStyleMode.DASHED)
        panel.thresholds_style(dashed)
    if facts.is_ebb_and_flow:
        panel.fill_opacity(35).axis_centered_zero(axis_centered_zero=True)
        for name, colour in _COLOURS.items():
            panel.override_by_name(name, _series_style(name, colour))
    for target in _targets(facts):
        panel.with_target(target.range())
    return panel


def _figure(facts: Panel) -> stat.Panel:
    """Show one number now, coloured by its thresholds."""
    panel = stat.Panel().reduce_options(_last()).graph_mode(shown.BigValueGraphMode.NONE)
    panel.color_mode(shown.BigValueColorMode.BACKGROUND_SOLID)
    panel.text_mode(shown.BigValueTextMode.VALUE)
    (target,) = _targets(facts)
    return panel.with_target(target.instant())


def _ranking(facts: Panel) -> bargauge.Panel:
    """Show one bar for each series now, in the order of the query."""
    panel = bargauge.Panel().reduce_options(_last()).orientation(shown.VizOrientation.HORIZONTAL)
    panel.display_mode(shown.BarGaugeDisplayMode.BASIC)
    panel.value_mode(shown.BarGaugeValueMode.TEXT)
    (target,) = _targets(facts)
    return panel.with_target(target.instant())


def _listing(facts: Panel) -> table.Panel:
    """Show a table now: a row for each value of the label `key`, a column for each query."""
    panel = table.Panel()
    for target in _targets(facts):
        panel.with_target(target.instant().format(query_model.PromQueryFormat.TABLE))
    names = {f"Value #{ref}": legend for ref, legend in zip(_REFS, facts.queries, strict=False)}
    options = {
        "excludeByName": {"Time": True},
        "indexByName": {name: at for at, name in enumerate([facts.key, *names])},
        "renameByName": names,
    }
    steps: list[tuple[str, dict[str, Any]]] = [("merge", {}), ("organize", options)]
    for name, of in steps:
        panel.with_transformation(model.DataTransformerConfig(id_val=name, options=of))
    return panel


def words(name: str, *, height: int) -> text.Panel:
    """Explain the words of a dashboard: words/NAME.md, over the whole width."""
    panel = text.Panel().title("What the words mean").description("Words that this page uses.")
    panel.mode(TextMode.MARKDOWN).content((_WORDS / f"{name}.md").read_text())
    return panel.span(_WIDTH).height(height)


def _targets(facts: Panel) -> list[prometheus.Dataquery]:
    targets = []
    for ref, (legend, expr) in zip(_REFS, facts.queries.items(), strict=False):
        target = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref)
        target.datasource(DATASOURCE).editor_mode(query_model.QueryEditorMode.CODE)
        targets.append(target)
    return targets


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)


def _series_style(name: str, colour: str) -> list[model.DynamicConfigValue]:
    style = [model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})]
    if name == _NET:
        style.append(model.DynamicConfigValue("custom.fillOpacity", 0))
        style.append(model.DynamicConfigValue("custom.lineWidth", 2))
    return style


_KINDS: Final[Mapping[str, Callable[[Panel], Drawn]]] = {
    "graph": _graph,
    "figure": _figure,
    "ranking": _ranking,
    "listing": _listing,
}
