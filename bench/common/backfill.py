"""Backfills: years of event time that arrive in seconds, as when a history is loaded.

A live input moves its watermark by the clock: a window becomes final once a minute. In a backfill
nearly every event makes windows final, and rows hold whatever has not been published yet.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from service.contract.input_record import LogRecord

DAY_MS: Final = 86_400_000
BEGINS_MS: Final = 1_514_764_800_000
"""2018-01-01, a multiple of every grain."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """One history: `events` of some accounts over a number of days, in the order of time.

    `is_shuffled`: the events of each day come in any order. `has_baselines`: each account begins
    with one, so that its growth is known. `begins_ms`: epoch ms of the first event.
    """

    name: str
    accounts: int
    days: int
    events: int
    is_shuffled: bool = False
    has_baselines: bool = False
    begins_ms: int = BEGINS_MS


def backfills(events: int) -> list[Backfill]:
    """The histories that are measured: few accounts over years, many over one year."""
    return [
        Backfill("few accounts, 7 years", 60, 7 * 365, events),
        Backfill("few accounts, 7 years, with baselines", 60, 7 * 365, events, has_baselines=True),
        Backfill("few accounts, 7 years, days shuffled", 60, 7 * 365, events, is_shuffled=True),
        Backfill("20,000 accounts, a year", 20_000, 365, events),
        Backfill("20,000 accounts, a year, days shuffled", 20_000, 365, events, is_shuffled=True),
    ]


def records(history: Backfill, *, offset: int = 0, seed: int = 1) -> Iterator[LogRecord]:
    """Records of one partition from `offset` on; all are appended to the log after the last day."""
    appended_ms = history.begins_ms + (history.days + 1) * DAY_MS
    for number, (key, value) in enumerate(_values(history, random.Random(seed)), start=offset):
        yield LogRecord(number, appended_ms, key, value)


def _values(history: Backfill, chance: random.Random) -> Iterator[tuple[bytes, bytes]]:
    if history.has_baselines:
        for account in range(history.accounts):
            event_id = f"b{account}-{history.begins_ms}"
            yield _value(account, event_id, "baseline", history.begins_ms, b'"followers":1000')
    times = _times(history, chance)
    for number, at in enumerate(times):
        account = chance.randrange(history.accounts)
        action = "unfollow" if chance.random() < 0.3 else "follow"
        event_id = f"e{number}-{history.begins_ms}"
        yield _value(account, event_id, action, at, b'"follower_id":"f%d"' % number)


def _value(account: int, event_id: str, action: str, at: int, more: bytes) -> tuple[bytes, bytes]:
    key = b"acct-%d" % account
    return key, (
        b'{"event_id":"%s","account_id":"%s","action":"%s","occurred_at":%d,%s}'
        % (event_id.encode(), key, action.encode(), at, more)
    )


def _times(history: Backfill, chance: random.Random) -> Iterator[int]:
    """Event times, evenly over the days, a day at a time."""
    step_ms = history.days * DAY_MS / history.events
    times = (history.begins_ms + int(number * step_ms) for number in range(history.events))
    if not history.is_shuffled:
        yield from times
        return
    a_day = max(1, round(DAY_MS / step_ms))
    while day := list(islice(times, a_day)):
        chance.shuffle(day)
        yield from day
