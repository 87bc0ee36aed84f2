"""The packed real channel is complete, sound, and equal to its source."""

import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from service.demo import channel
from service.demo.channel.columns import ChannelEvent, pack, unpack
from service.demo.channel.pack import main

DAY_MS = 86_400_000
SOURCE = Path(__file__).parents[4] / "shared" / "fixtures" / "twitch_channel_events.jsonl.gz"

Event = dict[str, Any]


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """Decode all events once."""
    return [json.loads(value) for value in channel.events()]


def test_the_counts_are_those_of_the_source(events: list[Event]) -> None:
    actions = Counter(event["action"] for event in events)

    assert len(events) == channel.EVENTS
    assert actions == {"follow": channel.GAINED, "unfollow": channel.LOST}
    assert channel.BASELINE_FOLLOWERS + channel.GAINED - channel.LOST == channel.FINAL_FOLLOWERS


def test_an_event_has_the_canonical_fields_and_bytes(events: list[Event]) -> None:
    fields = ["event_id", "account_id", "follower_id", "action", "occurred_at"]

    assert all(list(event) == fields for event in events)
    assert {event["account_id"] for event in events} == {channel.ACCOUNT_ID}
    assert next(channel.events()) == json.dumps(events[0], separators=(",", ":")).encode()


def test_event_ids_are_unique_the_baseline_included(events: list[Event]) -> None:
    ids = {event["event_id"] for event in events}
    ids.add(json.loads(channel.baseline())["event_id"])

    assert len(ids) == channel.EVENTS + 1


def test_events_come_in_time_order_after_the_baseline(events: list[Event]) -> None:
    times = [event["occurred_at"] for event in events]

    assert times == sorted(times)
    assert times[0] > channel.BASELINE_MS


def test_nobody_does_the_same_thing_twice_in_a_row(events: list[Event]) -> None:
    last: dict[str, str] = {}
    for event in events:
        assert last.get(event["follower_id"]) != event["action"]
        last[event["follower_id"]] = event["action"]


def test_those_who_left_without_having_come_were_among_the_first(events: list[Event]) -> None:
    first: dict[str, str] = {}
    for event in events:
        first.setdefault(event["follower_id"], event["action"])

    assert Counter(first.values())["unfollow"] <= channel.BASELINE_FOLLOWERS


def test_the_days_sum_to_the_daily_truth(events: list[Event]) -> None:
    days: dict[int, Counter[str]] = defaultdict(Counter)
    for event in events:
        days[event["occurred_at"] // DAY_MS * DAY_MS][event["action"]] += 1
    truth = channel.daily_truth()

    assert [day.start_ms for day in truth] == sorted(days)
    followers = channel.BASELINE_FOLLOWERS
    for day in truth:
        assert (day.follows, day.unfollows) == (
            days[day.start_ms]["follow"],
            days[day.start_ms]["unfollow"],
        )
        followers += day.net
        assert (day.net, day.followers_end) == (day.follows - day.unfollows, followers)
    assert followers == channel.FINAL_FOLLOWERS


def test_the_raid_is_there(events: list[Event]) -> None:
    raid_ms = 1_616_461_440_000  # 2021-03-23T01:04:00Z
    in_its_minute = [e for e in events if raid_ms <= e["occurred_at"] < raid_ms + 60_000]

    assert Counter(event["action"] for event in in_its_minute)["follow"] == 26_344


def test_the_baseline_says_how_many_there_were() -> None:
    baseline = json.loads(channel.baseline())

    assert baseline["action"] == "baseline"
    assert baseline["account_id"] == channel.ACCOUNT_ID
    assert baseline["followers"] == channel.BASELINE_FOLLOWERS
    assert baseline["occurred_at"] == channel.BASELINE_MS
    assert "follower_id" not in baseline


def test_the_packed_channel_is_small() -> None:
    folder = Path(channel.__file__).parent

    assert sum(path.stat().st_size for path in folder.glob("*.[xc]*")) < 4_000_000


def test_all_but_the_event_ids_equals_the_source(events: list[Event]) -> None:
    if not SOURCE.exists():
        pytest.skip(f"NOT COMPARED WITH THE SOURCE: {SOURCE.name} is not beside this checkout")
    with gzip.open(SOURCE, "rb") as lines:
        source = [json.loads(line) for line in lines]

    def without_id(event: Event) -> list[Any]:
        return [value for name, value in event.items() if name != "event_id"]

    assert [*map(without_id, events)] == [*map(without_id, source)]


def test_packing_is_undone_by_unpacking() -> None:
    few = [
        ChannelEvent("00000000000000aa", is_follow=True, occurred_s=1_000),
        ChannelEvent("00000000000000bb", is_follow=False, occurred_s=1_000),
        ChannelEvent("00000000000000aa", is_follow=False, occurred_s=1_005),
        ChannelEvent("00000000000000bb", is_follow=True, occurred_s=70_000),
        ChannelEvent("00000000000000cc", is_follow=True, occurred_s=70_000),
    ]

    assert list(unpack(pack(few))) == few


def test_what_the_packed_form_cannot_hold_is_refused() -> None:
    twice = [
        ChannelEvent("00000000000000aa", is_follow=True, occurred_s=second) for second in (1, 2)
    ]

    with pytest.raises(AssertionError, match="alternate"):
        pack(twice)


def test_packing_without_arguments_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "SOURCE.jsonl.gz" in capsys.readouterr().err
