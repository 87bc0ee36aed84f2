"""Every panel and every alert, asked of a real Prometheus that scrapes real workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.local.broker import LocalBroker
from tests.support import dashboard_queries
from verify.panels.report import table
from verify.panels.run import measure


@pytest.mark.broker
async def test_every_panel_and_alert_shows_what_is_true(
    kafka: LocalBroker, prometheus: str, unique: str, tmp_path: Path
) -> None:
    assert prometheus
    measured = await measure(kafka.bootstrap, tmp_path / "stack", unique)
    print(table(measured))  # noqa: T201 - what was measured
    assert not measured.wrong, "\n".join(measured.wrong)
    assert {"star", "sinker", "steady"} <= measured.accounts
    assert all("<no value>" not in text and "error" not in text for text in measured.firing)
    _every_metric_is_asked_for(measured.exported)


def _every_metric_is_asked_for(exported: dict[str, str]) -> None:
    """Each metric is on a panel or in an alert, and the reverse."""
    asked = {
        name for one in dashboard_queries.asked() for name in dashboard_queries.metrics_in(one.expr)
    }
    asked |= {
        name
        for one in dashboard_queries.alerts().values()
        for name in dashboard_queries.metrics_in(one["expr"])
    }
    asked = {_family(name, exported) for name in asked}
    ours = {name for name in exported if not name.endswith("_created")}
    assert ours - asked - NOT_ASKED == set()
    assert asked - ours - {"up", "ALERTS"} == set()


NOT_ASKED = {
    "python_info",  # is the same for all of an image
    "process_virtual_memory_bytes",  # resident memory is what runs out
    "python_gc_objects_collected_total",  # collections say enough
    "python_gc_objects_uncollectable_total",
}


def _family(name: str, exported: dict[str, str]) -> str:
    """The histogram that a series belongs to."""
    for suffix in ("_bucket", "_sum", "_count"):
        if exported.get(name.removesuffix(suffix)) == "histogram":
            return name.removesuffix(suffix)
    return name
