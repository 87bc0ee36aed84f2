"""`netfollowers doctor` on a healthy deployment and on six broken ones: what it says to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from service.kafka import clients
from service.kafka.partitioning import partition_of
from service.synthetic.events import Made
from tests.integration.kafka.test_rejected import command
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.traffic import mixed

pytestmark = [pytest.mark.broker, pytest.mark.transactions]


def event(number: int, account: str, *, event_id: str = "", action: str = "follow") -> Made:
    value = {"event_id": event_id or f"d{number}", "account_id": account, "follower_id": "f"}
    value |= {"action": action, "occurred_at": 1_763_000_000_000}  # type: ignore[dict-item]
    return Made(account.encode(), json.dumps(value).encode(), [], "event")


async def doctor(deployment: Deployment, *, code: int) -> str:
    said = await command(deployment, "doctor", code=code)
    print(said)  # the closing note of a failing test, and of `pytest -s`  # noqa: T201
    return said


async def test_a_healthy_deployment(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = await deployment.ready_worker()
    await deployment.produce(made for made in mixed(5_000) if made.kind == "event")
    await deployment.caught_up()
    said = await doctor(deployment, code=0)
    assert "warning" not in said
    assert "error" not in said
    assert "4 of 4 partitions committed, lag 0 records" in said
    assert "a transactional producer starts" in said
    assert "is Stable: 1 on" in said
    assert said.endswith("doctor: nothing is wrong\n")
    assert await worker.stop() == 0


async def test_no_broker(deployed: Deploy) -> None:
    deployment = await deployed()
    deployment.settings = replace(deployment.settings, brokers="127.0.0.1:1")
    said = await doctor(deployment, code=1)
    assert "cannot be looked at" in said
    assert "is there a broker at NETFOLLOWERS_BROKERS=127.0.0.1:1" in said
    assert "topics:" not in said, "nothing behind it can be seen"


async def test_a_missing_topic_and_no_worker(deployed: Deploy) -> None:
    deployment = await deployed()
    async with clients.open_admin(deployment.settings) as admin:
        await admin.delete_topics([deployment.settings.late_topic])
    said = await doctor(deployment, code=1)
    assert f"topic {deployment.settings.late_topic} does not exist" in said
    assert "netfollowers topics create" in said
    assert "no worker is in it" in said


async def test_other_settings_than_the_results_were_counted_with(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = await deployment.ready_worker()
    await deployment.produce(mixed(1_000))
    await deployment.finish(worker)
    deployment.settings = replace(deployment.settings, dedup_generation=5_000)
    said = await doctor(deployment, code=1)
    assert (
        "was counted with dedup_generation=131072, these settings have dedup_generation=5000"
        in (said)
    )
    assert "docs/operate/versioning.md" in said


async def test_producers_that_number_alike(deployed: Deploy) -> None:
    deployment = await deployed()

    def two() -> Iterator[Made]:
        for number in range(50):
            yield event(number, "a")
            yield event(number, "b", event_id=f"d{number}")

    await deployment.produce(two())
    said = await doctor(deployment, code=1)
    assert "50 event ids under two accounts" in said
    assert "UUIDs" in said


async def test_an_id_for_a_follow_and_for_an_unfollow(deployed: Deploy) -> None:
    """As a producer does that names the edge, and not the event."""
    deployment = await deployed()

    def two() -> Iterator[Made]:
        for number in range(20):
            yield event(number, "a")
        for number in range(15):
            yield event(100 + number, "a", event_id=f"d{number}", action="unfollow")

    await deployment.produce(two())
    said = await doctor(deployment, code=0)
    assert "15 event ids with two actions: ['d0', 'd1', 'd2'" in said
    assert "give each event its own id" in said


async def test_an_account_whose_followers_contradict_its_baseline(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = await deployment.ready_worker()
    number = {"event_id": "n", "account_id": "a", "action": "baseline", "followers": 2}
    text = json.dumps(number | {"occurred_at": 1_763_000_000_000}).encode()
    await deployment.produce(
        [Made(b"a", text, [], "event"), *(event(n, "a", action="unfollow") for n in range(5))]
    )
    await deployment.caught_up()
    said = await doctor(deployment, code=0)
    assert "1 accounts have fewer than 0 followers: a (-3)" in said
    assert "docs/guide/input.md, Baselines" in said
    assert await worker.stop() == 0


async def test_accounts_in_two_partitions_by_a_mixture_of_partitioners(deployed: Deploy) -> None:
    deployment = await deployed()
    async with deployment.outbox() as outbox:
        for number in range(60):
            made = event(number, f"a{number % 20}")
            right = partition_of(made.key or b"", deployment.settings.partitions)
            outbox.put(made, (right + number // 40) % deployment.settings.partitions)
        await outbox.send()
        await outbox.settle()
    worker = await deployment.ready_worker()
    await deployment.caught_up()
    said = await doctor(deployment, code=1)
    assert "20 accounts are in more than one partition" in said
    assert "partitioner=murmur2_random" in said
    assert "keys by partitioner" in said
    scraped = worker.get("/metrics")[1]
    assert 'partitioner="murmur2"' in scraped
    assert 'partitioner="crc32"' in scraped or 'partitioner="other"' in scraped
    assert "is not where murmur2 would put it" in worker.said()
    assert await worker.stop() == 0


async def test_records_without_or_with_a_wrong_key(deployed: Deploy) -> None:
    deployment = await deployed()
    good = event(1, "a")
    await deployment.produce([good, Made(None, good.value, [], "bad"), good._replace(key=b"x")])
    said = await doctor(deployment, code=0)
    assert "missing_key" in said
    assert "key_mismatch" in said
    assert "netfollowers rejected stats" in said
