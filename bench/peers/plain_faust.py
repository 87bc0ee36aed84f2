"""The same job as Faust's documentation would write it: an agent, tables, a topic for updates.

A totals table and one tumbling table per grain, JSON values, in-memory store, at least once.
Started with the PEER_* variables of `bench.peers`. Shares no code with the service.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import faust

GRAINS = {"1m": 60, "1h": 3_600, "1d": 86_400}
KEEPS = {"1m": 900, "1h": 3 * 3_600, "1d": 2 * 86_400}


class FollowEvent(faust.Record, serializer="json"):  # type: ignore[call-arg] # Faust is untyped
    """One record of the input topic."""

    event_id: str
    account_id: str
    follower_id: str
    action: str
    occurred_at: int


def build_app(brokers: str, name: str, input_topic: str, partitions: int, data: str) -> faust.App:
    """Build the whole program. It connects to nothing."""
    app = faust.App(
        name,
        broker=f"kafka://{brokers}",
        datadir=data,
        store="memory://",
        topic_partitions=partitions,
        topic_replication_factor=1,
        broker_commit_interval=0.5,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        web_enabled=False,
    )
    events = app.topic(input_topic, key_type=bytes, value_type=FollowEvent)
    updates = app.topic(f"{name}-updates", key_type=bytes, value_serializer="json")
    totals = app.Table("totals", default=nothing, partitions=partitions)

    def occurred_at(event: Any) -> float:  # noqa: ANN401 - Faust's event
        return float(event.value.occurred_at) / 1_000

    tables = {
        grain: app.Table(f"windows_{grain}", default=nothing, partitions=partitions)
        .tumbling(size, expires=KEEPS[grain])
        .relative_to(occurred_at)
        for grain, size in GRAINS.items()
    }

    @app.agent(events)
    async def count(stream: Any) -> None:  # noqa: ANN401 - Faust's stream
        async for key, event in stream.items():
            account = event.account_id
            totals[account] = total = changed(totals[account], event)
            windows = {}
            for grain, table in tables.items():
                windows[grain] = table[account] = changed(table[account].value(), event)
            await updates.send(key=key, value={"account_id": account, **total, "windows": windows})

    return app


def nothing() -> dict[str, int]:
    """Value of an account that has not been seen."""
    return {"gained": 0, "lost": 0, "last_event_ms": 0}


def changed(value: dict[str, int], event: FollowEvent) -> dict[str, int]:
    """Value after an event."""
    side = "gained" if event.action == "follow" else "lost"
    last_ms = max(value["last_event_ms"], event.occurred_at)
    return {**value, side: value[side] + 1, "last_event_ms": last_ms}


def main() -> None:
    """Run a worker."""
    environ = os.environ
    app = build_app(
        environ["PEER_BROKERS"],
        environ["PEER_APP_ID"],
        environ["PEER_INPUT"],
        int(environ["PEER_PARTITIONS"]),
        environ["PEER_STATE_DIR"],
    )
    sys.argv = ["plain_faust", "worker", "--loglevel", "warn", "--without-web"]
    app.main()


if __name__ == "__main__":
    main()
