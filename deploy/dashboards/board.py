"""A dashboard of rows: places the panels, numbers them, links the dashboards to each other."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model

from deploy.dashboards.panels import DATASOURCE, Panel, drawn, words


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The panels under a title, from left to right; `every`: what most of them have."""

    title: str
    every: dict[str, Any]
    panels: list[dict[str, Any]]


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file: its rows, and below them a panel of words (words/NAME.md)."""

    uid: str
    title: str
    says: str
    rows: list[Row]
    words_height: int
    falls_or_rises: dict[float | str, str] = {}
    """Steps that several panels name."""
    has_account: bool = False
    """Whether a reader chooses an account among those that are exported now."""


def build(path: Path) -> dashboard.Dashboard:
    """Lay the rows of a YAML file out, one below the other."""
    board = msgspec.yaml.decode(path.read_bytes(), type=Board)
    made = dashboard.Dashboard(board.title).uid(board.uid).description(board.says)
    made.tags(["netfollowers"]).readonly().time("now-30m", "now").refresh("10s").timezone("utc")
    made.tooltip(model.DashboardCursorSync.CROSSHAIR)
    others = dashboard.DashboardLink("Net followers").type(model.DashboardLinkType.DASHBOARDS)
    made.link(others.tags(["netfollowers"]).keep_time(keep_time=True))
    rows = [
        (row.title, [drawn(msgspec.convert(row.every | facts, Panel)) for facts in row.panels])
        for row in board.rows
    ]
    number = count(1)
    for title, panels in rows:
        made.with_row(dashboard.Row(title).id(next(number)))
        for panel in panels:
            made.with_panel(panel.id(next(number)))
    made.with_row(dashboard.Row("Words").id(next(number)))
    made.with_panel(words(path.stem, height=board.words_height).id(next(number)))
    return made.with_variable(_account()) if board.has_account else made


def _account() -> dashboard.QueryVariable:
    account = dashboard.QueryVariable("account").label("Account").datasource(DATASOURCE)
    account.query("label_values(netfollowers_account_net, account)")
    account.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return account.sort(model.VariableSort.NATURAL_ASC)
