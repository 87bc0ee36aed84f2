"""A dashboard of rows: places the panels, numbers them, links the dashboards to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model

from deploy.dashboards.panels import Drawn


@dataclass(frozen=True, slots=True)
class Row:
    """A title and the panels under it, from left to right."""

    title: str
    panels: Sequence[Drawn]


def board(uid: str, title: str, says: str, rows: Sequence[Row]) -> dashboard.Dashboard:
    """Lay the rows out, one below the other."""
    made = dashboard.Dashboard(title).uid(uid).description(says).tags(["netfollowers"]).readonly()
    made.time("now-30m", "now").refresh("10s").timezone("utc")
    made.tooltip(model.DashboardCursorSync.CROSSHAIR)
    others = dashboard.DashboardLink("Net followers").type(model.DashboardLinkType.DASHBOARDS)
    made.link(others.tags(["netfollowers"]).keep_time(keep_time=True))
    number = 0
    for row in rows:
        number += 1
        made.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            made.with_panel(panel.id(number))
    return made
