"""What goes wrong beside requests: each act hurts a worker, and notes it when it struck."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final

from aiokafka.structs import OffsetAndMetadata, TopicPartition

from verify.simulation.faults import Kind
from verify.simulation.group import REBALANCE_TIMEOUT_S, SESSION_TIMEOUT_S
from verify.simulation.scenario import PARTITIONS
from verify.simulation.worker import Worker
from verify.simulation.world import Act, World

_GROUP_GONE_S: Final = SESSION_TIMEOUT_S + REBALANCE_TIMEOUT_S


async def _crash(world: World, worker: Worker, _: float) -> None:
    world.ledger.struck(Kind.CRASH)
    worker.end("kill -9", None)


async def _stop(world: World, worker: Worker, _: float) -> None:
    world.ledger.struck(Kind.STOP)
    await worker.stop()


async def _in_open(world: World) -> Worker | None:
    """Wait for a worker that has partitions and does not yet run them all."""
    found: list[Worker] = []

    def opening() -> bool:
        found[:] = [w for w in world.workers if w.can_be_heard and w.is_opening]
        return bool(found)

    return found[0] if await world.until(opening) else None


async def _crash_in_open(world: World, worker: Worker, choice: float) -> None:
    worker.end("kill -9", None)
    opener = await _in_open(world)
    await asyncio.sleep(choice * 0.1)
    if opener is not None and opener.can_be_heard and opener.is_opening:
        world.ledger.struck(Kind.CRASH_IN_OPEN)
        opener.end("kill -9 while opening", None)


async def _rebalance_in_open(world: World, _: Worker, choice: float) -> None:
    world.group.rebalance()
    opener = await _in_open(world)
    await asyncio.sleep(choice * 0.1)
    if opener is not None and opener.can_be_heard and opener.is_opening:
        world.ledger.struck(Kind.REBALANCE_IN_OPEN)
        world.group.rebalance()


async def _rebalance(world: World, _: Worker, __: float) -> None:
    world.ledger.struck(Kind.REBALANCE)
    world.group.rebalance()


async def _freeze(world: World, worker: Worker, choice: float) -> None:
    world.ledger.struck(Kind.FREEZE)
    worker.link.freeze()
    await asyncio.sleep(choice * SESSION_TIMEOUT_S * 0.6)
    worker.link.thaw()


async def _zombie(world: World, worker: Worker, choice: float) -> None:
    if len(world.workers) == 1:
        world.hire()
    epochs = {p: _epoch(world, p) for p in worker.running}
    worker.link.freeze()
    await asyncio.sleep(_GROUP_GONE_S + 1.0 + choice)
    if worker.link.is_alive and any(_epoch(world, p) != epoch for p, epoch in epochs.items()):
        world.ledger.struck(Kind.ZOMBIE)
    worker.link.thaw()


def _epoch(world: World, partition: int) -> int:
    writer = world.broker.writers.get(f"{world.names.app_id}-{partition}")
    return writer.epoch if writer else -1


async def _missed_generation(world: World, worker: Worker, choice: float) -> None:
    worker.is_deaf = True
    worker.is_slow = choice < 0.5  # it reads, and has nothing to commit when it is back
    if await world.until(lambda: not world.group.is_member(worker)) and worker.running:
        world.ledger.struck(Kind.MISSED_GENERATION)
    await asyncio.sleep(choice * 1.5)
    worker.is_deaf = False
    if worker.is_slow:
        await world.until(lambda: worker.shards.is_ready and world.group.is_member(worker), 3.0)
        worker.is_slow = False


async def _queued(world: World, worker: Worker, choice: float) -> None:
    worker.is_slow = True
    if await world.until(lambda: worker.queued, 2.0):
        world.group.rebalance()
        queued = False

        def is_revoked() -> bool:
            nonlocal queued
            queued = queued or bool(worker.shards.queue.qsize())
            return not worker.shards.assigned

        if await world.until(is_revoked, 2.0) and queued and worker.link.is_alive:
            world.ledger.struck(Kind.QUEUED_ACROSS_REVOKE)
            if choice < 0.5:  # it is taken only under the next assignment
                await world.until(lambda: worker.shards.is_ready, 3.0)
    worker.is_slow = False


async def _cut(world: World, worker: Worker, choice: float) -> None:
    world.ledger.struck(Kind.CUT)
    worker.link.cut()
    await asyncio.sleep(choice * 3.0)
    worker.link.mend()


async def _stale_fetch(world: World, worker: Worker, _: float) -> None:
    worker.link.stale_fetch = True
    world.group.rebalance()
    if await world.until(lambda: worker.link.was_misled):
        world.ledger.struck(Kind.STALE_FETCH)


async def _repeated_fetch(world: World, worker: Worker, _: float) -> None:
    worker.link.repeat_fetch = True
    if await world.until(lambda: not worker.link.repeat_fetch):
        world.ledger.struck(Kind.REPEATED_FETCH)


async def _compaction(world: World, _: Worker, __: float) -> None:
    topic = world.names.updates_topic
    logs = [world.broker.log(TopicPartition(topic, p)) for p in range(PARTITIONS)]
    if sum(log.compact() for log in logs):
        world.ledger.struck(Kind.COMPACTION)


async def _offsets_expired(world: World, worker: Worker, _: float) -> None:
    await _tamper(world, worker, Kind.OFFSETS_EXPIRED, lambda _: None)


async def _offsets_reset(world: World, worker: Worker, choice: float) -> None:
    def earlier(tp: TopicPartition) -> OffsetAndMetadata | None:
        newest = max(_row_offsets(world, tp.partition), default=-1)
        past = [at for at in world.history.get(tp, ()) if at.offset <= newest]
        return past[int(choice * len(past))] if past else None

    await _tamper(world, worker, Kind.OFFSETS_RESET, earlier)


async def _tamper(
    world: World,
    worker: Worker,
    kind: Kind,
    new: Callable[[TopicPartition], OffsetAndMetadata | None],
) -> None:
    """Kill an owner and change its committed offsets. Restore them when a worker has refused."""
    partitions = worker.running
    worker.end("kill -9", None)
    await asyncio.sleep(2 * world.broker.marker_delay_s)
    for partition in partitions:
        tp = TopicPartition(world.names.input_topic, partition)
        if world.tampered or tp not in world.broker.offsets or not _row_offsets(world, partition):
            continue
        value = new(tp)
        if value is None and kind is Kind.OFFSETS_RESET:
            continue
        world.tampered[tp] = world.broker.offsets.pop(tp)
        if value is not None:
            world.broker.offsets[tp] = value
        world.refused = False
        world.tampered_until = float("inf")
        if await world.until(lambda: world.refused, 20.0):
            world.ledger.struck(kind)
        if world.broker.offsets.get(tp) == value:
            world.broker.offsets[tp] = world.tampered[tp]
        await asyncio.sleep(0.5)  # a worker that had read them before refuses only now
        del world.tampered[tp]
        world.tampered_until = asyncio.get_running_loop().time()
        return


def _row_offsets(world: World, partition: int) -> list[int]:
    rows = world.broker.log(TopicPartition(world.names.updates_topic, partition)).visible()
    newest = {row.key: row.value for row in rows if row.key}
    return [json.loads(row)["offset"] for row in newest.values() if row]


ACTS: Final[dict[Kind, Act]] = {
    Kind.CRASH: _crash,
    Kind.CRASH_IN_OPEN: _crash_in_open,
    Kind.FREEZE: _freeze,
    Kind.ZOMBIE: _zombie,
    Kind.MISSED_GENERATION: _missed_generation,
    Kind.REBALANCE: _rebalance,
    Kind.REBALANCE_IN_OPEN: _rebalance_in_open,
    Kind.QUEUED_ACROSS_REVOKE: _queued,
    Kind.CUT: _cut,
    Kind.STALE_FETCH: _stale_fetch,
    Kind.REPEATED_FETCH: _repeated_fetch,
    Kind.OFFSETS_EXPIRED: _offsets_expired,
    Kind.OFFSETS_RESET: _offsets_reset,
    Kind.COMPACTION: _compaction,
    Kind.STOP: _stop,
}
