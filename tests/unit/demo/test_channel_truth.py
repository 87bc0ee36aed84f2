"""The verdict on the real channel must be able to fail."""

from __future__ import annotations

from service.contract.results import AccountRow
from service.demo import channel
from service.demo import channel_truth as story

TRUTH = {day.start_ms: (day.follows, day.unfollows) for day in channel.daily_truth()}
ROW = AccountRow(
    channel.ACCOUNT_ID,
    channel.GAINED,
    channel.LOST,
    channel.GAINED - channel.LOST,
    channel.FINAL_FOLLOWERS,
    channel.BASELINE_FOLLOWERS,
    0,
    channel.BASELINE_MS,
    1,
    {},
)


def test_the_truth_differs_from_itself_in_nothing() -> None:
    assert story.differences(ROW, TRUTH) == []


def test_one_event_on_the_wrong_day_is_found() -> None:
    wrong = dict(TRUTH)
    start = min(wrong)
    wrong[start] = (wrong[start][0] - 1, wrong[start][1])
    found = story.differences(ROW, wrong)[1]
    assert found.startswith("2018-06-23: found (111, 14), expected (112, 14)")


def test_a_missing_day_a_missing_row_and_a_wrong_total_are_found() -> None:
    assert story.differences(ROW, dict(list(TRUTH.items())[1:]))
    assert story.differences(None, TRUTH)
    with_less = AccountRow(**{**{f: getattr(ROW, f) for f in ROW.__struct_fields__}, "lost": 1})
    assert story.differences(with_less, TRUTH) == ["lost: found 1, expected 192162"]


def test_the_raid_is_in_the_close_view_and_in_the_followers_before_it() -> None:
    raid = story.raid(TRUTH)
    assert max(bar.gained for bar in raid.bars) == 26_537
    before = sum(won - gone for start, (won, gone) in TRUTH.items() if start < story.RAID[0])
    assert raid.followers_before == channel.BASELINE_FOLLOWERS + before
