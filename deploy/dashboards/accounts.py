"""The dashboard Accounts: which accounts rise or fall, and which of them most."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard

from deploy.dashboards.board import Row, board
from deploy.dashboards.panels import (
    FALLS_OR_RISES,
    GAINED,
    GREEN,
    LOST,
    NET,
    RED,
    YELLOW,
    About,
    Drawn,
    Query,
    figure,
    graph,
    listing,
    ranking,
    words,
)

UID: Final = "netfollowers-accounts"
BY_ACCOUNT: Final = "{{account}}"


def _this(what: str, grain: str) -> str:
    return f'max by (account) (netfollowers_account_{what}{{grain="{grain}"}})'


def build() -> dashboard.Dashboard:
    """Build the dashboard."""
    says = "Growth of all accounts together, and of single accounts."
    rows = [
        Row("Rise or fall, now", _now()),
        Row("Ebb and flow", _ebb_and_flow()),
        Row("Who moves", _movers()),
        Row("Each account", _each()),
        Row("Words", [words("accounts", height=10)]),
    ]
    return board(UID, "Accounts", says, rows)


def _now() -> list[Drawn]:
    return [
        figure(
            About(
                "Net per minute",
                "Followers gained minus lost, of all accounts, over the last minute. Green: "
                "growth; red: decline.",
                "short",
                steps=FALLS_OR_RISES,
                decimals=0,
            ),
            Query("60 * netfollowers:net:rate1m", NET),
            width=5,
        ),
        figure(
            About(
                "Gained per minute",
                "Follows counted over the last minute, all accounts.",
                "short",
                steps=((None, GREEN),),
                decimals=0,
            ),
            Query("60 * netfollowers:gained:rate1m", GAINED),
        ),
        figure(
            About(
                "Lost per minute",
                "Unfollows counted over the last minute, all accounts.",
                "short",
                steps=((None, RED),),
                decimals=0,
            ),
            Query("60 * netfollowers:lost:rate1m", LOST),
        ),
        figure(
            About(
                "Net since counting began",
                "Net since counting began, the sum of all accounts in the table.",
                "short",
                steps=FALLS_OR_RISES,
            ),
            Query("sum(netfollowers_table_net)", NET),
        ),
        figure(
            About(
                "Accounts", "Accounts in the table: all accounts that have had an event.", "short"
            ),
            Query("sum(netfollowers_table_rows)", "accounts"),
            width=3,
        ),
        figure(
            About(
                "These numbers are behind by",
                "Time between the newest event of the slowest partition and now. If it is not "
                "green, see the dashboard Service.",
                "s",
                runbook="NetFollowersTimeStandsStill",
                steps=((None, GREEN), (60, YELLOW), (900, RED)),
                decimals=0,
            ),
            Query("max(partition:netfollowers_event_time_lag_seconds:min)", "behind"),
        ),
    ]


def _ebb_and_flow() -> list[Drawn]:
    return [
        graph(
            About(
                "Ebb and flow of all accounts",
                "Followers gained (above the axis) and lost (below the axis) per minute, and net.",
                "short",
            ),
            Query("60 * netfollowers:gained:rate1m", GAINED),
            Query("-60 * netfollowers:lost:rate1m", LOST),
            Query("60 * netfollowers:net:rate1m", NET),
            width=16,
            height=9,
            ebb_and_flow=True,
        ),
        graph(
            About(
                "Gained and lost since counting began",
                "Sums of all accounts in the table. Accounts grow where the two lines move apart.",
                "short",
            ),
            Query("sum(netfollowers_table_gained)", GAINED),
            Query("sum(netfollowers_table_lost)", LOST),
            width=8,
            height=9,
        ),
    ]


def _movers() -> list[Drawn]:
    net = _this("net", "1h")
    return [
        ranking(
            About(
                "Top gainers this hour",
                "The ten accounts with the largest net of this hour. The list is exact: each "
                "worker exports its largest accounts.",
                "short",
                steps=((None, GREEN),),
                empty="no account gains followers",
            ),
            Query(f"sort_desc(topk(10, {net} > 0))", BY_ACCOUNT),
        ),
        ranking(
            About(
                "Top losers this hour",
                "The ten accounts with the smallest net of this hour, if it is below 0.",
                "short",
                steps=((None, RED),),
                empty="no account loses followers",
            ),
            Query(f"sort(bottomk(10, {net} < 0))", BY_ACCOUNT),
        ),
        graph(
            About(
                "Surges and declines",
                "Net of the last minute against the account's own last 15 minutes, in standard "
                "deviations (z). A value beyond the dashed lines is very unlikely to be chance. "
                "The ten values furthest from 0.",
                "none",
                steps=((None, RED), (-3, GREEN), (3, RED)),
                decimals=1,
            ),
            Query(
                "account:netfollowers_surge:z and topk(10, abs(account:netfollowers_surge:z))",
                BY_ACCOUNT,
            ),
            width=8,
            height=9,
        ),
    ]


def _each() -> list[Drawn]:
    return [
        graph(
            About(
                "Net by account, this hour so far",
                "Net starts at 0 at each full hour (UTC). The ten largest values.",
                "short",
            ),
            Query(f"topk(10, {_this('net', '1h')})", BY_ACCOUNT),
            height=11,
        ),
        listing(
            About(
                "Accounts shown, this hour",
                "Accounts of the watch list, and accounts that change most. Followers is empty "
                "without a baseline: the number is never guessed.",
                "short",
            ),
            "account",
            [
                Query(_this("gained", "1h"), "gained"),
                Query(_this("lost", "1h"), "lost"),
                Query(_this("net", "1h"), "net"),
                Query(_this("net", "1d"), "net today"),
                Query(_this("net", "total"), "net since counting began"),
                Query("max by (account) (netfollowers_account_followers)", "followers"),
            ],
            height=11,
        ),
    ]
