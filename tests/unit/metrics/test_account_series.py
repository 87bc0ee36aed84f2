"""Series of single accounts: which have them, for how long, and never more than the limit."""

from __future__ import annotations

import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from service.contract.input_record import LogRecord
from service.contract.results import Source
from service.counting import Checkpoint, Counts, Engine, Rules
from service.counting.checkpoint import SweepPosition
from service.counting.rows import Row, to_record, windows_by_name
from service.metrics.account_series import STAYS_S, AccountSeries
from service.settings import Settings

T0 = 1_700_000_000_000
TOP = 3


class Clock:
    """Seconds, as a test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10  # every look is a new one
        return self.now


class Counted:
    """One partition with its series."""

    def __init__(self, **changes: Any) -> None:
        """`changes`: of the settings."""
        self.engine = Engine(Rules(), Source("follow-events", 0))
        self.clock = Clock()
        shards: Any = [SimpleNamespace(partition=0, engine=self.engine, is_running=True)]
        settings = Settings(**{"top_accounts": TOP, **changes})
        self.series = AccountSeries(settings, 4, shards, now=self.clock)
        self.offset = 0

    def count(self, events: Iterable[tuple[str, int]], at: int = T0) -> None:
        """Count events. Each is (account, net): `net` follows, or unfollows if it is below 0."""
        records = []
        for account, net in events:
            action = "follow" if net > 0 else "unfollow"
            records += [self.record(account, action, at) for _ in range(abs(net))]
        self.engine.apply(records, self.offset)
        self.engine.seal()

    def baseline(self, account: str, followers: int) -> None:
        """Say how many there were."""
        record = self.record(account, "baseline", T0, followers=followers)
        self.engine.apply([record], self.offset)
        self.engine.seal()

    def record(self, account: str, action: str, at: int, **more: Any) -> LogRecord:
        """Build the next record."""
        body = {"event_id": f"e{self.offset}", "account_id": account, "action": action}
        body |= {"occurred_at": at, **(more or {"follower_id": "f"})}  # type: ignore[dict-item]
        self.offset += 1
        key, value = account.encode(), json.dumps(body).encode()
        return LogRecord(self.offset - 1, at, key, value, [])

    def samples(self) -> dict[tuple[str, ...], float]:
        """Return the value of each (name, account, grain)."""
        found = {}
        for family in self.series.collect():
            for sample in family.samples:
                found[
                    sample.name.removeprefix("netfollowers_account_"), *sample.labels.values()
                ] = sample.value
        return found

    def accounts(self) -> set[str]:
        """Return the accounts that have series."""
        return {name[1] for name in self.samples() if name[0] == "net"}


def test_the_leaders_of_the_hour_have_series_and_nobody_else() -> None:
    counted = Counted()
    counted.count([(f"up{n}", n) for n in range(1, 9)])
    counted.count([(f"down{n}", -n) for n in range(1, 9)])
    assert counted.accounts() == {"up6", "up7", "up8", "down6", "down7", "down8"}


def test_the_values_are_those_of_the_current_windows_and_of_all_time() -> None:
    counted = Counted()
    counted.count([("a", 5), ("a", -2)])
    counted.count([("a", 3)], at=T0 + 120_000)
    found = counted.samples()
    assert [found["net", "a", grain] for grain in ("1m", "1h", "1d", "total")] == [3, 6, 6, 6]
    assert [found["gained", "a", grain] for grain in ("1m", "1h", "total")] == [3, 8, 8]
    assert [found["lost", "a", grain] for grain in ("1m", "1h", "total")] == [0, 2, 2]
    counted.count([("b", 1)], at=T0 + 240_000)
    assert counted.samples()["net", "a", "1m"] == 0, "its window is over"


def test_followers_are_there_with_a_baseline_only() -> None:
    counted = Counted()
    counted.count([("a", 5), ("b", 4)])
    counted.baseline("a", 1_000)
    counted.count([("a", 2)])
    found = counted.samples()
    assert found["followers", "a"] == 1_002
    assert ("followers", "b") not in found


def test_who_falls_behind_keeps_its_series_for_a_while_and_then_loses_it() -> None:
    counted = Counted()
    counted.count([(f"a{n}", n) for n in range(1, 4)])
    assert counted.accounts() == {"a1", "a2", "a3"}
    counted.count([(f"b{n}", 50 + n) for n in range(3)])
    assert counted.accounts() == {"a1", "a2", "a3", "b0", "b1", "b2"}, "still among the first 2 K"
    counted.count([(f"c{n}", 90 + n) for n in range(3)])
    assert counted.accounts() >= {"a1", "a2", "a3"}, "not at once"
    counted.clock.now += STAYS_S
    counted.accounts()
    counted.clock.now += STAYS_S
    assert not counted.accounts() & {"a1", "a2", "a3"}
    assert counted.accounts() == {"b0", "b1", "b2", "c0", "c1", "c2"}


def test_the_watch_list_comes_first_and_an_account_without_a_row_is_at_0() -> None:
    """It is exported by the worker that runs its partition: `w` lies in partition 2 of 4."""
    counted = Counted(watch="quiet, never-seen, w", top_accounts=0)
    counted.count([("quiet", 1), ("loud", 9)])
    assert counted.accounts() == {"quiet", "never-seen"}
    samples = counted.samples()
    assert {found for name, found in samples.items() if "never-seen" in name} == {0}
    assert len([name for name in samples if "never-seen" in name]) == 3 * 4
    counted.count([("never-seen", 2)])
    assert counted.samples()["net", "never-seen", "total"] == 2


def test_there_are_never_more_series_than_the_limit_with_many_accounts() -> None:
    counted = Counted(
        watch=",".join(f"acct-{n}" for n in range(1_000)), top_accounts=50,
        account_series_limit=120,
    )  # fmt: skip
    hour = T0 - T0 % 3_600_000
    row = Row(1, 0, None, None, T0, 0, [[], [[hour, 1, 0, 0]], []])
    counted.engine.restore(Checkpoint(1, T0, Counts(), SweepPosition(), counted.engine.settings))
    keys = (f"acct-{n}".encode() for n in range(100_000))
    counted.engine.load(
        (key, to_record(key, row, windows_by_name(("1m", "1h", "1d")))) for key in keys
    )
    assert counted.engine.accounts == 100_000
    found = counted.samples()
    exported = [name for name in found if name[0] in ("net", "gained", "lost", "followers")]
    assert len(exported) == found["series",] == 120
    assert found["series_limit",] == 120
    assert counted.accounts() == {f"acct-{n}" for n in range(10)}, "12 series each, in its order"


def test_none_are_wanted() -> None:
    counted = Counted(top_accounts=0)
    counted.count([("a", 5)])
    assert counted.accounts() == set()
    assert counted.samples()["series",] == 0
