"""Every query of a panel and every alert has a known truth, and the page lists them all."""

from __future__ import annotations

from tests.support import dashboard_queries
from verify.panels.expected_alerts import ALERTS, TRUTHS
from verify.panels.report import PAGE


def test_every_query_and_alert_has_a_truth_and_every_truth_a_query() -> None:
    queries = {one.name for one in dashboard_queries.asked()}
    assert queries == TRUTHS.keys(), "the truth of a query is in verify/panels/expected_service.py"
    alerts = dashboard_queries.alerts().keys()
    assert alerts == ALERTS.keys(), "the truth of an alert is in verify/panels/expected_alerts.py"


def test_the_page_lists_every_panel_and_alert_with_the_query_that_it_has() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    listed = {(row[0].removeprefix("| "), row[1].strip("`")) for row in rows if len(row) == 5}
    asked = [(one.name.partition(" / ")[2], one.expr) for one in dashboard_queries.asked()]
    asked += [(name, alert["expr"]) for name, alert in dashboard_queries.alerts().items()]
    wanted = {(name, " ".join(expr.split()).replace("|", "\\|")) for name, expr in asked}

    assert wanted - listed == set(), "run: make panels"
