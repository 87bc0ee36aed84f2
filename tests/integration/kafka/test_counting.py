"""End to end on a real Kafka: what was sent is what the topics say, whatever was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

import msgspec
import pytest

from service.demo import channel
from service.synthetic.events import Made, heartbeat
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import SHORT_SESSION_S, Deploy
from tests.support.traffic import mixed, read_all, some_committed

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

KEY = channel.ACCOUNT_ID.encode()
REPEAT_AFTER = 3_000
TWICE = 90_000


def the_channel() -> Iterator[Made]:
    """The real channel: its baseline, then every event."""
    yield Made(KEY, channel.baseline(), [], "baseline")
    for value in channel.events():
        yield Made(KEY, value, [], "event")


def sent_twice(records: Iterator[Made], count: int) -> Iterator[Made]:
    """The first `count` records again, a few thousand records later; the rest once."""
    for _ in range(0, count, REPEAT_AFTER):
        chunk = list(islice(records, REPEAT_AFTER))
        yield from chunk
        yield from chunk
    yield from records


async def assert_it_is_the_channel(deployment: Deployment) -> None:
    """The totals, and the daily finals line by line, are those of the real channel."""
    rows = {
        key: json.loads(value)
        for key, value in await read_all(deployment, deployment.settings.updates_topic)
    }
    row = rows[KEY]
    assert row["followers"] == channel.FINAL_FOLLOWERS
    assert (row["gained"], row["lost"]) == (channel.GAINED, channel.LOST)
    days: dict[int, tuple[int, int, int]] = {}
    for _, value in await read_all(deployment, deployment.settings.windows_topic):
        result = msgspec.json.decode(value)
        if result["grain"] == "1d":
            assert result["start_ms"] not in days, "a final was published twice"
            days[result["start_ms"]] = (result["gained"], result["lost"], result["net"])
    truth = {day.start_ms: (day.follows, day.unfollows, day.net) for day in channel.daily_truth()}
    busy = {start: counts for start, counts in truth.items() if counts[0] or counts[1]}
    assert days == busy
    assert len(truth) == 2_642
    report = await deployment.audit()
    assert report.compared


async def close_the_last_day(deployment: Deployment) -> None:
    """A heartbeat two days later on every partition."""
    last = channel.daily_truth()[-1].start_ms
    async with deployment.outbox() as outbox:
        outbox.put_everywhere(heartbeat(last + 3 * 86_400_000))
        await outbox.send()
        await outbox.settle()


async def test_the_real_channel_is_exact_after_a_kill_and_with_much_sent_twice(
    deployed: Deploy,
) -> None:
    deployment = await deployed(batch_records=2_000, session_timeout_s=SHORT_SESSION_S)
    worker = deployment.worker()
    await deployment.produce(sent_twice(the_channel(), TWICE))
    await close_the_last_day(deployment)
    await some_committed(deployment, at_least=20_000)
    await worker.kill()
    middle = sum(commit.offset for commit in (await deployment.committed()).values())
    assert 20_000 <= middle < channel.EVENTS
    worker = deployment.worker()
    await deployment.finish(worker)
    await assert_it_is_the_channel(deployment)
    counts = [json.loads(c.metadata)["counts"] for c in (await deployment.committed()).values()]
    assert sum(count["duplicate"] for count in counts) == TWICE


async def test_generated_events_of_every_kind_agree_with_the_model(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = deployment.worker()
    sent = await deployment.produce(mixed(120_000))
    report = await deployment.finish_and_audit(worker)
    counts = [json.loads(c.metadata)["counts"] for c in (await deployment.committed()).values()]
    totals = {name: sum(count[name] for count in counts) for name in counts[0]}
    assert sum(totals.values()) == sent == 120_000
    assert all(totals[name] > 1_000 for name in ("applied", "late", "duplicate", "rejected"))
    assert report.ok
