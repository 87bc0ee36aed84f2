"""One account: its gains and losses, its windows, and its ratios."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model

from deploy.dashboards.board import Row, board
from deploy.dashboards.panels import (
    DATASOURCE,
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
    words,
)

UID: Final = "netfollowers-account"
_UNKNOWN: Final = "no baseline"


def _this(what: str, grain: str) -> str:
    return f'max(netfollowers_account_{what}{{account="$account",grain="{grain}"}})'


_FOLLOWERS: Final = 'max(netfollowers_account_followers{account="$account"})'
_AT_START_OF_DAY: Final = f"({_FOLLOWERS} - {_this('net', '1d')} > 0)"


def build() -> dashboard.Dashboard:
    """Build the dashboard; its variable lists the accounts that are exported now."""
    rows = [
        Row("$account, now", _now()),
        Row("Ebb and flow", _ebb_and_flow()),
        Row("How it compares with itself", _ratios()),
        Row("Words", [words("account", height=9)]),
    ]
    says = "Followers that one account gains and loses. Choose the account at the top."
    account = dashboard.QueryVariable("account").label("Account").datasource(DATASOURCE)
    account.query("label_values(netfollowers_account_net, account)")
    account.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    account.sort(model.VariableSort.NATURAL_ASC)
    return board(UID, "One account", says, rows).with_variable(account)


def _net_of(grain: str, words: str, says: str) -> Drawn:
    about = About(words, says, "short", steps=FALLS_OR_RISES)
    return figure(about, Query(_this("net", grain), NET))


def _now() -> list[Drawn]:
    return [
        figure(
            About(
                "Followers",
                "Baseline plus net since then. Unknown without a baseline: the number is never "
                "guessed.",
                "short",
                empty=_UNKNOWN,
            ),
            Query(_FOLLOWERS, "followers"),
        ),
        _net_of("1m", "Net this minute", "Gained minus lost in the current minute (UTC)."),
        _net_of("1h", "Net this hour", "Gained minus lost in the current hour (UTC)."),
        _net_of("1d", "Net today", "Gained minus lost in the current day (UTC)."),
        _net_of("total", "Net since counting began", "Gained minus lost, since counting began."),
        figure(
            About(
                "Surge (z)",
                "Net of the last minute against the last 15, in standard deviations. A value "
                "beyond 3 or -3 is very unlikely to be chance.",
                "none",
                steps=((None, RED), (-3, YELLOW), (-2, GREEN), (2, YELLOW), (3, RED)),
                decimals=1,
            ),
            Query('account:netfollowers_surge:z{account="$account"}', "z"),
        ),
    ]


def _ebb_and_flow() -> list[Drawn]:
    rate = '60 * account:netfollowers_{}:rate1m{{account="$account"}}'
    return [
        graph(
            About(
                "Ebb and flow of $account",
                "Followers gained (above the axis) and lost (below the axis) per minute, and net.",
                "short",
            ),
            Query(rate.format("gained"), GAINED),
            Query("-" + rate.format("lost"), LOST),
            Query(rate.format("net"), NET),
            width=24,
            height=9,
            ebb_and_flow=True,
        ),
        graph(
            About(
                "Today so far",
                "Gained, lost and net of the current day, from 0 at midnight (UTC).",
                "short",
            ),
            Query(_this("gained", "1d"), GAINED),
            Query("-" + _this("lost", "1d"), LOST),
            Query(_this("net", "1d"), NET),
            ebb_and_flow=True,
        ),
        graph(
            About(
                "Followers over time",
                "Baseline plus net since then. There is no line without a baseline.",
                "short",
                empty=_UNKNOWN,
            ),
            Query(_FOLLOWERS, "followers"),
        ),
    ]


def _ratios() -> list[Drawn]:
    return [
        figure(
            About(
                "Growth today",
                "Net of the day / followers at its start.",
                "percentunit",
                steps=FALLS_OR_RISES,
                decimals=2,
                empty=_UNKNOWN,
            ),
            Query(f"{_this('net', '1d')} / {_AT_START_OF_DAY}", "growth"),
            width=8,
        ),
        figure(
            About(
                "Churn today",
                "Lost of the day / followers at its start.",
                "percentunit",
                steps=((None, GREEN), (0.01, YELLOW), (0.05, RED)),
                decimals=2,
                empty=_UNKNOWN,
            ),
            Query(f"{_this('lost', '1d')} / {_AT_START_OF_DAY}", "churn"),
            width=8,
        ),
        figure(
            About(
                "Lost per gained, this hour",
                "Unfollow ratio: above 1 the account loses more than it gains. Undefined without "
                "gains.",
                "none",
                steps=((None, GREEN), (0.8, YELLOW), (1, RED)),
                decimals=2,
                empty="nobody came",
            ),
            Query(f"{_this('lost', '1h')} / ({_this('gained', '1h')} > 0)", "ratio"),
            width=8,
        ),
    ]
