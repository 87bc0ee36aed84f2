"""Seven years of one real channel: 505,236 follow and unfollow events, and the truth per day.

README.md beside this file names their origin and licence. Times are epoch ms.
"""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from typing import Final, NamedTuple

from service.demo.channel.columns import unpack

ACCOUNT_ID: Final = "912e4906ddbb2f76"
BASELINE_FOLLOWERS: Final = 12_012
BASELINE_MS: Final = 1_529_771_023_000
EVENTS: Final = 505_236
GAINED: Final = 313_074
LOST: Final = 192_162
FINAL_FOLLOWERS: Final = 132_924

PACKED_NAME: Final = "events.xz"
DAILY_NAME: Final = "daily.csv"


class DailyTruth(NamedTuple):
    """The counts of one UTC day, computed from the source without code of the service."""

    date: str
    start_ms: int
    follows: int
    unfollows: int
    net: int
    followers_end: int


def events() -> Iterator[bytes]:
    """Yield every event as the JSON value of an input record, in time order.

    The event id is the account id and the event's number in eight hex digits. It is derived, but
    unique and always the same. All other fields are as in the source.
    """
    head = f'{{"event_id":"{ACCOUNT_ID}%08x","account_id":"{ACCOUNT_ID}","follower_id":"%s",'
    follow = head + '"action":"follow","occurred_at":%d000}'
    unfollow = head + '"action":"unfollow","occurred_at":%d000}'
    packed = files(__name__).joinpath(PACKED_NAME).read_bytes()
    for number, (follower_id, is_follow, occurred_s) in enumerate(unpack(packed)):
        form = follow if is_follow else unfollow
        yield (form % (number, follower_id, occurred_s)).encode()


def baseline() -> bytes:
    """Encode the event that gives the number of followers before the first event."""
    event = {
        "event_id": f"{ACCOUNT_ID}baseline",
        "account_id": ACCOUNT_ID,
        "action": "baseline",
        "followers": BASELINE_FOLLOWERS,
        "occurred_at": BASELINE_MS,
    }
    return json.dumps(event, separators=(",", ":")).encode()


def daily_truth() -> list[DailyTruth]:
    """Read the truth of every day that had events, oldest first."""
    with files(__name__).joinpath(DAILY_NAME).open(encoding="utf-8") as lines:
        return [_day(row) for row in csv.DictReader(lines)]


def _day(row: dict[str, str]) -> DailyTruth:
    start = datetime.fromisoformat(row["date_utc"]).replace(tzinfo=UTC)
    return DailyTruth(
        date=row["date_utc"],
        start_ms=int(start.timestamp()) * 1000,
        follows=int(row["follows"]),
        unfollows=int(row["unfollows"]),
        net=int(row["net"]),
        followers_end=int(row["followers_end"]),
    )
