"""Disasters on a real Kafka: a clear end or full recovery, never a wrong number.

Each ends with the audit after recovery, or with a refusal that names the way forward.
"""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from service.kafka import clients
from service.kafka import topic_admin as topics
from service.local.broker import LocalBroker, start_local_broker
from service.synthetic.events import Made, heartbeat
from tests.integration.kafka.test_loudness import RUN, opened
from tests.integration.kafka.test_refusals import commit
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import SHORT_SESSION_S, Deploy, deployment_on
from tests.support.patience import Patience, until
from tests.support.traffic import mixed, sending, some_committed

pytestmark = [pytest.mark.broker, pytest.mark.transactions]


GIVES_UP_AFTER_S = 10.0
"""For a worker that is to end. For others a busy machine is no reason to end."""


@asynccontextmanager
async def disaster_of_broker(
    kafka: LocalBroker, unique: str, home: Path, overrides: dict[str, str], **changes: Any
) -> AsyncIterator[tuple[LocalBroker, Deployment]]:
    """A broker to be hurt, and a deployment on it. Without a Kafka the test is skipped."""
    if kafka.kind == "external":
        pytest.skip("a broker that is not ours is not hurt")
    with start_local_broker("kafka", overrides=overrides) as broker:
        async with deployment_on(broker, unique, home, **changes) as deployment:
            yield broker, deployment


async def recovers(deployment: Deployment) -> None:
    """Another worker counts the rest, and every number is right."""
    again = await deployment.ready_worker()
    await deployment.produce(mixed(5_000, seed=9))
    await deployment.finish_and_audit(again)


async def counted(deployment: Deployment) -> None:
    """Count something and come to rest."""
    worker = await deployment.ready_worker()
    await deployment.produce(mixed(10_000))
    await deployment.finish(worker)


def critical(said: str) -> str:
    """The one line that says why a worker ended."""
    [line] = [line for line in said.splitlines() if " CRITICAL " in line]
    return line


def logs(broker: LocalBroker, topic: str = "") -> Iterator[Path]:
    """Segments of a topic, or of all, on the broker's disk; it may be deleting some."""
    yield from broker.log.parent.glob(f"data/{topic}*/*.log")


def size_of(broker: LocalBroker, topic: str) -> int:
    """Bytes of a topic on the broker's disk."""
    total = 0
    for segment in logs(broker, topic):
        with suppress(FileNotFoundError):
            total += segment.stat().st_size
    return total


async def fill(deployment: Deployment) -> None:
    """Send until nothing more is taken."""
    with suppress(KafkaError):
        for seed in range(2, 100):
            await deployment.produce(mixed(20_000, seed=seed), chunk=1_000)


async def test_a_broker_whose_disk_is_full(kafka: LocalBroker, unique: str, tmp_path: Path) -> None:
    """The disk is full by a file-size limit on the broker's process: mounting needs rights.

    Like a full disk it cuts a write in the middle; unlike one it still lets new files begin.
    """
    changes = {"batch_records": 500}
    async with disaster_of_broker(kafka, unique, tmp_path, {}, **changes) as (broker, deployment):
        worker = await deployment.ready_worker(transaction_timeout_s=GIVES_UP_AFTER_S)
        await deployment.produce(mixed(20_000))
        await deployment.caught_up()
        assert broker.pid is not None
        limit = max(path.stat().st_size for path in logs(broker)) + 300_000
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (limit, limit))
        filling = asyncio.create_task(fill(deployment))
        full = "File too large"
        await until(lambda: full in broker.log.read_text(), full, lambda: size_of(broker, ""))
        filling.cancel()
        await asyncio.wait([filling])
        assert await worker.ended() == 70
        assert "exit: " in critical(worker.said())
        broker.kill()
        broker.restart()
        await recovers(deployment)


async def test_a_producer_fenced_by_another_of_its_id(
    kafka: LocalBroker, unique: str, tmp_path: Path
) -> None:
    async with deployment_on(kafka, unique, tmp_path, batch_records=500) as deployment:
        worker = await deployment.ready_worker()
        async with sending(deployment):
            await some_committed(deployment, at_least=2_000)
            name = f"{deployment.settings.app_id}-2"
            thief = clients.transactional_producer(deployment.settings, name)
            await thief.start()
            await thief.stop()
            assert await worker.ended() == 70
            line = critical(worker.said())
            assert "exit: a checkpoint failed partition=2 position=" in line
            assert "ProducerFenced" in worker.said()
        await recovers(deployment)


async def delete(deployment: Deployment, topic: str) -> None:
    """Delete a topic, as an operator by mistake."""
    async with clients.open_admin(deployment.settings) as admin:
        await admin.delete_topics([topic])
        while topic in await admin.list_topics():
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("which", ["updates_topic", "windows_topic"])
async def test_a_result_topic_deleted_in_mid_run(
    kafka: LocalBroker, unique: str, tmp_path: Path, which: str
) -> None:
    async with deployment_on(kafka, unique, tmp_path, batch_records=500) as deployment:
        topic = getattr(deployment.settings, which)
        worker = await deployment.ready_worker(transaction_timeout_s=GIVES_UP_AFTER_S)
        async with sending(deployment):
            await some_committed(deployment, at_least=2_000)
            await delete(deployment, topic)
            assert await worker.ended() == 70
            line = critical(worker.said())  # from what sees it first: the commit, or the watch
            assert "exit: a checkpoint " in line or "exit: the topics have changed: " in line

        again = deployment.worker()
        assert await again.ended() == 2
        assert f"topic {topic} does not exist" in again.said()
        assert "netfollowers topics create" in again.said()


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
async def test_an_updates_topic_created_again_is_not_taken_for_an_empty_table(
    kafka: LocalBroker, unique: str, tmp_path: Path, guarantee: str
) -> None:
    changes = {"guarantee": guarantee, "batch_records": 500}
    async with deployment_on(kafka, unique, tmp_path, **changes) as deployment:
        topic = deployment.settings.updates_topic
        await counted(deployment)
        before = await deployment.committed()
        await delete(deployment, topic)
        await topics.create(deployment.settings)

        again = deployment.worker()
        assert await again.ended() == 70
        line = critical(again.said())
        assert "exit: refused to open: partition" in line
        assert f"{topic} h" in line
        assert "was deleted and created again" in line
        assert "new NETFOLLOWERS_APP_ID and new result topics" in line
        if guarantee == "exactly_once":
            assert await deployment.committed() == before


async def test_an_updates_topic_created_again_under_a_running_worker(
    kafka: LocalBroker, unique: str, tmp_path: Path
) -> None:
    """The worker may continue with its memory. What it then leaves is not opened again."""
    async with deployment_on(kafka, unique, tmp_path, batch_records=500) as deployment:
        worker = await deployment.ready_worker(transaction_timeout_s=GIVES_UP_AFTER_S)
        await deployment.produce(mixed(10_000))
        await deployment.caught_up()
        await delete(deployment, deployment.settings.updates_topic)
        await topics.create(deployment.settings)
        await deployment.produce(mixed(200, seed=2))
        with suppress(AssertionError):
            await deployment.caught_up()  # or it ends
        if worker.process.poll() is None:
            await worker.stop()
        again = deployment.worker()
        assert await again.ended() == 70
        assert "exit: refused to open: partition" in critical(again.said())
        assert "was deleted and created again" in critical(again.said())


async def test_an_input_topic_created_again_is_not_taken_for_the_old_one(
    kafka: LocalBroker, unique: str, tmp_path: Path
) -> None:
    """Kafka forgets the commits of a deleted topic, so there are rows without a commit."""
    async with deployment_on(kafka, unique, tmp_path) as deployment:
        await counted(deployment)
        await delete(deployment, deployment.settings.input_topic)
        await topics.create(deployment.settings)
        await deployment.produce(mixed(20_000, seed=2))
        again = deployment.worker()
        assert await again.ended() == 70
        assert "exit: refused to open: partition" in critical(again.said())
        assert "has no commit" in critical(again.said())


async def test_a_log_that_ends_before_our_position_is_not_waited_for(
    kafka: LocalBroker, unique: str, tmp_path: Path
) -> None:
    """As after an unclean election; here the commit is moved, which is the same contradiction."""
    async with deployment_on(kafka, unique, tmp_path) as deployment:
        await counted(deployment)
        await commit(deployment, 1_000_000, (await deployment.committed())[0].metadata)
        again = deployment.worker()
        assert await again.ended() == 70
        assert "exit: refused to open: partition" in critical(again.said())
        assert "before the position 1000000" in critical(again.said())


HELD_RESTORE = """
import asyncio, os, pathlib
os.environ["NETFOLLOWERS_LOG_LEVEL"] = "debug"
import service.runtime.journal_restore as journal
journal.RESTORE_FETCH_BYTES = 8_192
whole = journal._until
async def held(reader, tp, end):
    async for records in whole(reader, tp, end):
        yield records
        while tp.topic.endswith("updates") and not pathlib.Path("{go}").exists():
            await asyncio.sleep(0.05)
journal._until = held
0"""
"""Reads the first rows, then waits for the file `go`."""
CLEANER = {"log.cleaner.backoff.ms": "50", "log.cleaner.io.max.bytes.per.second": "4000000"}
ACCOUNTS = 40_000
DAY_MS = 86_400_000


@pytest.mark.parametrize("topic", ["updates_topic", "windows_topic"])
async def test_a_table_with_an_undecided_transaction_is_not_read(
    deployed: Deploy, topic: str
) -> None:
    """As after a broker that has lost a marker: what was committed behind it is hidden."""
    deployment = await deployed()
    await counted(deployment)
    deployment.is_tampered_with = True
    names = deployment.settings
    stranger = clients.transactional_producer(names, f"{names.app_id}-stranger")
    await stranger.start()
    await stranger.begin_transaction()
    batch = stranger.create_batch()
    batch.append(key=b"a", value=None, timestamp=None)
    name = getattr(names, topic)
    await (await stranger.send_batch(batch, name, partition=0))
    refused = deployment.worker()
    assert await refused.ended() == 70
    said = critical(refused.said())
    assert "refused to open: partition 0: a transaction on " + name in said
    assert "docs/operate/runbook.md" in said
    waits = deployment.worker()
    await waits.until("serves http")
    await asyncio.sleep(3)
    assert (await asyncio.to_thread(waits.get, "/ready"))[0] == 503, waits.said()
    await stranger.abort_transaction()
    await stranger.stop()
    await waits.until("ready")
    assert await waits.stop() == 0


async def set_compaction(deployment: Deployment, *, is_on: bool) -> None:
    """The smallest segments that Kafka allows; compaction as eager as can be, or held back."""
    topic = deployment.settings.updates_topic
    wanted = topics.configuration(deployment.settings)[topic] | {
        "segment.bytes": "1048576",
        "min.cleanable.dirty.ratio": "0.01" if is_on else "1.0",
        "delete.retention.ms": "0",
    }
    async with clients.open_admin(deployment.settings) as admin:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, wanted)
        [answer] = await admin.alter_configs([resource])
        assert answer.resources[0][0] == 0, answer


def turn_of(number: int, begin_ms: int) -> Iterator[Made]:
    """Two events of every account; then a quarter of them is forgotten."""
    for n in range(2 * ACCOUNTS):
        account = f"account-{n % ACCOUNTS}"
        yield event(account, "follow", f"{number}-{n}", begin_ms + n // 2, follower_id="f")
    for n in range(number, ACCOUNTS, 4):
        yield event(f"account-{n}", "forget", f"{number}-{n}-forget", begin_ms + ACCOUNTS)


def event(account: str, action: str, event_id: str, at_ms: int, **more: str) -> Made:
    """A record of the input."""
    fields = {"event_id": event_id, "account_id": account, "action": action, "occurred_at": at_ms}
    return Made(account.encode(), json.dumps(fields | more).encode(), [], "event")


async def end_of_turn(deployment: Deployment, at_ms: int) -> None:
    """Time passes: all windows close, and the rows of forgotten accounts end: tombstones."""
    async with deployment.outbox() as outbox:
        outbox.put_everywhere(heartbeat(at_ms))
        await outbox.send()
        await outbox.settle()
    await deployment.caught_up()


async def test_compaction_during_the_restore(
    kafka: LocalBroker, unique: str, tmp_path: Path
) -> None:
    """Three times: rows, tombstones; then compaction begins while a restore reads them."""
    changes = {"session_timeout_s": SHORT_SESSION_S}
    world = disaster_of_broker(kafka, unique, tmp_path, CLEANER, **changes)
    async with world as (broker, deployment):
        updates = deployment.settings.updates_topic
        await set_compaction(deployment, is_on=False)
        worker = deployment.worker()
        begin_ms = int(time.time() * 1_000) - 20 * DAY_MS
        for number in range(3):
            await deployment.produce(turn_of(number, begin_ms + 4 * number * DAY_MS))
            await end_of_turn(deployment, begin_ms + (4 * number + 3) * DAY_MS)
            await worker.kill()
            before = size_of(broker, updates)
            go = tmp_path / f"go-{number}"
            worker = deployment.worker(code=HELD_RESTORE.format(go=go) + RUN)
            await worker.until("restore step=read the rows")
            await set_compaction(deployment, is_on=True)
            patience = Patience("compaction")
            while size_of(broker, updates) >= before:
                assert worker.process.poll() is None, worker.said()
                patience.look(size_of(broker, updates))
                await asyncio.sleep(0.02)
            assert not opened(worker), "the restore was over before the compaction had begun"
            go.touch()
            await worker.until("ready")
            await set_compaction(deployment, is_on=False)
        assert await worker.stop() == 0
        await recovers(deployment)
