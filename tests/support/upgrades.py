"""A log that one version of the rules began to count, and the next one continues."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from service.contract.input_record import LogRecord
from service.counting import Engine, Grain, Rules
from tests.support.crash_harness import World
from tests.support.small_log import T0

SOURCE = Rules(grains=(Grain.parse("1m:30s:15m"),), dedup_generation=100)
STRUCTURED: list[tuple[str, bytes | None]] = [("content-type", b"application/cloudevents+json")]


def event(offset: int, action: str = "follow", event_id: str = "") -> LogRecord:
    """A follow or an unfollow of one account."""
    fields = {"event_id": event_id or f"e{offset}", "account_id": "a", "follower_id": "f"}
    fields["action"] = action
    return LogRecord(offset, -1, b"a", json.dumps(fields | {"occurred_at": T0}).encode())


def twice(offset: int) -> LogRecord:
    """A CloudEvent with an attribute twice, the first time of a wrong type."""
    data = event(offset).value
    assert data is not None
    value = b'{"specversion":"1.0","id":1,"id":"7","source":"/s","type":"t.follow","data":'
    return LogRecord(offset, -1, b"a", value + data + b"}", STRUCTURED)


def upgraded(log: list[LogRecord], at: int, *, new_engine: Callable[..., Engine] = Engine) -> World:
    """Count the first `at` records by version 1, then restart as a newer program."""
    world = World(SOURCE, log, new_engine=partial(Engine, version=1))
    for one in log[:at]:
        world.engine.apply([one], one.offset + 1)
        world.publish(world.engine.seal())
    world.use(new_engine)
    world.restart()
    for one in log[at:]:
        world.engine.apply([one], one.offset + 1)
        world.publish(world.engine.seal())
    return world
