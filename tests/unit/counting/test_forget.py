"""An account that is forgotten, or has had no events for too long: nothing of it is left.

Grain 1m: a window [0----60) s is final at 90 s (grace 30) and kept until 960 s (15 min).
"""

from __future__ import annotations

import pytest

from service.contract.input_record import Forget, LogRecord, Reason, Rejection, judge
from service.counting import Grain, Rules
from tests.support.small_log import ONE_MINUTE, T0, Counted

KEPT_S = 960
EXPIRING = Rules(grains=ONE_MINUTE.grains, expire_after_ms=3_600_000)
HOUR_S = 3_600


def totals(counted: Counted) -> tuple[object, ...]:
    found = counted.rows["a"]
    return found["gained"], found["lost"], found["net"], found["followers"]


def windows(counted: Counted) -> list[list[int]]:
    return [[(w[0] - T0) // 1_000, *w[1:]] for w in counted.rows["a"]["windows"]["1m"]]


# ---- forget


def test_a_forgotten_account_without_kept_windows_becomes_a_tombstone() -> None:
    counted = Counted()
    counted.event(0)
    counted.baseline(1, 100)
    counted.seal()
    counted.forget(2)
    counted.seal()
    assert totals(counted) == (0, 0, 0, None)
    assert counted.tombstones == [], "its offset guards a replay until this seal is durable"
    counted.seal_all()
    assert counted.tombstones == ["a"]
    assert counted.rows == {}
    assert counted.engine.accounts == 0
    assert counted.counts() == {"applied": 3}


def test_what_comes_after_it_in_the_log_counts_anew() -> None:
    counted = Counted()
    counted.baseline(0, 100)
    counted.event(0)
    counted.forget(1)
    counted.event(2, "unfollow")
    counted.seal()
    assert totals(counted) == (0, 1, -1, None)
    assert windows(counted) == [[0, 0, 1, 0]]
    assert counted.tombstones == []


def test_an_open_window_vanishes_and_nothing_of_it_is_published() -> None:
    counted = Counted()
    counted.event(0)
    counted.forget(1)
    counted.heartbeat(100)
    counted.seal_all()
    assert counted.results() == []


def test_a_final_window_becomes_empty_in_a_revision_of_its_own() -> None:
    counted = Counted()
    counted.event(0)
    counted.heartbeat(90)
    counted.seal_all()
    counted.forget(91)
    assert counted.results() == [("a", 0, 1, 0, 0), ("a", 0, 0, 0, 1)]
    assert totals(counted) == (0, 0, 0, None)
    assert windows(counted) == [[0, 0, 0, 1]]
    assert counted.rows["a"]["last_event_ms"] == 0


def test_an_empty_row_ends_when_its_last_window_is_past_keep() -> None:
    counted = Counted()
    counted.event(0)
    counted.heartbeat(90)
    counted.forget(91)
    counted.seal_all()
    counted.heartbeat(KEPT_S - 1)
    counted.seal_all()
    assert "a" in counted.rows
    counted.heartbeat(KEPT_S)
    assert counted.engine.has_unsealed
    counted.seal_all()
    assert counted.tombstones == ["a"]


def test_it_ends_after_a_restart_too() -> None:
    counted = Counted()
    counted.event(0)
    counted.heartbeat(90)
    counted.forget(91)
    counted.seal_all()
    counted = counted.restarted()
    counted.heartbeat(KEPT_S)
    counted.seal_all()
    assert counted.tombstones == ["a"]


def test_a_correction_after_it_goes_on_from_the_empty_revision() -> None:
    counted = Counted()
    counted.event(0)
    counted.heartbeat(90)
    counted.forget(91)
    counted.event(1, "unfollow")
    assert counted.results() == [("a", 0, 0, 1, 2)]
    counted.event(2, "unfollow")
    assert counted.results()[-1] == ("a", 0, 0, 2, 3)


def test_a_window_past_keep_that_waits_for_its_sweep_is_still_published() -> None:
    counted = Counted()
    counted.event(0)
    counted.heartbeat(KEPT_S)
    counted.forget(KEPT_S + 1)
    assert counted.results() == [("a", 0, 1, 0, 0)]
    counted.seal_all()
    assert counted.tombstones == ["a"]


def test_a_final_window_that_waits_for_its_sweep_is_published_empty() -> None:
    counted = Counted()
    counted.event(0)
    counted.heartbeat(90)
    counted.forget(91)
    assert counted.results() == [("a", 0, 0, 0, 1)]


def test_an_account_that_never_was_is_forgotten_without_a_trace() -> None:
    counted = Counted()
    counted.forget(0)
    counted.seal_all()
    assert counted.rows == {}
    assert counted.tombstones == []
    assert counted.counts() == {"applied": 1}


def test_a_window_that_was_forgotten_and_reopened_is_swept_with_what_it_holds_then() -> None:
    counted = Counted()
    counted.event(0)
    counted.event(1)
    counted.forget(2)
    counted.event(3)
    counted.heartbeat(90)
    assert counted.results() == [("a", 0, 1, 0, 0)]


def test_the_request_is_a_duplicate_when_it_comes_twice() -> None:
    counted = Counted()
    counted.forget(0, event_id="once")
    counted.event(1)
    counted.forget(2, event_id="once")
    counted.seal()
    assert totals(counted) == (1, 0, 1, None)
    assert counted.counts() == {"applied": 2, "duplicate": 1}


def test_its_id_is_remembered_after_a_restart() -> None:
    counted = Counted()
    counted.forget(0, event_id="once")
    counted.seal_all()
    counted = counted.restarted()
    counted.event(1)
    counted.forget(2, event_id="once")
    assert counted.counts() == {"applied": 2, "duplicate": 1}


def test_it_moves_no_time_and_is_never_late() -> None:
    """A request of today in a log of old events must not close their windows."""
    counted = Counted()
    counted.event(0)
    counted.forget(10**6)
    assert counted.engine.watermark_ms == T0
    counted.forget(-100_000)
    assert counted.counts() == {"applied": 3}


def test_a_replayed_request_erases_nothing_that_came_after_it() -> None:
    """At least once: the row has it already."""
    counted = Counted()
    counted.event(0)
    counted.seal()
    counted.forget(1)
    counted.event(2)
    before = counted.sealed
    counted.seal()
    assert before is not None
    counted.sealed = before  # the rows are there, the commit is lost
    again = counted.restarted()
    for record in counted.log[1:]:
        again.put(record.key, record.value)
    again.seal()
    assert totals(again) == (1, 0, 1, None)


def test_an_empty_row_ahead_of_the_commit_guards_the_replay_until_it_was_reached() -> None:
    """At least once, a seal torn past keep: without the row a late event would count again."""
    counted = Counted()
    counted.event(0)
    counted.heartbeat(90)
    counted.seal_all()
    before = counted.sealed
    counted.event(1)
    counted.forget(2)
    counted.heartbeat(KEPT_S)
    counted.seal()
    assert counted.rows["a"]["windows"] == {"1m": []}
    counted.sealed = before  # the row is there, the commit is lost
    again = counted.restarted()
    again.seal()  # before the first record
    assert again.tombstones == []
    late = counted.log[2]
    again.put(late.key, late.value)
    assert again.seal().windows == []


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (b',"follower_id":"f"', Reason.UNEXPECTED_FIELD),
        (b',"event_id":""', Reason.BAD_ID),
        (b',"occurred_at":"never"', Reason.BAD_TIME),
    ],
)
def test_what_is_wrong_with_a_request_is_named(more: bytes, reason: Reason) -> None:
    value = b'{"event_id":"e","account_id":"a","action":"forget","occurred_at":%d%s}' % (T0, more)
    verdict = judge(LogRecord(0, -1, b"a", value))
    assert isinstance(verdict, Rejection)
    assert verdict.reason is reason


def test_a_request_needs_no_follower() -> None:
    value = b'{"event_id":"e","account_id":"a","action":"forget","occurred_at":%d}' % T0
    assert judge(LogRecord(0, -1, b"a", value)) == Forget("e", "a", T0)


# ---- expiry


def test_a_row_without_events_for_too_long_becomes_a_tombstone() -> None:
    counted = Counted(EXPIRING)
    counted.event(0)
    counted.heartbeat(HOUR_S - 1)
    counted.seal_all()
    assert "a" in counted.rows
    counted.heartbeat(HOUR_S + HOUR_S // 64 + 1)
    counted.seal_all()
    assert counted.tombstones == ["a"]


def test_without_the_setting_no_row_ever_ends() -> None:
    counted = Counted()
    counted.event(0)
    counted.heartbeat(10_000 * HOUR_S)
    counted.seal_all()
    assert totals(counted) == (1, 0, 1, None)


@pytest.mark.parametrize("is_sealed", [False, True])
def test_an_event_after_the_time_counts_anew_whether_or_not_the_row_was_removed(
    *, is_sealed: bool
) -> None:
    counted = Counted(EXPIRING)
    counted.baseline(0, 50)
    counted.event(0)
    if is_sealed:
        counted.heartbeat(HOUR_S)
        counted.seal_all()
    counted.event(HOUR_S)
    counted.seal_all()
    assert totals(counted) == (1, 0, 1, None)
    assert counted.rows["a"]["last_event_ms"] == T0 + HOUR_S * 1_000


def test_a_baseline_after_the_time_stands_alone() -> None:
    counted = Counted(EXPIRING)
    counted.event(0)
    counted.baseline(HOUR_S, 9)
    counted.seal_all()
    assert totals(counted) == (0, 0, 0, 9)


def test_an_event_just_before_the_time_keeps_the_row() -> None:
    counted = Counted(EXPIRING)
    counted.event(0)
    counted.event(HOUR_S - 1)
    counted.heartbeat(2 * HOUR_S - 2)
    counted.seal_all()
    assert totals(counted) == (2, 0, 2, None)


def test_a_row_expires_after_a_restart_too() -> None:
    counted = Counted(EXPIRING)
    counted.event(0)
    counted.seal_all()
    counted = counted.restarted()
    counted.heartbeat(2 * HOUR_S)
    counted.seal_all()
    assert counted.tombstones == ["a"]


def test_an_old_event_on_an_expired_row_moves_its_end_back() -> None:
    """The row begins again with an older last event, so it has expired already."""
    counted = Counted(EXPIRING)
    counted.event(100)
    counted.seal_all()
    counted.heartbeat(100 + HOUR_S)
    counted.event(10)
    counted.seal_all()
    assert counted.tombstones == ["a"]


def test_its_last_windows_are_published_first() -> None:
    counted = Counted(EXPIRING)
    counted.event(0)
    counted.heartbeat(2 * HOUR_S)
    counted.seal_all()
    assert counted.results() == [("a", 0, 1, 0, 0)]
    assert counted.tombstones == ["a"]


def test_rows_end_in_slices() -> None:
    counted = Counted(EXPIRING)
    for number in range(10):
        counted.event(number * 60, account=f"a{number}")
    counted.seal_all()
    counted.heartbeat(3 * HOUR_S)
    counted.seal_all()
    assert sorted(counted.tombstones) == [f"a{number}" for number in range(10)]


def test_the_time_must_be_longer_than_any_window_is_kept() -> None:
    with pytest.raises(ValueError, match="expire_after"):
        Rules(grains=(Grain.parse("1m:30s:15m"),), expire_after_ms=959_999)
    least = Rules(grains=(Grain.parse("1m:30s:15m"),), expire_after_ms=960_000)
    assert least.expire_after_ms == 960_000


def test_only_a_setting_that_is_on_is_in_the_fingerprint() -> None:
    assert "expire_after_ms" not in ONE_MINUTE.fingerprint()
    assert EXPIRING.fingerprint()["expire_after_ms"] == 3_600_000
