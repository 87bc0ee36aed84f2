"""Tallies, from which metrics are made. They decide nothing, and must not mislead an operator."""

from __future__ import annotations

from tests.support.small_log import Counted


def replayed(*actions: str) -> Counted:
    """At least once: the commit after these events was lost, their rows were not."""
    counted = Counted()
    start = counted.seal()
    for action in actions:
        counted.event(0, action)
    counted.seal()
    counted.sealed = start
    again = counted.restarted()
    for action in actions:
        again.event(0, action)
    return again


def test_follows_and_unfollows_are_tallied_by_action() -> None:
    counted = Counted()
    for action in ("follow", "unfollow", "unfollow"):
        counted.event(0, action)
    assert (counted.engine.tally.followed, counted.engine.tally.unfollowed) == (1, 2)


def test_baselines_duplicates_and_heartbeats_are_neither_follows_nor_unfollows() -> None:
    counted = Counted()
    counted.baseline(0, 5, event_id="same")
    counted.baseline(0, 5, event_id="same")
    counted.heartbeat(0)
    assert (counted.engine.tally.followed, counted.engine.tally.unfollowed) == (0, 0)


def test_a_late_unfollow_is_tallied_as_an_unfollow() -> None:
    counted = Counted()
    counted.heartbeat(5_000)
    counted.event(0, "unfollow")
    assert counted.counts() == {"late": 1, "heartbeat": 1}
    assert (counted.engine.tally.followed, counted.engine.tally.unfollowed) == (0, 1)


def test_a_replayed_follow_is_tallied_as_a_follow() -> None:
    tally = replayed("follow").engine.tally
    assert (tally.followed, tally.unfollowed) == (1, 0)


def test_a_replayed_unfollow_is_tallied_as_an_unfollow() -> None:
    tally = replayed("unfollow").engine.tally
    assert (tally.followed, tally.unfollowed) == (0, 1)


def sums(counted: Counted) -> tuple[int, int]:
    return counted.engine.table_gained, counted.engine.table_lost


def test_the_sums_of_the_table_are_those_of_its_rows_whatever_is_replayed() -> None:
    assert sums(replayed("follow", "unfollow", "unfollow")) == (1, 2)


def test_a_late_event_is_in_the_sums_and_a_duplicate_is_not() -> None:
    counted = Counted()
    counted.event(5_000)
    counted.event(0, event_id="late")
    counted.event(0, event_id="late")
    assert sums(counted) == (2, 0)


def test_what_is_forgotten_leaves_the_sums() -> None:
    counted = Counted()
    counted.event(0)
    counted.event(1, "unfollow")
    counted.seal()
    counted.forget(2)
    assert sums(counted) == (0, 0)


def test_open_windows_are_those_that_are_not_published_yet() -> None:
    counted = Counted()
    counted.event(0)
    counted.seal()
    assert counted.engine.open_windows == 1
    counted.heartbeat(5_000)
    counted.seal_all()
    assert counted.engine.open_windows == 0


def test_every_id_is_remembered_once_while_two_generations_hold_it() -> None:
    counted = Counted()
    for second in range(3):
        counted.event(second)
    assert counted.engine.remembered_ids == 3


def test_all_rows_can_be_measured() -> None:
    counted = Counted()
    counted.event(0)
    assert counted.engine.packed_rows() == []
    counted.seal()
    assert [len(row) > 20 for row in counted.engine.packed_rows()] == [True]
