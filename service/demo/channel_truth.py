"""The results that the real channel must give, and the scenes that are worth marking."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from service.charts.series import DAY_MS, Flow, Scene, without_holes
from service.contract.results import AccountRow
from service.demo import channel

TITLE: Final = "A real Twitch channel, 2018 to 2025"
SOURCE: Final = "CommanderRoot/twitch-follower-tracker (MIT): hourly lists of followers, compared"
DAY_GRAIN: Final = "1d"
_MOST_TOLD: Final = 5

Days = Mapping[int, tuple[int, int]]
"""By start of a UTC day (epoch ms): (gained, lost), as in the windows topic."""


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


SCENES: Final = (
    Scene(_ms("2019-10-21T17:02"), "+1,650 in one hour; exactly those leave on 2019-10-30"),
    Scene(_ms("2021-03-23T01:04"), "a follow-bot raid: +26,344 in one hour"),
    Scene(_ms("2021-04-08T00:00"), "its purge begins: waves until 2021-05-04"),
)
RAID: Final = (_ms("2021-03-15"), _ms("2021-05-10"))
"""The time of the raid and its purge, [start, end), to be drawn in detail."""


def flow(days: Days) -> Flow:
    """Make the channel's flow from its daily finals."""
    bars = without_holes(days, DAY_MS)
    return Flow(TITLE, SOURCE, DAY_MS, bars, SCENES, channel.BASELINE_FOLLOWERS)


def raid(days: Days) -> Flow:
    """Return the part of the flow with the raid and its purge."""
    return flow(days).between(*RAID)


def differences(row: AccountRow | None, days: Days) -> list[str]:
    """Compare a row and daily finals with the truth. Return a line for each difference."""
    if row is None:
        return [f"there is no row for {channel.ACCOUNT_ID}"]
    expected = (channel.GAINED, channel.LOST, channel.FINAL_FOLLOWERS)
    found = (row.gained, row.lost, row.followers)
    names = ("gained", "lost", "followers")
    told = [
        f"{name}: found {is_}, expected {should}"
        for name, is_, should in zip(names, found, expected, strict=True)
        if is_ != should
    ]
    truth = {day.start_ms: (day.follows, day.unfollows) for day in channel.daily_truth()}
    wrong = [start for start in truth.keys() | days.keys() if truth.get(start) != days.get(start)]
    if wrong:
        told.append(f"{len(wrong):,} of {len(truth):,} daily finals differ")
    for start in sorted(wrong)[:_MOST_TOLD]:
        day = datetime.fromtimestamp(start / 1_000, UTC).date()
        told.append(f"{day}: found {days.get(start)}, expected {truth.get(start)}")
    return told


def verdict(row: AccountRow | None, days: Days) -> str:
    """Return a line that says that all is exact. Call it if `differences` returned []."""
    assert row is not None
    return (
        f"followers {row.followers:,} = {channel.BASELINE_FOLLOWERS:,} + {row.gained:,} gained "
        f"- {row.lost:,} lost, and {len(days):,} daily finals, all equal to the truth"
    )
