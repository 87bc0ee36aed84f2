"""What we override or reach into in Faust and aiokafka: each fails here when a library changes."""

from __future__ import annotations

import asyncio
import inspect
import re
from importlib.metadata import version
from itertools import islice
from typing import Any

import aiokafka.producer.sender
import aiokafka.producer.transaction_manager
import faust.streams
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import ProducerFenced
from aiokafka.structs import OffsetAndMetadata
from faust.tables import TableManager
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.drivers import aiokafka as driver

from service.app import build
from service.counting import Checkpoint, Counts, Publisher, Sealed
from service.counting.checkpoint import SweepPosition
from service.kafka import clients
from service.kafka.aiokafka_ext.raw_records import raw_consumer
from service.kafka.faust_ext.transport import BatchConsumer, PausingListener
from service.runtime import journal_transactional as journal
from service.settings import Settings
from service.synthetic.events import Shape, Synthetic
from tests.integration.kafka.test_faults import InProcess
from tests.support.deployment import Worker
from tests.support.deployment_fixtures import Deploy
from tests.support.patience import SILENCE_S, Patience, until
from tests.support.traffic import mixed, trickle

PARTITIONS = range(4)


def test_the_libraries_are_the_ones_that_were_read() -> None:
    assert version("faust-streaming") == "0.15.3"
    assert version("aiokafka") == "0.14.0"


def test_fausts_compiled_stream_iterator_is_there() -> None:
    """The pure Python one acks events that it skips."""
    assert faust.streams._CStreamIterator is not None


@pytest.mark.parametrize(
    "name",
    ["perform_seek", "commit", "ack", "_add_gap", "getmany", "verify_event_path",
     "on_partitions_revoked", "on_partitions_assigned"],
)  # fmt: skip
def test_what_the_transport_overrides_is_still_called_so(name: str) -> None:
    ours, theirs = getattr(BatchConsumer, name), getattr(driver.Consumer, name)
    assert ours is not theirs
    taken = [
        p for p in inspect.signature(ours).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    known = list(inspect.signature(theirs).parameters)
    assert [one.name for one in taken] == known[: len(taken)]


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (FaustConsumer._drain_messages, "self._add_gap"),
        (FaustConsumer._drain_messages, "getmany(timeout="),
        (driver.AIOKafkaConsumerThread, ".RebalanceListener(self)"),
        (driver.ConsumerRebalanceListener, "_ensure_consumer()"),
        (TableManager.on_start, "self.sleep(1.0)"),
        (TableManager.on_start, "await self._update_channels()\n            await self.recovery"),
        (fetcher.PartitionRecords._unpack_records, "self._consumer_record(tp, record)"),
        (fetcher.FetchResult.getall, "self._update_position()"),
        (aiokafka.producer.sender, "BACKOFF_OVERRIDE"),
        (aiokafka.conn, "asyncio.StreamReader(limit=READER_LIMIT"),
        (aiokafka.producer.transaction_manager.TransactionManager, "self._sequence_numbers"),
        (GroupCoordinator, "async def fetch_committed_offsets(self, partitions)"),
        (GroupCoordinator, "offsets = await self._do_fetch_commit_offsets(partitions)"),
        (AIOKafkaClient, "async def _wait_on_metadata(self, topic)"),
    ],
)
def test_what_we_reach_into_is_still_there(where: Any, name: str) -> None:
    assert name in inspect.getsource(where)


def test_a_transaction_does_not_wait_twenty_milliseconds_for_the_next() -> None:
    aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.02
    clients.tune_transactions()
    assert aiokafka.producer.sender.BACKOFF_OVERRIDE == clients.TRANSACTION_BACKOFF_S
    text = inspect.getsource(aiokafka.producer.sender)
    assert text.count("BACKOFF_OVERRIDE") >= 2, "it is not read any more"


def checkpoints(worker: Worker) -> float:
    """How many it has made."""
    metric = r"^netfollowers_checkpoint_duration_seconds_count.* ([0-9.]+)$"
    return sum(map(float, re.findall(metric, worker.get("/metrics")[1], re.MULTILINE)))


@pytest.mark.broker
async def test_no_transaction_is_refused_while_another_of_its_requests_is_noted(
    deployed: Deploy,
) -> None:
    """KIP-890: records sent beside the group's offsets were refused in 3 commits of 100."""
    deployment = await deployed(flush_interval_s=0.02)
    worker = deployment.worker()
    await worker.until("ready")
    records, patience = mixed(1_000_000), Patience("200 checkpoints, fewer are too few to tell")
    while (count := checkpoints(worker)) < 200:
        patience.look(count)
        await trickle(deployment, islice(records, 2_000), per_step=100)
    await deployment.caught_up()
    assert "Got error produce response" not in worker.said()
    assert await worker.stop() == 0


@pytest.mark.broker
async def test_a_commit_that_is_fenced_while_it_sends_says_so(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Aiokafka answers the next send with an IllegalOperation: the log would hide the fence."""
    settings = (await deployed()).settings
    topics = settings.result_topics
    earlier, later = (
        journal.TransactionalJournal(settings, 0, 4, Publisher(topics)) for _ in range(2)
    )
    for one in (earlier, later):
        restored = await one.open(lambda checkpoint: checkpoint.position)
        await restored.recent.aclose()
    assert earlier._producer is not None
    send = earlier._producer.send_batch
    sent: list[asyncio.Future[Any]] = []

    async def slowly(batch: Any, topic: str, *, partition: int) -> Any:
        if sent:
            await asyncio.wait(sent)
        sent.append(await send(batch, topic, partition=partition))
        return sent[-1]

    monkeypatch.setattr(earlier._producer, "send_batch", slowly)
    checkpoint = Checkpoint(7, -1, Counts(), SweepPosition(), {})
    sealed = Sealed(checkpoint, topics, [(b"a", b"{}")], [(b"a", b"{}")], late=[], rejected=[])
    with pytest.raises(ProducerFenced):
        await earlier.commit(sealed)
    assert len(sent) == 1
    await asyncio.gather(earlier.close(), later.close())


@pytest.mark.broker
@pytest.mark.parametrize("is_committed", [True, False])
async def test_a_commit_is_read_when_no_transaction_can_change_it_any_more(
    deployed: Deploy, *, is_committed: bool
) -> None:
    """KIP-447: aiokafka alone would answer with what was before the transaction."""
    settings = (await deployed()).settings
    publisher = Publisher(settings.result_topics)
    kept = journal.TransactionalJournal(settings, 0, 4, publisher)
    before = Checkpoint(3, -1, Counts(), SweepPosition(), {})
    after = Checkpoint(7, -1, Counts(), SweepPosition(), {})
    writer = clients.transactional_producer(settings, f"{settings.app_id}-writer")
    await writer.start()
    for checkpoint in (before, after):
        await writer.begin_transaction()
        offset = OffsetAndMetadata(checkpoint.position, checkpoint.to_metadata())
        await writer.send_offsets_to_transaction({kept.source: offset}, settings.app_id)
        if checkpoint is before:
            await writer.commit_transaction()
            assert await kept.committed() == before
    asking = asyncio.create_task(kept.committed())
    await asyncio.sleep(1)
    assert not asking.done(), "it may still change"
    await (writer.commit_transaction() if is_committed else writer.abort_transaction())
    assert await asyncio.wait_for(asking, SILENCE_S) == (after if is_committed else before)
    await writer.stop()


@pytest.mark.broker
async def test_raw_records_come_from_raw_consumers_only(deployed: Deploy) -> None:
    deployment = await deployed()
    await deployment.produce(list(Synthetic(Shape()).at(1_700_000_000_000, 10)))
    kinds = {}
    for make in (raw_consumer, clients.consumer, raw_consumer):
        reader: AIOKafkaConsumer = make(deployment.settings, auto_offset_reset="earliest")
        await reader.start()
        reader.assign([TopicPartition(deployment.settings.input_topic, p) for p in PARTITIONS])
        found = await reader.getmany(timeout_ms=round(SILENCE_S * 1_000))
        record = next(iter(found.values()))[0]
        assert isinstance(record.offset, int)
        assert isinstance(record.timestamp, int)
        assert isinstance(record.key, bytes)
        assert isinstance(record.value, bytes)
        assert record.headers in ([], ())
        kinds[make.__name__] = type(record)
        await reader.stop()
    assert kinds["consumer"] is ConsumerRecord
    assert kinds["raw_consumer"] is not ConsumerRecord


@pytest.mark.broker
@pytest.mark.transactions
async def test_fausts_own_consumer_is_paused_and_fetches_nothing(deployed: Deploy) -> None:
    deployment = await deployed()
    await deployment.produce(list(Synthetic(Shape()).at(1_700_000_000_000, 1_000)))
    failed: list[Any] = []
    worker = build(deployment.settings, partitions=4, fail=lambda *why: failed.append(why))
    await worker.app.start()
    try:
        await until(lambda: worker.shards.is_ready, "all shards to run")
        await deployment.caught_up()
        consumer = worker.app.consumer._thread._consumer
        partitions = {TopicPartition(deployment.settings.input_topic, p) for p in PARTITIONS}
        assert consumer.assignment() == partitions
        assert consumer.paused() == partitions
        assert not consumer._fetcher._records
        assert [consumer.highwater(tp) for tp in partitions] == [None] * 4
        assert isinstance(consumer._subscription.listener, PausingListener)
    finally:
        await worker.shards.stop()
        await worker.app.stop()
    assert not failed
    await deployment.audit()


def test_two_workers_can_be_built_in_one_process_and_connect_to_nothing() -> None:
    settings = Settings(brokers="127.0.0.1:9")
    first, second = build(settings, partitions=4), build(settings, partitions=4)
    assert first.app is not second.app
    assert first.metrics.registry is not second.metrics.registry


@pytest.mark.broker
@pytest.mark.transactions
async def test_the_producer_is_renewed_before_its_sequence_wraps(deployed: Deploy) -> None:
    """Aiokafka wraps wrongly at 2^31; the broker then answers UnknownError."""
    deployment = await deployed(batch_records=200)
    worker = InProcess(deployment.settings)
    worker.shards.assign(PARTITIONS)
    await worker.running()
    await deployment.produce(list(Synthetic(Shape(accounts=500)).at(1_700_000_000_000, 4_000)))
    before = {}
    for shard in worker.shards:
        kept = shard._journal
        assert isinstance(kept, journal.TransactionalJournal)
        assert kept._producer is not None
        before[shard.partition] = kept._producer
    original, journal.MAX_SEQUENCE = journal.MAX_SEQUENCE, 10  # type: ignore[misc]
    try:
        await worker.count()
        renewed = [s._journal._producer is not before[s.partition] for s in worker.shards]  # type: ignore[attr-defined]
    finally:
        journal.MAX_SEQUENCE = original  # type: ignore[misc]
    await deployment.produce(
        list(Synthetic(Shape(seed=2, accounts=500)).at(1_700_000_001_000, 4_000))
    )
    await worker.count()
    await worker.shards.stop()
    assert renewed == [True] * 4
    assert not worker.failed
    await deployment.audit()
