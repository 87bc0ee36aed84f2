"""Service: is it well, and if not, where it hurts. The rows stand in `service_rows`."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard

from deploy.dashboards.board import Row, board
from deploy.dashboards.panels import (
    GREEN,
    RED,
    YELLOW,
    ZERO_IS_WELL,
    About,
    Drawn,
    Query,
    figure,
    words,
)
from deploy.dashboards.service_rows import (
    checkpoints,
    flow,
    not_counted,
    process,
    restores,
    windows,
)

UID: Final = "netfollowers-service"


def build() -> dashboard.Dashboard:
    """Build the dashboard."""
    rows = [
        Row("Is it well?", _well()),
        Row("Throughput and lag", flow()),
        Row("What did not count, and why", not_counted()),
        Row("Checkpoints", checkpoints()),
        Row("Group and restores", restores()),
        Row("Windows and table", windows()),
        Row("Process", process()),
        Row("Words", [words("service", height=11)]),
    ]
    return board(UID, "Service", "Health of the service, and where problems are.", rows)


def _well() -> list[Drawn]:
    return [
        figure(
            About(
                "Alerts firing",
                "0 is good. The runbook has a section for each alert.",
                "short",
                runbook="How to read this",
                steps=ZERO_IS_WELL,
            ),
            Query('count(ALERTS{alertstate="firing"}) or vector(0)', "alerts"),
            width=3,
        ),
        figure(
            About(
                "Workers that do not answer",
                "Workers in the configuration of Prometheus that it cannot reach.",
                "short",
                runbook="NetFollowersWorkerDown",
                steps=ZERO_IS_WELL,
            ),
            Query('count(up{job="netfollowers"} == 0) or vector(0)', "down"),
            width=3,
        ),
        figure(
            About(
                "Partitions not counted",
                "Partitions that a worker held within the last day and that no worker counts now.",
                "short",
                runbook="NetFollowersPartitionNotCounted",
                steps=ZERO_IS_WELL,
            ),
            Query(
                "max_over_time(netfollowers:partitions_held:count[1d])"
                " - scalar(count(max by (partition) (netfollowers_running) == 1) or vector(0))",
                "partitions",
            ),
            width=3,
        ),
        figure(
            About(
                "Records that wait",
                "Lag: records in the input that are not yet read.",
                "short",
                runbook="NetFollowersFallingBehind",
                steps=((None, GREEN), (100_000, YELLOW), (10_000_000, RED)),
            ),
            Query("sum(partition:netfollowers_lag_records:max)", "records"),
            width=3,
        ),
        figure(
            About(
                "Oldest that waits",
                "Age of the oldest record that is not yet read; 0 if there is no lag.",
                "s",
                runbook="NetFollowersFallingBehind",
                steps=((None, GREEN), (10, YELLOW), (300, RED)),
            ),
            Query("max(partition:netfollowers_oldest_unprocessed_age_seconds:max)", "age"),
            width=3,
        ),
        figure(
            About(
                "Event-time lag",
                "Time between the watermark of the slowest partition and now. It also grows if no"
                " producer sends.",
                "s",
                runbook="NetFollowersTimeStandsStill",
                steps=((None, GREEN), (60, YELLOW), (900, RED)),
                decimals=0,
            ),
            Query("max(partition:netfollowers_event_time_lag_seconds:min)", "lag"),
            width=3,
        ),
        figure(
            About(
                "Rejected",
                "Share of the records of the last five minutes that were rejected.",
                "percentunit",
                runbook="NetFollowersRejecting",
                steps=((None, GREEN), (0.001, YELLOW), (0.01, RED)),
                decimals=2,
                empty="nothing arrives",
            ),
            Query("netfollowers:rejected:ratio_rate5m", "rejected"),
            width=3,
        ),
        figure(
            About(
                "Late",
                "Share of the records of the last five minutes that missed a window.",
                "percentunit",
                runbook="NetFollowersLate",
                steps=((None, GREEN), (0.01, YELLOW), (0.05, RED)),
                decimals=2,
                empty="nothing arrives",
            ),
            Query("netfollowers:late:ratio_rate5m", "late"),
            width=3,
        ),
    ]
