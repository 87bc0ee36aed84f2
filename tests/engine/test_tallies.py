"""Tallies: what metrics are made of; they decide nothing, and must not mislead who watches."""

from __future__ import annotations

from tests.engine.logs import Counted


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
    counted.event(0, "unfollow", event_id="same")
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
