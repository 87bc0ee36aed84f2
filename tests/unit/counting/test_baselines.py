"""A baseline was true at its own time: what is known to have happened since counts on top of it."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.results import Source
from service.counting import Engine, Grain, Rules
from tests.support.crash_harness import World
from tests.support.property_examples import many
from tests.support.random_log import random_log, small_rules
from tests.support.small_log import Counted

RULES = Rules(grains=(Grain.parse("1m:30s:15m"), Grain.parse("1h:1m:3h")))
MANY = many(60)
MINUTE_S = 60
KEPT_S = 16 * MINUTE_S
"""A minute's window and its keep."""


def followers(counted: Counted) -> int | None:
    """Followers of the account, when all is sealed."""
    counted.seal_all()
    found: int | None = counted.rows["a"]["followers"]
    return found


def test_what_came_after_its_time_and_before_it_counts_on_top() -> None:
    # [0m----)[1m----)[2m----)   the number is of minute 1, it arrives in minute 2
    counted = Counted(RULES)
    counted.event(10)
    counted.event(70)
    counted.event(130)
    counted.event(131, "unfollow")
    counted.event(132)
    counted.baseline(60, 1_000)
    assert followers(counted) == 1_002
    assert counted.rows["a"]["net"] == 3
    assert counted.rows["a"]["baseline_ms"] == counted.rows["a"]["last_event_ms"] - 72_000
    counted.event(140)
    assert followers(counted) == 1_003
    assert counted.engine.tally.baselines_uncertain == 0


def test_of_the_window_that_holds_its_time_nothing_counts_and_that_is_said() -> None:
    # [1m--b-e-)[2m----)
    counted = Counted(RULES)
    counted.event(110)
    counted.event(130)
    counted.baseline(100, 1_000)
    assert followers(counted) == 1_001
    assert counted.engine.tally.baselines_uncertain == 1


def test_a_window_past_keep_that_holds_its_time_is_said_too() -> None:
    """[0m-b-e) is past keep at 16m, though the time of the baseline is within 16m of it."""
    counted = Counted(RULES)
    counted.event(50)
    counted.heartbeat(KEPT_S + 15)
    counted.baseline(30, 1_000)
    assert followers(counted) == 1_000
    assert counted.engine.tally.baselines_uncertain == 1


@pytest.mark.parametrize("now_s", [31, KEPT_S, 100_000])
def test_there_is_no_doubt_where_no_event_is_as_late_as_its_time(now_s: int) -> None:
    counted = Counted(RULES)
    counted.event(29)
    counted.heartbeat(now_s)
    counted.baseline(30, 1_000)
    assert followers(counted) == 1_000
    assert counted.engine.tally.baselines_uncertain == 0


def test_nothing_in_that_window_leaves_no_doubt() -> None:
    counted = Counted(RULES)
    counted.event(10)
    counted.event(130)
    counted.baseline(100, 1_000)
    assert followers(counted) == 1_001
    assert counted.engine.tally.baselines_uncertain == 0


@pytest.mark.parametrize(("now_s", "is_kept"), [(KEPT_S + 59, True), (KEPT_S + 60, False)])
def test_it_reaches_as_far_back_as_windows_are_kept(now_s: int, *, is_kept: bool) -> None:
    """To the millisecond of keep: [1m----) is kept until 17m, whether it was sealed or not."""
    for is_sealed in (False, True):
        counted = Counted(RULES)
        counted.event(61)
        counted.heartbeat(now_s)
        if is_sealed:
            counted.seal_all()
        counted.baseline(60, 1_000)
        assert followers(counted) == (1_001 if is_kept else 1_000)
        assert counted.engine.tally.baselines_uncertain == (not is_kept)


def test_an_event_that_comes_behind_it_and_happened_before_its_time_is_contained() -> None:
    counted = Counted(RULES)
    counted.baseline(60, 1_000)
    counted.event(30)
    counted.event(59.999, "unfollow")
    counted.event(20)
    assert followers(counted) == 1_000
    assert counted.rows["a"]["net"] == 1
    counted.event(60)
    assert followers(counted) == 1_001


def test_a_late_event_is_told_by_its_own_time_too() -> None:
    counted = Counted(RULES)
    counted.baseline(60, 1_000)
    counted.heartbeat(100_000)
    counted.event(61)
    counted.event(59)
    assert followers(counted) == 1_001
    assert counted.counts() == {"applied": 1, "late": 2, "heartbeat": 1}


def test_one_that_is_older_than_the_last_is_counted_and_ignored() -> None:
    counted = Counted(RULES)
    counted.baseline(100, 1_000)
    counted.event(130)
    counted.baseline(99, 5)
    assert counted.counts() == {"applied": 3}
    assert followers(counted) == 1_001
    assert counted.engine.tally.baselines_ignored == 1
    counted.baseline(100, 2_000)
    assert followers(counted) == 2_001


def test_a_new_account_takes_an_old_baseline_as_it_is() -> None:
    counted = Counted(RULES)
    counted.heartbeat(100_000)
    counted.baseline(0, 7)
    counted.event(100_001)
    assert followers(counted) == 8
    assert counted.engine.tally.baselines_uncertain == 0


def test_its_time_is_restored_with_the_row() -> None:
    counted = Counted(RULES)
    counted.baseline(100, 1_000)
    counted.seal()
    counted = counted.restarted()
    counted.baseline(99, 5)
    assert followers(counted) == 1_000


def test_a_forget_forgets_its_time_too() -> None:
    counted = Counted(RULES)
    counted.baseline(100, 1_000)
    counted.forget(101)
    counted.baseline(50, 5)
    assert followers(counted) == 5


def test_a_row_without_a_baseline_has_no_time_of_one() -> None:
    counted = Counted(RULES)
    counted.event(0)
    counted.seal()
    assert "baseline_ms" not in counted.rows["a"]


def test_by_version_1_of_the_rules_it_begins_at_its_arrival() -> None:
    counted = Counted(RULES, Engine(RULES, Source("follow-events", 3), version=1))
    counted.event(130)
    counted.baseline(60, 1_000)
    counted.baseline(50, 2_000)
    assert followers(counted) == 2_000
    assert "baseline_ms" not in counted.rows["a"]


def test_followers_below_zero_are_a_contradiction_until_a_baseline_mends_it() -> None:
    counted = Counted(RULES)
    counted.baseline(0, 1)
    counted.event(1, "unfollow")
    counted.seal()
    assert counted.engine.below_zero == frozenset()
    counted.event(2, "unfollow")
    counted.seal()
    assert counted.engine.below_zero == {b"a"}
    assert counted.rows["a"]["followers"] == -1
    counted = counted.restarted()
    assert counted.engine.below_zero == {b"a"}
    counted.baseline(120, 50)
    counted.seal()
    assert counted.engine.below_zero == frozenset()


@pytest.mark.parametrize("how", ["forget", "expiry"])
def test_an_account_that_ends_contradicts_nothing(how: str) -> None:
    rules = Rules(grains=(RULES.grains[0],), expire_after_ms=3_600_000)
    counted = Counted(rules)
    counted.baseline(0, 0)
    counted.event(1, "unfollow")
    counted.seal_all()
    assert counted.engine.below_zero == {b"a"}
    if how == "forget":
        counted.forget(2)
    else:
        counted.heartbeat(3 * 3_600)
    counted.seal_all()
    assert counted.engine.below_zero == frozenset()


def test_what_is_older_than_the_expiry_time_is_counted_and_said() -> None:
    counted = Counted(Rules(grains=(RULES.grains[0],), expire_after_ms=3_600_000))
    counted.heartbeat(10_000)
    counted.baseline(0, 5)
    counted.event(1)
    counted.event(9_000)
    counted.seal_all()
    assert counted.engine.tally.expired_on_arrival == 2
    assert counted.rows["a"]["gained"] == 1


@MANY
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_neither_seals_nor_restarts_decide_what_a_baseline_means(seed: int, other: int) -> None:
    random = Random(seed)
    rules, log = small_rules(random), random_log(random, 150)
    worlds = []
    for life in (seed, other):
        world = World(rules, log, new_engine=partial(Engine))
        world.run(Random(life))
        worlds.append({key: value for key, value in world.rows.items() if b"baseline_ms" in value})
        assert world.findings().ok
    names = (b"followers", b"net_at_baseline", b"baseline_ms")
    first, second = ({k: [part for part in v.split(b",") if any(n in part for n in names)]
                      for k, v in one.items()} for one in worlds)  # fmt: skip
    assert first == second
