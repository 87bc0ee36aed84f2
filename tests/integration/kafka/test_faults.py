"""Hurt the service on a real Kafka; afterwards every number is right (G1 to G5).

Processes are hurt by pid. Where a moment must be hit exactly (a batch queued while the revoke
arrives, a generation missed), the worker's own `Shards` run in the test, with real journals and
readers.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced

from service.contract.results import Source
from service.counting import Engine
from service.kafka import clients
from service.metrics.observed import Metrics
from service.runtime.journal_transactional import MAX_SEQUENCE, TransactionalJournal
from service.runtime.shard import Shard
from service.runtime.shard_factory import ShardFactory
from service.runtime.shards import Shards
from service.settings import Settings
from tests.support.deployment import Deployment, Worker
from tests.support.deployment_fixtures import SHORT_SESSION_S, Deploy
from tests.support.patience import Patience, until
from tests.support.traffic import mixed, owners, sending, some_committed

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

PARTITIONS = range(4)


async def one_that_stands_by(*workers: Worker) -> Worker:
    """Wait until all workers but one run a shard each. Return the one."""
    patience = Patience("one worker to stand by")
    while True:
        held = [await asyncio.to_thread(worker.running) for worker in workers]
        if sum(map(len, held)) == len(workers) - 1 and held.count(set()) == 1:
            return workers[held.index(set())]
        patience.look(held)
        await asyncio.sleep(0.1)


def generation(worker: Worker) -> str:
    """Of the group, as a worker says: a rebalance makes another one."""
    lines = worker.get("/metrics")[1].splitlines()
    [line] = [one for one in lines if one.startswith("netfollowers_group_generation ")]
    return line


async def test_two_workers_and_rebalances_in_the_middle(deployed: Deploy) -> None:
    deployment = await deployed()
    first = deployment.worker()
    await first.until("ready")
    async with sending(deployment):
        await some_committed(deployment, at_least=2_000)
        second = deployment.worker()
        await owners(first, second)
        await some_committed(deployment, at_least=6_000)
        assert await first.stop() == 0
        await owners(second)
        third = deployment.worker()
        await owners(second, third)
    await deployment.caught_up()
    assert [await second.stop(), await third.stop()] == [0, 0]
    await deployment.audit()


async def test_each_that_joins_takes_a_share_and_one_too_many_stands_by(deployed: Deploy) -> None:
    """Four partitions: Faust's standby replicas would leave the third worker idle."""
    deployment = await deployed(session_timeout_s=SHORT_SESSION_S)
    workers = [deployment.worker(), deployment.worker()]
    async with sending(deployment):
        await owners(*workers)
        workers.append(deployment.worker())
        assert sorted(map(len, await owners(*workers))) == [1, 1, 2]
        workers.append(deployment.worker())
        await owners(*workers)
        spare = deployment.worker()
        await spare.until("ready")
        await some_committed(deployment, at_least=6_000)
        idle = await one_that_stands_by(*workers, spare)
        await idle.until("ready")  # a deploy that waits for it must continue
        busy = [worker for worker in (*workers, spare) if worker is not idle]
        await busy[0].kill()
        await owners(*busy[1:], idle)
    await deployment.caught_up()
    assert [await worker.stop() for worker in (*busy[1:], idle)] == [0, 0, 0, 0]
    await deployment.audit()


async def test_the_owner_is_killed_in_the_middle(deployed: Deploy) -> None:
    deployment = await deployed(session_timeout_s=SHORT_SESSION_S)
    first, second = deployment.worker(), deployment.worker()
    async with sending(deployment):
        await owners(first, second)
        await some_committed(deployment, at_least=3_000)
        assert first.running()
        await first.kill()
        await owners(second)
    await deployment.caught_up()
    assert await second.stop() == 0
    await deployment.audit()


async def test_a_killed_worker_with_an_instance_id_is_back_without_a_rebalance(
    deployed: Deploy,
) -> None:
    deployment = await deployed(session_timeout_s=60.0)
    first, second = deployment.worker(instance_id="a"), deployment.worker(instance_id="b")
    async with sending(deployment):
        before = await owners(first, second)
        await some_committed(deployment, at_least=2_000)
        assigned = await asyncio.to_thread(generation, second)
        await first.kill()
        again = deployment.worker(instance_id="a")
        assert await owners(again, second) == before
        assert await asyncio.to_thread(generation, second) == assigned
    await deployment.caught_up()
    assert [await again.stop(), await second.stop()] == [0, 0]
    await deployment.audit()


async def has_uncommitted(deployment: Deployment, worker: Worker) -> None:
    """Wait until a worker has counted more than it has committed."""
    patience = Patience("events that are counted and not committed")
    while True:
        committed = await deployment.committed()
        gauges = await worker.gauges()
        assert gauges is not None, worker.said()
        counted = {number: sum(of.values()) for number, of in gauges.by_partition.items()}
        if any(
            counted[number] > at.offset for number, at in committed.items() if number in counted
        ):
            return
        patience.look(counted)
        await asyncio.sleep(0.02)


async def test_a_frozen_worker_that_wakes_up_cannot_write(deployed: Deploy) -> None:
    deployment = await deployed(session_timeout_s=SHORT_SESSION_S)
    zombie, heir = deployment.worker(flush_interval_s=5.0), deployment.worker()
    async with sending(deployment):
        held, _ = await owners(zombie, heir)
        await some_committed(deployment, at_least=2_000)
        assert held
        await has_uncommitted(deployment, zombie)  # else it wakes up with nothing to write
        zombie.signal(signal.SIGSTOP)
        await owners(heir)
        await some_committed(deployment, at_least=8_000)
        zombie.signal(signal.SIGCONT)
        assert await zombie.ended() == 70
        assert "exit: a checkpoint failed" in zombie.said()
    await deployment.caught_up()
    assert await heir.stop() == 0
    await deployment.audit()


async def test_sigint_is_a_clean_stop_too(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = deployment.worker()
    await worker.until("ready")
    await deployment.produce(mixed(5_000))
    await some_committed(deployment, at_least=1)
    worker.signal(signal.SIGINT)
    assert await worker.ended() == 0
    again = deployment.worker()
    await again.until("ready")
    await deployment.caught_up()
    assert await again.stop() == 0
    await deployment.audit()


# ---- moments that must be hit exactly: the worker's shards, in this process


class FailedError(Exception):
    """The worker would have ended."""


class InProcess:
    """`Shards` of a worker without Faust: the test decides when a batch is taken."""

    def __init__(self, settings: Settings) -> None:
        self.failed: list[BaseException | None] = []
        self.shards: Shards[Engine] = Shards(self._fail)
        self.settings = settings
        self.shards.new_shard = ShardFactory(
            settings=settings,
            partitions=4,
            new_engine=self._engine,
            queue=self.shards.queue,
            new_observer=Metrics().for_shard,
            fail=self._fail,
        )

    def _engine(self, partition: int) -> Engine:
        return Engine(
            self.settings.rules,
            Source(self.settings.input_topic, partition),
            topics=self.settings.result_topics,
            settings=self.settings.fingerprint(4),
        )

    def _fail(self, what: str, error: BaseException | None) -> None:
        self.failed.append(error or FailedError(what))

    async def running(self) -> None:
        """Wait until all that is assigned runs."""
        await until(lambda: self.shards.is_ready, "all shards to run", self._moves)

    async def queued(self, batches: int) -> None:
        """Wait until this number of batches waits to be taken."""
        queue = self.shards.queue
        await until(lambda: queue.qsize() >= batches, f"{batches} batches", queue.qsize)

    async def count(self) -> tuple[int, int]:
        """Take batches and checkpoint up to the end of the input. Return (taken, dropped)."""
        taken = dropped = 0
        ends, patience = await self._ends(), Patience("all records to be counted")
        while not self.failed and not self._are_committed(ends):
            patience.look(self._moves())
            with suppress(TimeoutError):
                batch = await asyncio.wait_for(self.shards.queue.get(), 0.02)
                shard = self.shards.owner(batch)
                if shard is None:
                    dropped += 1
                else:
                    shard.take(batch)
                    taken += 1
            self.shards.checkpoint_due()
        return taken, dropped

    async def _ends(self) -> dict[int, int]:
        topic = self.settings.input_topic
        reader = clients.consumer(self.settings)
        await reader.start()
        try:
            found = await reader.end_offsets([TopicPartition(topic, one) for one in PARTITIONS])
        finally:
            await reader.stop()
        return {tp.partition: end for tp, end in found.items()}

    def _are_committed(self, ends: dict[int, int]) -> bool:
        return all(shard.committed_offset >= ends[shard.partition] for shard in self.shards)

    def _moves(self) -> object:
        return [
            (one.partition, one.state, one.restored_part, one.committed_offset)
            for one in self.shards
        ]


async def test_a_batch_queued_while_the_revoke_arrives_is_dropped_and_read_again(
    deployed: Deploy,
) -> None:
    deployment = await deployed(batch_records=500)
    await deployment.produce(mixed(20_000))
    worker = InProcess(deployment.settings)
    worker.shards.assign(PARTITIONS)
    await worker.queued(4)
    await worker.shards.revoke()
    assert worker.shards.queue.qsize() >= 4
    worker.shards.assign(PARTITIONS)
    await worker.running()
    _, dropped = await worker.count()
    assert dropped >= 4
    await worker.shards.stop()
    assert not worker.failed
    await deployment.caught_up()
    await deployment.audit()


async def test_a_worker_that_missed_a_generation_opens_its_partition_anew(
    deployed: Deploy,
) -> None:
    deployment = await deployed(batch_records=500)
    await deployment.produce(mixed(10_000))
    misser, other = InProcess(deployment.settings), InProcess(deployment.settings)
    misser.shards.assign(PARTITIONS)
    await misser.running()
    await misser.count()
    await misser.shards.revoke()
    other.shards.assign(PARTITIONS)
    await deployment.produce(mixed(10_000, seed=2))
    await other.running()
    await other.count()
    await other.shards.stop()
    before = [shard.engine for shard in misser.shards]
    misser.shards.assign(PARTITIONS)
    await misser.running()
    assert all(shard.engine not in before for shard in misser.shards)
    await deployment.produce(mixed(10_000, seed=3))
    await misser.count()
    await misser.shards.stop()
    assert not misser.failed
    assert not other.failed
    await deployment.caught_up()
    await deployment.audit()


async def test_a_retained_shard_goes_on_with_its_memory(deployed: Deploy) -> None:
    deployment = await deployed(batch_records=500)
    await deployment.produce(mixed(10_000))
    worker = InProcess(deployment.settings)
    worker.shards.assign(PARTITIONS)
    await worker.running()
    await worker.count()
    before = [shard.engine for shard in worker.shards]
    for _ in range(3):
        await worker.shards.revoke()
        worker.shards.assign(PARTITIONS)
    await worker.running()
    assert [shard.engine for shard in worker.shards] == before
    await deployment.produce(mixed(10_000, seed=2))
    await worker.count()
    await worker.shards.stop()
    assert not worker.failed
    await deployment.caught_up()
    await deployment.audit()


async def test_an_earlier_owner_is_fenced_by_the_open_of_the_next(deployed: Deploy) -> None:
    deployment = await deployed(batch_records=500)
    await deployment.produce(mixed(10_000))
    earlier, later = InProcess(deployment.settings), InProcess(deployment.settings)
    earlier.shards.assign(PARTITIONS)
    await earlier.queued(4)
    later.shards.assign(PARTITIONS)
    await later.running()
    await earlier.count()
    assert any(isinstance(error, ProducerFenced) for error in earlier.failed), earlier.failed
    await later.count()
    await later.shards.stop()
    assert not later.failed
    await deployment.caught_up()
    await deployment.audit()
    await asyncio.gather(*(shard.close() for shard in earlier.shards))


async def test_a_partition_given_back_while_it_opens_is_let_go(deployed: Deploy) -> None:
    deployment = await deployed()
    await deployment.produce(mixed(5_000))
    worker = InProcess(deployment.settings)
    for turn in range(12):
        worker.shards.assign(PARTITIONS)
        await asyncio.sleep(0.02 * (turn % 3))
        await worker.shards.revoke()
        worker.shards.assign([])
        await asyncio.sleep(0.02 * (turn % 2))
    worker.shards.assign(PARTITIONS)
    await worker.running()
    await worker.count()
    await worker.shards.stop()
    assert not worker.failed
    await deployment.caught_up()
    await deployment.audit()


async def test_sequence_numbers_near_their_end_are_left_for_a_new_producer(
    deployed: Deploy,
) -> None:
    """A broker takes any first number, and aiokafka would wrap wrongly at 2^31."""
    deployment = await deployed(batch_records=500)
    worker = InProcess(deployment.settings)
    worker.shards.assign(PARTITIONS)
    await worker.running()
    before = {shard.partition: numbers(shard) for shard in worker.shards}
    for partition, taken in before.items():
        for topic in deployment.settings.result_topics:
            taken[TopicPartition(topic, partition)] = MAX_SEQUENCE - 100
    await deployment.produce(mixed(20_000))
    await worker.count()
    for shard in worker.shards:
        assert max(before[shard.partition].values()) > MAX_SEQUENCE, "it was never reached"
    await deployment.produce(mixed(4_000, seed=2))  # the new producers, too, have sent something
    await worker.count()
    for shard in worker.shards:
        assert 0 < max(numbers(shard).values()) < 100_000
    await worker.shards.stop()
    assert not worker.failed
    await deployment.caught_up()
    await deployment.audit()


def numbers(shard: Shard[Engine]) -> dict[TopicPartition, int]:
    """The next sequence numbers of the shard's present producer."""
    kept = shard._journal
    assert isinstance(kept, TransactionalJournal)
    assert kept._producer is not None
    found: dict[TopicPartition, int] = kept._producer._txn_manager._sequence_numbers
    return found
