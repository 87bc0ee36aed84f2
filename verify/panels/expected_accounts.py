"""The truth of every query of the dashboards Accounts and One account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from verify.panels.scenario import BASELINES
from verify.panels.tolerance import Truth, Value, Within, World, one

CHOSEN: Final = "star"
"""What `$account` stands for."""


def _minute(world: World, sign: int, account: str = "") -> int:
    last = world.known.within(60)
    return sum(e.change == sign and (not account or e.account == account) for e in last)


def _total(world: World, sign: int) -> int:
    return sum(e.change == sign for e in world.known.sent)


def _each(grain: str, part: str) -> Callable[[World], Mapping[str, Value]]:
    def of(world: World) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for name in world.known.accounts():
            gained, lost = world.known.account(name, grain)
            found[name] = {"gained": gained, "lost": lost, "net": gained - lost}[part]
        return found

    return of


def _followers(world: World) -> dict[str, Value]:
    return {name: base + world.known.net(name, "total") for name, base in BASELINES.items()}


def _ranked(sign: int) -> Callable[[World], Mapping[str, Value]]:
    def of(world: World) -> dict[str, Value]:
        nets = {name: world.known.net(name, "1h") for name in world.known.accounts()}
        ranked = sorted((sign * net for net in nets.values() if sign * net > 0), reverse=True)[:10]
        return {name: net for name, net in nets.items() if sign * net >= ranked[-1]}

    return of


def _surges(world: World) -> dict[str, Value]:
    names = world.known.accounts()
    return {name: world.known.surge(name, since_s=world.ready_s) for name in names}


def _lag(world: World) -> float:
    oldest = min(world.known.watermark_ms(p) for p in range(world.partitions))
    return world.known.at_s - oldest / 1_000


def _start_of_day(world: World) -> float:
    return BASELINES[CHOSEN] + world.known.net(CHOSEN, "total") - world.known.net(CHOSEN, "1d")


def _window(part: int, grain: str) -> Callable[[World], float]:
    return lambda world: world.known.account(CHOSEN, grain)[part]


_EDGE: Final = "one scrape at each end"
_RATE: Final = Within(0.1, 12, _EDGE)
_STAR: Final = Within(0.1, 6, _EDGE)
_Z: Final = Within(0.15, 1, _EDGE)
_CLOCK: Final = Within(0, 2, "a rule is up to a scrape old")
_ROUNDED: Final = Within(1e-9)

ACCOUNTS: Final[dict[str, Truth]] = {
    "Net per minute / A": one("net", lambda w: _minute(w, 1) - _minute(w, -1), _RATE),
    "Gained per minute / A": one("gained", lambda w: _minute(w, 1), _RATE),
    "Lost per minute / A": one("lost", lambda w: _minute(w, -1), _RATE),
    "Net since counting began / A": one("net", lambda w: _total(w, 1) - _total(w, -1)),
    "Accounts / A": one("accounts", lambda w: len(w.known.accounts())),
    "These numbers are behind by / A": one("behind", _lag, _CLOCK),
    "Ebb and flow of all accounts / A": one("gained", lambda w: _minute(w, 1), _RATE),
    "Ebb and flow of all accounts / B": one("lost", lambda w: -_minute(w, -1), _RATE),
    "Ebb and flow of all accounts / C": one("net", lambda w: _minute(w, 1) - _minute(w, -1), _RATE),
    "Gained and lost since counting began / A": one("gained", lambda w: _total(w, 1)),
    "Gained and lost since counting began / B": one("lost", lambda w: _total(w, -1)),
    "Top gainers this hour / A": Truth(_ranked(1), some=10),
    "Top losers this hour / A": Truth(_ranked(-1), some=10),
    "Surges and declines / A": Truth(_surges, _Z, some=10),
    "Net by account, this hour so far / A": Truth(_ranked(1), some=10),
    "Accounts shown, this hour / A": Truth(_each("1h", "gained"), some=20),
    "Accounts shown, this hour / B": Truth(_each("1h", "lost"), some=20),
    "Accounts shown, this hour / C": Truth(_each("1h", "net"), some=20),
    "Accounts shown, this hour / D": Truth(_each("1d", "net"), some=20),
    "Accounts shown, this hour / E": Truth(_each("total", "net"), some=20),
    "Accounts shown, this hour / F": Truth(_followers),
}

ONE_ACCOUNT: Final[dict[str, Truth]] = {
    "Followers / A": one("followers", lambda w: _followers(w)[CHOSEN]),
    "Net this minute / A": one("net", lambda w: w.known.net(CHOSEN, "1m")),
    "Net this hour / A": one("net", lambda w: w.known.net(CHOSEN, "1h")),
    "Net today / A": one("net", lambda w: w.known.net(CHOSEN, "1d")),
    "Net since counting began / A": one("net", lambda w: w.known.net(CHOSEN, "total")),
    "Surge (z) / A": one("z", lambda w: _surges(w)[CHOSEN], _Z),
    "Ebb and flow of $account / A": one("gained", lambda w: _minute(w, 1, CHOSEN), _STAR),
    "Ebb and flow of $account / B": one("lost", lambda w: -_minute(w, -1, CHOSEN), _STAR),
    "Ebb and flow of $account / C": one(
        "net", lambda w: _minute(w, 1, CHOSEN) - _minute(w, -1, CHOSEN), _STAR
    ),
    "Today so far / A": one("gained", _window(0, "1d")),
    "Today so far / B": one("lost", lambda w: -_window(1, "1d")(w)),
    "Today so far / C": one("net", lambda w: w.known.net(CHOSEN, "1d")),
    "Followers over time / A": one("followers", lambda w: _followers(w)[CHOSEN]),
    "Growth today / A": one(
        "growth", lambda w: w.known.net(CHOSEN, "1d") / _start_of_day(w), _ROUNDED
    ),
    "Churn today / A": one("churn", lambda w: _window(1, "1d")(w) / _start_of_day(w), _ROUNDED),
    "Lost per gained, this hour / A": one(
        "ratio", lambda w: _window(1, "1h")(w) / _window(0, "1h")(w), _ROUNDED
    ),
}
