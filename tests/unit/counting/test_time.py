"""Event time, clamp, watermark, and when a window is open, final, kept and late."""

from __future__ import annotations

import pytest

from service.contract.input_record import MAX_EVENT_MS, MIN_EVENT_MS, epoch_ms
from service.contract.rule_versions import MORE_SPELLINGS
from service.counting import Rules
from tests.support.small_log import HOUR, MINUTE, SECOND, T0, Counted


def test_an_event_on_the_boundary_belongs_to_the_later_window() -> None:
    # [0----60)[60----120)
    counted = Counted()
    counted.event(59.999)
    counted.event(60)
    counted.seal()
    assert counted.rows["a"]["windows"]["1m"] == [[T0, 1, 0, 0], [T0 + MINUTE, 1, 0, 0]]


def test_windows_are_aligned_to_utc_whatever_came_first() -> None:
    counted = Counted(Rules())
    counted.event(1)
    counted.seal()
    windows = counted.rows["a"]["windows"]
    assert [windows[grain][0][0] % size for grain, size in (("1m", MINUTE), ("1h", HOUR))] == [0, 0]
    assert windows["1d"][0][0] % (24 * HOUR) == 0


def test_a_window_is_final_exactly_at_its_end_and_grace() -> None:
    # [0----60) + 30
    counted = Counted()
    counted.event(10)
    counted.event(89.999, account="b")
    assert counted.results() == []
    counted.event(90, account="b")
    assert counted.results() == [("a", 0, 1, 0, 0)]


def test_an_event_is_late_exactly_when_its_window_is_not_kept_any_more() -> None:
    # [0----60) + 900
    counted = Counted()
    counted.heartbeat(959.999)
    counted.event(10)
    assert counted.counts() == {"applied": 1, "heartbeat": 1}
    counted.heartbeat(960)
    counted.event(10)
    assert counted.counts() == {"applied": 1, "late": 1, "heartbeat": 2}


def test_a_late_event_counts_in_the_totals_and_in_the_grains_that_keep_it() -> None:
    counted = Counted(Rules())
    counted.heartbeat(1_000)
    counted.event(10)
    counted.seal()
    row = counted.rows["a"]
    assert row["gained"] == 1
    assert row["windows"]["1m"] == []
    assert [window[1] for window in row["windows"]["1h"]] == [1]
    assert counted.late[0]["netfollowers-grains-missed"] == "1m"
    assert counted.engine.tally.late_by_grain == {"1m": 1}


def test_a_late_record_says_where_it_was_and_why() -> None:
    counted = Counted()
    counted.heartbeat(5_000)
    counted.event(10)
    counted.seal()
    assert counted.late == [
        {
            "netfollowers-source-topic": "follow-events",
            "netfollowers-source-partition": "3",
            "netfollowers-source-offset": "1",
            "netfollowers-event-time-ms": str(T0 + 10 * SECOND),
            "netfollowers-watermark-ms": str(T0 + 5_000 * SECOND),
            "netfollowers-grains-missed": "1m",
        }
    ]


@pytest.mark.parametrize(("ahead_s", "counts_at_s"), [(10, 110), (10.001, 100), (10**9, 100)])
def test_an_event_from_the_future_counts_at_its_log_time(ahead_s: float, counts_at_s: int) -> None:
    counted = Counted()
    counted.event(100 + ahead_s, stamp=T0 + 100 * SECOND)
    assert counted.engine.watermark_ms == T0 + counts_at_s * SECOND
    assert counted.engine.tally.clamped == (counts_at_s == 100)


def test_without_a_log_time_nothing_is_clamped() -> None:
    counted = Counted()
    counted.event(10**6, stamp=-1)
    assert counted.engine.watermark_ms == T0 + 10**9
    assert counted.engine.tally.clamped == 0


def test_heartbeats_and_baselines_are_clamped_like_events() -> None:
    counted = Counted()
    counted.heartbeat(10**6, stamp=T0)
    assert counted.engine.watermark_ms == T0
    counted.baseline(10**6, 5, stamp=T0 + SECOND)
    assert counted.engine.watermark_ms == T0 + SECOND
    assert counted.engine.tally.clamped == 2


def test_the_watermark_never_goes_back() -> None:
    counted = Counted()
    counted.event(100)
    counted.event(50)
    counted.heartbeat(20)
    assert counted.engine.watermark_ms == T0 + 100 * SECOND


def test_late_events_duplicates_and_rejected_records_do_not_move_the_watermark() -> None:
    counted = Counted()
    counted.event(0, event_id="same")
    counted.event(500, event_id="same")
    counted.event(500, action="like")
    assert counted.engine.watermark_ms == T0
    assert counted.counts() == {"applied": 1, "duplicate": 1, "rejected": 1}


def test_silence_makes_nothing_final_and_a_heartbeat_does() -> None:
    counted = Counted()
    counted.event(10)
    assert counted.results() == []
    counted.heartbeat(90)
    assert counted.results() == [("a", 0, 1, 0, 0)]
    assert counted.counts() == {"applied": 1, "heartbeat": 1}


def test_a_baseline_moves_the_watermark() -> None:
    counted = Counted()
    counted.baseline(100, 5)
    assert counted.engine.watermark_ms == T0 + 100 * SECOND


def test_a_late_event_leaves_the_watermark_where_it_is() -> None:
    counted = Counted()
    counted.event(5_000)
    counted.event(0)
    assert counted.counts() == {"applied": 1, "late": 1}
    assert counted.engine.watermark_ms == T0 + 5_000 * SECOND


def test_a_duplicate_baseline_and_a_rejected_heartbeat_do_not_move_the_watermark() -> None:
    counted = Counted()
    counted.baseline(0, 5, event_id="same")
    counted.baseline(500, 5, event_id="same")
    counted.heartbeat(10**15)
    assert counted.engine.watermark_ms == T0
    assert counted.counts() == {"applied": 1, "duplicate": 1, "rejected": 1}


def test_before_the_first_event_there_is_no_watermark() -> None:
    counted = Counted()
    counted.put(None, b"?")
    assert counted.engine.watermark_ms == -1


@pytest.mark.parametrize("ahead_ms", [10_000, 10_001])
def test_the_clamp_is_the_same_to_the_millisecond_for_all_that_move_time(ahead_ms: int) -> None:
    at_s, due_ms = ahead_ms / 1_000, T0 + (ahead_ms if ahead_ms == 10_000 else 0)
    for put in (Counted.event, Counted.heartbeat):
        counted = Counted()
        put(counted, at_s, stamp=T0)
        assert counted.engine.watermark_ms == due_ms
    counted = Counted()
    counted.baseline(at_s, 5, stamp=T0)
    assert counted.engine.watermark_ms == due_ms


def test_a_clamped_event_counts_in_the_window_of_its_log_time() -> None:
    # [0----60)[60----120)
    counted = Counted()
    counted.event(70, stamp=T0 + 59_999)
    counted.event(69.999, stamp=T0 + 59_999)  # exactly at max_ahead
    counted.event(3_600, stamp=T0 + 59_999)
    counted.seal()
    assert counted.rows["a"]["windows"]["1m"] == [[T0, 2, 0, 0], [T0 + MINUTE, 1, 0, 0]]


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2023-11-14T22:14:00Z", T0),
        ("2023-11-14t22:14:00z", T0),
        ("2023-11-15T00:14:00+02:00", T0),
        ("2023-11-14T16:44:00-05:30", T0),
        ("2023-11-14T22:14:00-00:00", T0),
        ("2023-11-14T22:14:00.1Z", T0 + 100),
        ("2023-11-14T22:14:00.12Z", T0 + 120),
        ("2023-11-14T22:14:00.123Z", T0 + 123),
        ("2023-11-14T22:14:00.1239Z", T0 + 123),
        ("2023-11-14T22:14:00.999999999Z", T0 + 999),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
    ],
)
def test_a_time_in_rfc_3339_is_rounded_down_to_the_millisecond(text: str, ms: int) -> None:
    assert epoch_ms(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        *("2016-12-31T23:59:60Z", "2023-11-14T24:00:00Z", "2023-11-14T22:60:00Z"),
        *("2023-02-29T00:00:00Z", "2023-11-14T22:14:00", "2023-11-14  22:14:00Z"),
        *("2023-11-14T22:14Z", "2023-11-14T22:14:00.Z", "2023-11-14T22:14:00.1234567890Z"),
        *(
            "2023-11-14T22:14:00+02",
            "2023-11-14T22:14:00+24:00",
            "2023-11-14T22:14:00+2400",
            "0000-01-01T00:00:00Z",
        ),
        *("", "now", " 2023-11-14T22:14:00Z", "2023-11-14T22:14:00Z\n", str(T0)),
    ],
)
def test_what_is_not_rfc_3339_is_no_time_and_neither_is_a_leap_second(text: str) -> None:
    assert epoch_ms(text) is None


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2023-11-14 22:14:00Z", T0),
        ("2023-11-15 00:14:00+02:00", T0),
        ("2023-11-14T16:44:00-0530", T0),
        ("2023-11-14 22:14:00.5+0000", T0 + 500),
    ],
)
def test_a_blank_and_an_offset_without_a_colon_are_read_since_version_3(text: str, ms: int) -> None:
    assert epoch_ms(text) == ms
    assert epoch_ms(text, MORE_SPELLINGS - 1) is None


@pytest.mark.parametrize("at", [MIN_EVENT_MS, "2000-01-01T00:00:00Z", "2000-01-01T02:00:00+02:00"])
def test_the_year_2000_is_the_first_that_counts(at: int | str) -> None:
    counted = Counted()
    counted.event(0, occurred_at=at)
    assert counted.engine.watermark_ms == MIN_EVENT_MS


@pytest.mark.parametrize("at", [MAX_EVENT_MS, "9999-12-31T23:59:59.999999999Z"])
def test_the_year_9999_is_the_last_that_counts(at: int | str) -> None:
    counted = Counted()
    counted.event(0, occurred_at=at)
    assert counted.engine.watermark_ms == MAX_EVENT_MS
