"""Input records for tests, written short. Times are epoch ms; T0 is a UTC midnight."""

import json
from typing import Any

from service.audit.model.counting import Grain, LogRecord, Model, Rules

T0 = 1_600_041_600_000  # 2020-09-14T00:00:00Z
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

ONLY_MINUTES = Rules(grains=(Grain("1m", MINUTE, 30 * SECOND, 15 * MINUTE),))


def event(
    at: int,
    action: str = "follow",
    account: str = "alice",
    event_id: str | None = None,
    **fields: object,
) -> dict[str, Any]:
    """Make an event at T0 + `at` ms; its id is made of its fields unless it is given."""
    made: dict[str, Any] = {
        "event_id": event_id or f"{account}-{action}-{at}",
        "account_id": account,
        "action": action,
        "occurred_at": T0 + at,
    }
    if action != "baseline":
        made["follower_id"] = "bob"
    return {**made, **fields}


def baseline(at: int, followers: int, **fields: object) -> dict[str, Any]:
    """Make a baseline event at T0 + `at` ms."""
    return {**event(at, "baseline"), "followers": followers, **fields}


def record(fields: dict[str, Any], offset: int, log_at: int | None = None) -> LogRecord:
    """Put an event at an offset; `log_at`: the log time as ms after T0, None for no log time."""
    timestamp_ms = -1 if log_at is None else T0 + log_at
    value = json.dumps(fields).encode()
    return LogRecord(offset, timestamp_ms, str(fields["account_id"]).encode(), value, [])


def heartbeat(at: int, offset: int) -> LogRecord:
    """Make a heartbeat record at T0 + `at` ms."""
    value = json.dumps({"occurred_at": T0 + at}).encode()
    return LogRecord(offset, -1, None, value, [("netfollowers-heartbeat", b"")])


def fed(*events: dict[str, Any], rules: Rules = ONLY_MINUTES) -> Model:
    """Feed events at offsets 0, 1, 2... to a new model."""
    model = Model(rules)
    for offset, fields in enumerate(events):
        model.feed(record(fields, offset))
    return model
