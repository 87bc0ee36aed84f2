"""Random logs, from a seed: every kind of record, crowded around the boundaries of small windows.

one second ... [0----)[1----)[2----)      grains of 1, 5 and 20 s, graces of 1 and 2 s
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from service.contract.input_record import HEARTBEAT_HEADER, Headers, LogRecord
from service.counting import Grain, Rules

SMALL: Final = (
    Grain("1s", 1_000, 1_000, 3_000),
    Grain("5s", 5_000, 1_000, 10_000),
    Grain("20s", 20_000, 2_000, 60_000),
)
GRAINS: Final = (
    SMALL,
    SMALL,
    (Grain("1s", 1_000, 2_000, 2_000), Grain("5s", 5_000, 1_000, 5_000)),  # final is gone, nearly
    (Grain("1s", 1_000, 1_000, 3_000),),
    (Grain("3s", 3_000, 1_000, 9_000), Grain("2s", 2_000, 1_000, 4_000)),  # neither holds the other
    (Grain("5s", 5_000, 1_000, 10_000), Grain("1s", 1_000, 1_000, 3_000)),
)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
START_MS: Final = 1_700_000_000_000
STEPS: Final = (0, 0, 0, 1, 100, 200, 200, 500, 999, 1_000, 1_001, 3_000)
JUMPS: Final = (15_000, 70_000, 200_000)
AGES: Final = (
    *(0, 0, 0, 1, 1, 300, 500, 999, 1_000, 1_999, 2_000, 4_000, 5_000),
    *(11_000, 30_000, 90_000),
)
BEAT: Final = (HEARTBEAT_HEADER, b"")
TRACES: Final[tuple[Headers, ...]] = (
    *([("trace", b"1")], [("trace", None)], [("trace", None), ("ünï", b"\xff")]),
    *([("ce_id", None)], [("content-type", None)]),
)
SPOILT: Final[tuple[Headers, ...]] = (
    *([("ce_specversion", None)], [("tr\udcffce", b"1")], [("\udce9", None), ("trace", None)]),
    [("ce_specversion", b"1.0"), ("ce_id", None), ("ce_source", b"/s"), ("ce_type", b"follow")],
)
"""Headers for which a record is refused."""
ACCOUNTS: Final = ("a", "a", "a", "a", "b", "b", "c", "d", "ü", "x" * 200)
KEYS: Final = {account.encode() for account in ACCOUNTS}


def small_rules(random: Random) -> Rules:
    """Rules under which everything happens within a hundred records."""
    grains = random.choice(GRAINS)
    longest = max(grain.size_ms + grain.keep_ms for grain in grains)
    return Rules(
        grains=grains,
        max_ahead_ms=800,
        dedup_generation=random.choice((4, 9, 64)),
        sweep_buckets=random.choice((1, 3, 7)),
        expire_after_ms=random.choice((0, 0, longest, 2 * longest)),
    )


def random_log(random: Random, length: int = 120, *, scale: int = 1) -> list[LogRecord]:
    """Records with offsets that have gaps (control records), some twice, some bad, some late.

    `scale`: how many times longer the grains are than those of `SMALL`.
    """
    log: list[LogRecord] = []
    offset, now = random.choice((0, 0, 7)), START_MS
    for _ in range(length):
        now += scale * random.choice(JUMPS if random.random() < 0.04 else STEPS)
        if random.random() < 0.2:
            now += -now % (1_000 * scale) + random.choice((-1, 0, 0, 1))  # at a boundary
        log.append(_record(random, offset, now, log, scale))
        offset += random.choice((1, 1, 1, 1, 2, 5, 30)) if random.random() < 0.2 else 1
    return log


def _record(random: Random, offset: int, now: int, log: list[LogRecord], scale: int) -> LogRecord:
    stamp = -1 if random.random() < 0.05 else now
    kind = random.random()
    if kind < 0.12 and log:
        return _again(random, offset, stamp, random.choice(log[-12:]))
    if kind < 0.17:
        return _bad(random, offset, stamp, now)
    if kind < 0.21:
        beat: dict[str, Any] = {"occurred_at": now + random.choice((0, 500, 60_000))}
        if random.random() < 0.3:  # it looks like an event, but is a heartbeat
            beat |= {"event_id": f"e{offset}", "account_id": "a", "follower_id": "f"}
            beat["action"] = "follow"
            return LogRecord(offset, stamp, b"a", json.dumps(beat).encode(), [BEAT])
        return LogRecord(offset, stamp, None, json.dumps(beat).encode(), [BEAT])
    account = _account(random, log)
    event: dict[str, Any] = {"event_id": f"e{offset}", "account_id": account}
    if kind < 0.26:
        event |= {"action": "baseline", "followers": random.randrange(1_000)}
    elif kind < 0.30:
        event |= {"action": "forget"}
    else:
        event |= {"action": random.choice(("follow", "unfollow")), "follower_id": "f"}
    event["occurred_at"] = _spelled(_time(random, now, scale))
    if random.random() < 0.15:
        event["padding"] = "p" * 300
    if random.random() < 0.1:
        return _in_envelope(random, offset, stamp, account, event)
    headers = random.choice(TRACES) if random.random() < 0.1 else []
    return LogRecord(offset, stamp, account.encode(), json.dumps(event).encode(), headers)


def _account(random: Random, log: list[LogRecord]) -> str:
    if log and random.random() < 0.3 and log[-1].key in KEYS:
        return log[-1].key.decode()  # two in a row, the second often the older
    return random.choice(ACCOUNTS)


def _time(random: Random, now: int, scale: int) -> int:
    at = now - scale * random.choice(AGES)
    if random.random() < 0.3:
        at -= at % (1_000 * scale) + random.choice((-1, 0, 0, 0, 1))
    if random.random() < 0.06:
        at = now + random.choice((799, 800, 801, 5_000, 10**9))
    return at


def _spelled(at: int) -> int | float | str:
    """A time in one of the spellings, chosen by the time itself: most are epoch ms."""
    text = (EPOCH + timedelta(milliseconds=at)).isoformat(" ", "milliseconds")
    spellings: dict[int, int | float | str] = {
        0: float(at),
        1: text,
        2: text.replace(" ", "T").replace("+00:00", "+0000"),
    }
    return spellings.get(at % 50, at)


def _in_envelope(
    random: Random, offset: int, stamp: int, account: str, event: dict[str, Any]
) -> LogRecord:
    """Return the event as a CloudEvent, in either mode. Some fields are only in its attributes."""
    attributes = {"specversion": "1.0", "id": str(offset), "source": "/s"}
    attributes |= {"type": f"com.example.{event['action']}", "subject": account}
    for name in ("event_id", "account_id", "action"):
        if random.random() < 0.5:
            del event[name]
    if random.random() < 0.1:
        del attributes[random.choice(sorted(attributes))]
    if random.random() < 0.5:
        headers: list[tuple[str, bytes | None]] = [
            (f"ce_{name}", text.encode()) for name, text in attributes.items()
        ]
        if random.random() < 0.1:
            spoilt = random.randrange(len(headers))
            headers[spoilt] = (headers[spoilt][0], None)
        return LogRecord(offset, stamp, account.encode(), json.dumps(event).encode(), headers)
    value = json.dumps({**attributes, "data": event}).encode()
    headers = [("content-type", b"application/cloudevents+json")]
    return LogRecord(offset, stamp, account.encode(), value, headers)


def _again(random: Random, offset: int, stamp: int, first: LogRecord) -> LogRecord:
    """Send a record again: as it was, under another account, or (if it was bad) repaired."""
    account = random.choice(ACCOUNTS)
    found = re.search(rb'"event_id": "(e-?[0-9]+)"', first.value or b"")
    if found is None or random.random() < 0.5:
        return LogRecord(offset, stamp, first.key, first.value, first.headers)
    event = {"event_id": found[1].decode(), "account_id": account, "follower_id": "f"}
    event |= {"action": random.choice(("follow", "follow", "unfollow"))}
    event |= {"occurred_at": max(stamp, START_MS)}
    return LogRecord(offset, stamp, account.encode(), json.dumps(event).encode())


def _bad(random: Random, offset: int, stamp: int, now: int) -> LogRecord:
    good = {"event_id": f"e{offset - random.choice((0, 1, 2))}", "account_id": "a"}
    good |= {"follower_id": "f", "action": "follow"}
    value = json.dumps({**good, "occurred_at": now}).encode()
    key, bad = random.choice(
        [
            (b"b", value),
            (None, value),
            (b"a", b""),
            (b"a", None),
            (b"a", value[:-1]),
            (b"a", value.replace(b"follow", b"like")),
            (b"a", value.replace(b'"f"', b'"%s"' % (b"f" * 257))),
            (b"a", value[:-1] + b', "more": "\xff"}'),
            (b"a", json.dumps({**good, "occurred_at": now // 1_000}).encode()),
        ]
    )
    headers = random.choice(TRACES) if random.random() < 0.3 else []
    if random.random() < 0.3:
        key, bad, headers = b"a", value, random.choice(SPOILT)
    return LogRecord(offset, stamp, key, bad, headers)
