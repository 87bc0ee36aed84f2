"""The example clients, each in its own language, against a real Kafka and each other's output."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from service.kafka.partitioning import partition_of
from service.local.broker import LocalBroker
from service.synthetic.events import heartbeat
from tests.integration.examples.clients import CLIENTS, Client, Said, run
from tests.integration.examples.table import ROW, WINDOW, due, lines, read
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.optional import skip

pytestmark = [
    pytest.mark.broker,
    pytest.mark.transactions,
]

PARTITIONS = 5
"""No power of two: there a partitioner that forgets to clear the sign would not show."""
MINUTE_MS = 60_000
DAY_MS = 86_400_000
ODD_IDS = ("ümläut", "\U0001f600", "\uff5e", '<a href="b">&', "back\\slash", "a", "ab")
Lines = list[bytes]


@pytest.fixture(scope="session")
def clients(kafka: LocalBroker) -> list[Client]:
    """Build and return every example that this machine can run. Empty without a Kafka."""
    assert kafka.has_transactions
    found = [one for one in CLIENTS if not one.lacks()]
    for client in found:
        client.prepare()
    return found


@pytest.mark.parametrize("client", CLIENTS, ids=lambda one: one.name)
def test_the_toolchain_of_an_example_is_here(client: Client) -> None:
    lacks = client.lacks()
    if lacks:
        skip(f"examples in {client.name}: {lacks}")


@pytest.mark.parametrize("client", CLIENTS, ids=lambda one: one.name)
def test_an_example_is_short(client: Client) -> None:
    lengths = {name: len((client.home / name).read_text().splitlines()) for name in client.sources}
    assert max(lengths.values()) < 80, lengths


def test_the_lock_of_node_names_no_place_to_fetch_from() -> None:
    node = next(one for one in CLIENTS if one.name == "node")
    assert "://" not in (node.home / "package-lock.json").read_text()


def events(rng: random.Random, count: int, start_ms: int, span_ms: int) -> Iterator[bytes]:
    """Events in their order with 3 % sent again at once, 2 % delayed, some past their keep."""
    accounts = [*ODD_IDS, *(f"account-{n}" for n in range(50))]
    for n in range(count):
        at = start_ms + n * span_ms // count
        at -= rng.choice((5, 20)) * MINUTE_MS if rng.random() < 0.02 else 0
        event: dict[str, Any] = {
            "event_id": f"{start_ms}-{n}",
            "account_id": rng.choice(accounts),
            "follower_id": f"follower-{rng.randrange(500)}",
            "action": rng.choices(("follow", "unfollow"), (3, 2))[0],
            "occurred_at": at,
        }
        if n % 97 == 0:
            del event["follower_id"]
            event |= {"action": "baseline", "followers": rng.randrange(10_000)}
        line = json.dumps(event, ensure_ascii=rng.random() < 0.5).encode()
        yield from [line] * (2 if rng.random() < 0.03 else 1)


async def send(client: Client, deployment: Deployment, share: Lines) -> None:
    """Let a producer send its share."""
    settings = deployment.settings
    where = {"BOOTSTRAP": settings.brokers, "INPUT_TOPIC": settings.input_topic}
    said = await run(client, client.producer, b"\n".join(share) + b"\n", **where)
    assert said.code == 0, f"{client.name}: {said.errors}"


async def print_all(clients: list[Client], **where: str) -> dict[str, Said]:
    """Let every consumer print, all at the same time."""
    said = await asyncio.gather(*(run(one, one.consumer, b"", **where) for one in clients))
    return {client.name: one for client, one in zip(clients, said, strict=True)}


def assert_all_print(table: bytes, said: dict[str, Said]) -> None:
    """Each of them, byte for byte."""
    for name, one in said.items():
        assert one.code == 0, f"{name}: {one.errors}"
        assert one.out.decode().splitlines() == table.decode().splitlines(), name
        assert one.out == table, name


async def test_whoever_sends_and_whoever_reads_it_is_the_table_of_the_model(
    clients: list[Client], deployed: Deploy
) -> None:
    deployment = await deployed(partitions=PARTITIONS)
    worker = deployment.worker()
    rng, sent = random.Random(7), 0
    start_ms = (int(time.time() * 1_000) - 6 * DAY_MS) // DAY_MS * DAY_MS
    for hour in (1, 4):  # ten minutes each, which every producer sends a share of
        made = list(events(rng, 2_000, start_ms + hour * 60 * MINUTE_MS, 10 * MINUTE_MS))
        for n, client in enumerate(clients):  # so time goes back, and finals are corrected
            await send(client, deployment, made[n :: len(clients)])
            if n == 0:
                await deployment.caught_up()
        sent += len(made)
    async with deployment.outbox() as outbox:
        outbox.put_everywhere(heartbeat(start_ms + 3 * DAY_MS))
        await outbox.send()
        await outbox.settle()
    await deployment.finish(worker)

    settings = deployment.settings
    log = await read(settings.brokers, settings.input_topic)
    keyed = [one for one in log if one.key is not None]
    assert len(keyed) == sent
    misplaced = [one for one in keyed if one.partition != partition_of(one.key, PARTITIONS)]
    assert not misplaced, "accounts in partitions that are not murmur2's"
    table, outcomes = due(log)
    assert all(outcomes[name] > 10 for name in ("applied", "duplicate", "late")), outcomes
    results = [
        json.loads(one.value) for one in await read(settings.brokers, settings.windows_topic)
    ]
    places = Counter(tuple(one[name] for name in WINDOW[:3]) for one in results)
    assert max(places.values()) > 1, "no window was corrected"

    said = await print_all(
        clients,
        BOOTSTRAP=settings.brokers,
        UPDATES_TOPIC=settings.updates_topic,
        WINDOWS_TOPIC=settings.windows_topic,
    )
    assert_all_print(table, said)


def row(
    account_id: str, gained: int, lost: int = 0, followers: int | None = None
) -> dict[str, Any]:
    return dict(zip(ROW, (account_id, gained, lost, gained - lost, followers), strict=True))


def window(place: tuple[str, str, int], gained: int, revision: int) -> dict[str, Any]:
    return dict(zip(WINDOW, (*place, gained, 0, gained, revision), strict=True))


class Pen:
    """Writes by hand, in transactions of one producer, what a reader may find."""

    def __init__(self, producer: AIOKafkaProducer, updates: str, windows: str) -> None:
        """Take a started transactional producer."""
        self.producer = producer
        self.updates = updates
        self.windows = windows

    @asynccontextmanager
    async def transaction(self, *, aborted: bool = False) -> AsyncIterator[None]:
        """Commit what is written inside, or abort it."""
        await self.producer.begin_transaction()
        yield
        await self.producer.flush()
        if aborted:
            await self.producer.abort_transaction()
        else:
            await self.producer.commit_transaction()

    async def rows(self, *rows: dict[str, Any], partition: int = 0) -> None:
        for one in rows:
            await self._put(self.updates, one["account_id"].encode(), one, partition)

    async def bare(self, key: bytes, value: dict[str, Any] | None) -> None:
        """Write a tombstone, or a checkpoint under the empty key."""
        await self._put(self.updates, key, value, 0)

    async def results(self, *results: dict[str, Any], partition: int = 0) -> None:
        """Write window results."""
        for one in results:
            await self._put(self.windows, one["account_id"].encode(), one, partition)

    async def _put(self, topic: str, key: bytes, value: Any, partition: int) -> None:
        encoded = None if value is None else json.dumps(value).encode()
        await self.producer.send(topic, key=key, value=encoded, partition=partition)


@asynccontextmanager
async def admin_of(brokers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def pen_of(brokers: str, unique: str) -> AsyncIterator[Pen]:
    """Two result topics of three partitions, and a pen for them."""
    pen = Pen(
        AIOKafkaProducer(bootstrap_servers=brokers, transactional_id=unique),
        f"{unique}-updates",
        f"{unique}-windows",
    )
    async with admin_of(brokers) as admin:
        await admin.create_topics([NewTopic(name, 3, 1) for name in (pen.updates, pen.windows)])
    await pen.producer.start()
    try:
        yield pen
    finally:
        await pen.producer.stop()


async def test_readers_heed_tombstones_revisions_checkpoints_and_aborted_transactions(
    clients: list[Client], kafka: LocalBroker, unique: str
) -> None:
    early, late = ("a", "1m", 999_999_960_000), ("a", "1m", 1_000_000_020_000)
    async with pen_of(kafka.bootstrap, unique) as pen:
        async with pen.transaction():
            await pen.rows(row("a", 1), row("gone", 5), row("back", 7), row("\U0001f600", 2))
            await pen.rows(row("\uff5e", 3, 4, 0), row("b", 2**53 - 1), partition=1)
            await pen.bare(b"", {"position": 4, "metadata": "{}"})
            await pen.results(window(late, 10, 10), window(early, 2, 2), window(late, 9, 9))
        for again in range(2):  # of one producer, without and with a commit between
            async with pen.transaction(aborted=True):
                await pen.rows(row("a", 666), row("never", 666))
                await pen.bare(b"b", None)
                await pen.results(window(early, 666, 666), partition=again)
        async with pen.transaction():
            await pen.rows(row("a", 2, 1, 100))
            await pen.bare(b"gone", None)
            await pen.bare(b"back", None)
            await pen.results(window(early, 1, 1))
        async with pen.transaction():
            await pen.rows(row("back", 1))
            await pen.results(window(early, 0, 0), window(("a", "1h", 0), 1, 0))
            await pen.results(window(early, 3, 3), partition=2)  # then cut off, as by retention
        async with pen.transaction(aborted=True):  # nothing but its marker is behind it
            await pen.rows(row("a", 777))
            await pen.results(window(late, 777, 777))
        async with admin_of(kafka.bootstrap) as admin:
            cut = {TopicPartition(pen.windows, 2): RecordsToDelete(before_offset=-1)}
            await admin.delete_records(cut)
        where = {"UPDATES_TOPIC": pen.updates, "WINDOWS_TOPIC": pen.windows}
        said = await print_all(clients, BOOTSTRAP=kafka.bootstrap, **where)
        everything = await read(kafka.bootstrap, pen.updates, "read_uncommitted")
    assert any(b"777" in (one.value or b"") for one in everything), "nothing was aborted"
    rows = [row("a", 2, 1, 100), row("b", 2**53 - 1), row("back", 1)]
    rows += [row("\uff5e", 3, 4, 0), row("\U0001f600", 2)]
    windows = [window(("a", "1h", 0), 1, 0), window(early, 2, 2), window(late, 10, 10)]
    assert_all_print(lines(rows, windows), said)


async def test_what_cannot_be_delivered_or_is_no_event_ends_a_producer_with_an_error(
    clients: list[Client], kafka: LocalBroker, unique: str
) -> None:
    async with admin_of(kafka.bootstrap) as admin:
        small = {"max.message.bytes": "1000"}
        await admin.create_topics([NewTopic(unique, PARTITIONS, 1, topic_configs=small)])
    event = {"event_id": "e", "account_id": "a", "follower_id": "f", "action": "follow"}
    noise = random.Random(5).randbytes(5_000).hex()  # which no client can compress away
    refused = json.dumps({**event, "occurred_at": 1_700_000_000_000, "more": noise}).encode()
    where = {"BOOTSTRAP": kafka.bootstrap, "INPUT_TOPIC": unique}
    for text in (refused, b"not json", b'{"event_id": "e"}'):
        said = await asyncio.gather(
            *(run(one, one.producer, text + b"\n", **where) for one in clients)
        )
        for client, one in zip(clients, said, strict=True):
            assert one.code != 0, f"{client.name} took {text[:20]!r}"
            assert one.errors, f"{client.name} does not say why"
    assert not await read(kafka.bootstrap, unique)


async def test_without_its_partitioner_confluents_producer_would_split_accounts(
    clients: list[Client], deployed: Deploy
) -> None:
    confluent = next((one for one in clients if one.name == "python-confluent"), None)
    if confluent is None:
        skip("examples in python-confluent: no wheel of confluent-kafka")
    source = (confluent.home / "producer.py").read_text()
    without = source.replace('"partitioner": "murmur2_random",', "")
    assert without != source
    deployment = await deployed(partitions=PARTITIONS)
    share = list(events(random.Random(3), 300, 1_700_000_000_000, MINUTE_MS))
    settings = deployment.settings
    where = {"BOOTSTRAP": settings.brokers, "INPUT_TOPIC": settings.input_topic}
    command = (confluent.producer[0], "-c", without)
    said = await run(confluent, command, b"\n".join(share) + b"\n", **where)
    assert said.code == 0, said.errors
    log = await read(settings.brokers, settings.input_topic)
    assert len(log) == len(share)
    assert any(one.partition != partition_of(one.key, PARTITIONS) for one in log)
