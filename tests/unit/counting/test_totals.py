"""Totals, baselines and duplicates."""

from __future__ import annotations

import json

import pytest

from service.contract.input_record import LogRecord
from service.contract.results import Source
from service.counting import Checkpoint, Engine, Grain, Rules
from tests.support.small_log import ONE_MINUTE, T0, Counted

FOUR = Rules(grains=(Grain.parse("1m:30s:15m"),), dedup_generation=4)


def row(counted: Counted) -> tuple[object, ...]:
    counted.seal()
    found = counted.rows["a"]
    return found["gained"], found["lost"], found["net"], found["followers"]


def test_net_is_gained_minus_lost() -> None:
    counted = Counted()
    for action in ("follow", "follow", "unfollow", "unfollow", "unfollow"):
        counted.event(0, action)
    assert row(counted) == (2, 3, -1, None)


def test_followers_is_unknown_until_a_baseline_and_then_counts_from_it() -> None:
    counted = Counted()
    counted.event(0)
    assert row(counted) == (1, 0, 1, None)
    counted.baseline(1, 100)
    assert row(counted) == (1, 0, 1, 100)
    counted.event(2)
    counted.event(3, "unfollow")
    counted.event(4)
    assert row(counted) == (3, 1, 2, 101)


def test_a_later_baseline_replaces_the_earlier() -> None:
    counted = Counted()
    counted.baseline(1, 100)
    counted.event(2)
    counted.baseline(3, 7)
    counted.event(4)
    assert row(counted) == (2, 0, 2, 8)


def test_a_baseline_is_never_late_and_has_no_window() -> None:
    counted = Counted()
    counted.heartbeat(100_000)
    counted.baseline(0, 100)
    assert row(counted)[3] == 100
    assert counted.rows["a"]["windows"] == {"1m": []}
    assert counted.rows["a"]["last_event_ms"] == T0
    assert counted.counts() == {"applied": 1, "heartbeat": 1}


def test_a_baseline_sent_twice_is_a_duplicate() -> None:
    counted = Counted()
    counted.baseline(0, 100, event_id="b")
    counted.event(1)
    counted.baseline(0, 100, event_id="b")
    assert row(counted)[3] == 101
    assert counted.counts() == {"applied": 2, "duplicate": 1}


def test_a_replayed_baseline_changes_no_row() -> None:
    counted = Counted()
    start = counted.seal().checkpoint
    counted.baseline(0, 100)
    counted.seal()
    engine = Engine(ONE_MINUTE, Source("follow-events", 3))
    engine.restore(start)
    engine.load((n.encode(), json.dumps(r).encode()) for n, r in counted.rows.items())
    again = Counted(engine=engine)
    again.baseline(0, 5)
    assert row(again)[3] == 100


def test_an_id_is_remembered_to_the_end_of_the_next_generation_and_no_longer() -> None:
    # offsets [0 1 2 3)[4 5 6 7)[8 ...
    counted = Counted(FOUR)
    counted.event(0, event_id="x")
    for _ in range(6):
        counted.event(0)
    counted.event(0, event_id="x")  # offset 7: generation 0 is the previous one
    assert counted.counts() == {"applied": 7, "duplicate": 1}
    counted = Counted(FOUR)
    counted.event(0, event_id="x")
    for _ in range(7):
        counted.event(0)
    counted.event(0, event_id="x")  # offset 8: generation 0 is forgotten
    assert counted.counts() == {"applied": 9}


def test_a_duplicate_is_remembered_from_its_own_offset_on() -> None:
    counted = Counted(FOUR)
    counted.event(0, event_id="x")
    for _ in range(4):
        counted.event(0)
    counted.event(0, event_id="x")  # offset 5
    for _ in range(4):
        counted.event(0)
    counted.event(0, event_id="x")  # offset 10: generation 1 is the previous one
    assert counted.counts() == {"applied": 9, "duplicate": 2}


def test_the_id_of_a_rejected_record_does_not_count_as_seen() -> None:
    counted = Counted()
    counted.event(0, event_id="x", action="like")
    counted.event(0, event_id="x")
    assert counted.counts() == {"applied": 1, "rejected": 1}


def test_an_id_under_another_account_is_a_duplicate_and_counted_apart() -> None:
    counted = Counted(FOUR)
    counted.event(0, event_id="1", account="a")
    counted.event(0, event_id="1", account="b")
    assert counted.engine.tally.ids_under_two_accounts == 1
    counted.event(0, event_id="1", account="b")
    assert counted.engine.tally.ids_under_two_accounts == 1
    assert counted.counts() == {"applied": 1, "duplicate": 2}


def test_a_gap_of_a_whole_generation_forgets_both() -> None:
    counted = Counted(FOUR)
    counted.event(0, event_id="x")
    counted.offset = 9
    counted.event(0, event_id="x")
    assert counted.counts() == {"applied": 2}


@pytest.mark.parametrize("cut", range(1, 14))
def test_what_is_read_again_is_what_would_have_been_remembered(cut: int) -> None:
    ids = ["a", "b", "a", "c", "d", "b", "e", "a", "f", "c", "g", "e", "b", "h", "a", "g", "d", "b"]
    live = Counted(FOUR)
    for name in ids:
        live.event(0, event_id=name)
    first = Counted(FOUR)
    for name in ids[:cut]:
        first.event(0, event_id=name)
    checkpoint = first.seal().checkpoint
    engine = Engine(FOUR, Source("follow-events", 3))
    engine.restore(Checkpoint.from_metadata(checkpoint.position, checkpoint.to_metadata()))
    engine.load((n.encode(), json.dumps(r).encode()) for n, r in first.rows.items())
    wanted = range(engine.replay_from(checkpoint), cut)
    assert len(wanted) < 8
    engine.remember(
        LogRecord(offset, -1, b"a", json.dumps({
            "event_id": ids[offset], "account_id": "a", "follower_id": "f", "action": "follow",
            "occurred_at": T0,
        }).encode())
        for offset in wanted
    )  # fmt: skip
    second = Counted(engine=engine)
    for name in ids[cut:]:
        second.event(0, event_id=name)
    assert second.counts() == live.counts()


def test_events_by_action_and_rejections_by_reason_are_tallied() -> None:
    counted = Counted()
    counted.event(0)
    counted.event(0, "unfollow")
    counted.event(0, "like")
    assert (counted.engine.tally.followed, counted.engine.tally.unfollowed) == (1, 1)
    assert counted.engine.tally.rejected_by_reason == {"unknown_action": 1}
