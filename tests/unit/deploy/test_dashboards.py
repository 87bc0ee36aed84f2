"""The dashboards are what their source makes, and everything that they name is there."""

from __future__ import annotations

import re
import typing
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import units

from deploy.dashboards.generate import DIRECTORY, rendered
from deploy.dashboards.panels import DATASOURCE_UID
from deploy.dashboards.runbook import sections
from tests.support import dashboard_queries

BOARDS = dashboard_queries.boards()
OURS = [title for title in BOARDS if title != "Runbook"]
PROVISIONING = dashboard_queries.ROOT / "deploy" / "grafana" / "provisioning"
UNITS = {hint.__args__[0] for hint in typing.get_type_hints(units).values()}
PANELS = [
    pytest.param(board, panel, id=f"{title} / {panel['title']}")
    for title, board in BOARDS.items()
    for panel in dashboard_queries.panels(board)
]
ASKING = [one for one in PANELS if typing.cast("dict[str, Any]", one.values[1]).get("targets")]
every_panel = pytest.mark.parametrize(("board", "panel"), PANELS)
every_asking_panel = pytest.mark.parametrize(("board", "panel"), ASKING)
Json = dict[str, Any]


def test_the_committed_files_are_what_the_source_makes() -> None:
    committed = {path.name: path.read_text() for path in DIRECTORY.glob("*.json")}

    assert committed == rendered(), "run: make dashboards"


@pytest.mark.parametrize("title", BOARDS)
def test_grafanas_own_types_read_a_dashboard_and_lose_nothing(title: str) -> None:
    read = model.Dashboard.from_json(BOARDS[title])

    assert read.schema_version == 41
    assert read.title == title
    assert len(read.panels or []) == len(BOARDS[title]["panels"])
    assert read.templating is not None or title != "One account"


def test_there_are_three_and_the_runbook() -> None:
    assert set(BOARDS) == {"Accounts", "Service", "One account", "Runbook"}
    assert len({board["uid"] for board in BOARDS.values()}) == 4


@every_panel
def test_a_panel_says_what_it_shows(board: Json, panel: Json) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert [one["id"] for one in board["panels"]].count(panel["id"]) == 1


@every_asking_panel
def test_a_panel_has_a_unit_that_grafana_knows_and_thresholds(board: Json, panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]

    assert board
    assert defaults["unit"] in UNITS
    steps = [step["value"] for step in defaults["thresholds"]["steps"]]
    assert steps[0] is None
    assert steps[1:] == sorted(steps[1:])


@every_asking_panel
def test_a_panel_asks_the_datasource_that_is_provisioned(board: Json, panel: Json) -> None:
    path = PROVISIONING / "datasources" / "prometheus.yml"
    (source,) = yaml.safe_load(path.read_text())["datasources"]
    named = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]

    assert board
    assert source["uid"] == DATASOURCE_UID
    assert source["type"] == "prometheus"
    assert named == [{"type": "prometheus", "uid": DATASOURCE_UID}] * len(named)


@every_asking_panel
def test_every_series_has_a_legend_and_every_variable_exists(board: Json, panel: Json) -> None:
    variables = board["templating"].get("list", ())
    known = {"__rate_interval", *(variable["name"] for variable in variables)}
    texts = [panel["title"], *(target["expr"] for target in panel["targets"])]

    assert all(target["legendFormat"] for target in panel["targets"])
    assert {name for text in texts for name in re.findall(r"\$\{?(\w+)", text)} <= known


def test_the_variable_of_one_account_lists_the_accounts_that_are_exported() -> None:
    (variable,) = BOARDS["One account"]["templating"]["list"]

    assert variable["name"] == "account"
    assert variable["query"] == "label_values(netfollowers_account_net, account)"
    assert variable["datasource"]["uid"] == DATASOURCE_UID
    assert variable["refresh"] == model.VariableRefresh.ON_TIME_RANGE_CHANGED


@every_panel
def test_a_link_leads_to_a_heading_of_the_runbook(board: Json, panel: Json) -> None:
    shown = {one["id"]: one["title"] for one in BOARDS["Runbook"]["panels"]}
    for link in panel.get("links") or []:
        uid, number = re.findall(r"^/d/([\w-]+)\?viewPanel=(\d+)$", link["url"])[0]
        assert uid == BOARDS["Runbook"]["uid"]
        assert link["title"] == f"What to do: {shown[int(number)]}"
    assert board


@pytest.mark.parametrize("title", OURS)
def test_panels_do_not_overlap_and_stay_within_the_grid(title: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[title]["panels"]:
        place = panel["gridPos"]
        x, y = place.get("x", 0), place.get("y", 0)
        cells = {(x + dx, y + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert x + place["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("title", OURS)
def test_a_row_explains_the_words(title: str) -> None:
    last = BOARDS[title]["panels"][-1]

    assert last["type"] == "text"
    assert "| word | meaning |" in last["options"]["content"]


def test_the_runbook_is_shown_whole() -> None:
    shown = {one["title"]: one["options"]["content"] for one in BOARDS["Runbook"]["panels"]}

    assert shown == sections()


@pytest.mark.parametrize("panel", ["Ebb and flow of all accounts", "Ebb and flow of $account"])
def test_the_ebb_lies_below_the_axis(panel: str) -> None:
    found = [one for one in dashboard_queries.asked() if one.panel == panel]

    assert [one.legend for one in found] == ["gained", "lost", "net"]
    assert [one.expr.startswith("-") for one in found] == [False, True, False]
