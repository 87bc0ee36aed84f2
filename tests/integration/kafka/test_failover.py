"""A worker goes and comes back, or goes for good: its partitions move without a rebalance.

`make failover` measures how long this takes. Here no test needs the end of a session: the
generation of the group stays the same, or the other workers say what has changed.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.kafka import group_admin as members
from service.local.worker_process import ROOT, environment
from service.synthetic.events import Shape, Synthetic
from tests.integration.kafka.test_faults import InProcess, generation
from tests.support.deployment import Deployment, Worker
from tests.support.deployment_fixtures import Deploy
from tests.support.patience import POLL_S, Patience, until
from tests.support.traffic import mixed, owners

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

SESSION_TIMEOUT_S = 60.0
PARTITIONS = frozenset(range(4))


async def netfollowers(deployment: Deployment, *words: str) -> tuple[int, str]:
    """Run a command. Return (exit code, everything it said)."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", *words),
        env=environment(deployment.settings),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@asynccontextmanager
async def live_input(deployment: Deployment) -> AsyncIterator[None]:
    """Events of now, a thousand per second, for as long as the block lasts."""
    source, ends = Synthetic(Shape(accounts=500, disorder_s=0.1)), asyncio.Event()

    async def send() -> None:
        async with deployment.outbox() as outbox:
            while not ends.is_set():
                outbox.put_all(source.at(int(time.time() * 1_000), 50))
                await outbox.send()
                await asyncio.sleep(0.05)
            await outbox.settle()

    sending = asyncio.create_task(send())
    try:
        yield
    finally:
        ends.set()
        await sending


async def positions(deployment: Deployment, partitions: set[int]) -> dict[int, int]:
    """Return the committed offset of each partition."""
    return {p: at.offset for p, at in (await deployment.committed()).items() if p in partitions}


async def moved_on(deployment: Deployment, partitions: set[int], before: dict[int, int]) -> None:
    """Wait until each of the partitions has a later commit."""
    patience = Patience("a later commit of each partition")
    async with deployment.commits() as commits:
        while True:
            now = {p: at.offset for p, at in (await commits.look()).items() if p in partitions}
            if all(now.get(p, 0) > before.get(p, 0) for p in partitions):
                return
            patience.look(now)
            await asyncio.sleep(POLL_S)


async def test_a_killed_worker_with_an_instance_id_counts_again_without_a_rebalance(
    deployed: Deploy,
) -> None:
    deployment = await deployed(session_timeout_s=SESSION_TIMEOUT_S, heartbeat_interval_s=3.0)
    first, second = deployment.worker(instance_id="a"), deployment.worker(instance_id="b")
    async with live_input(deployment):
        held, others = await owners(first, second)
        await moved_on(deployment, set(PARTITIONS), {})
        assigned = await asyncio.to_thread(generation, second)
        await first.kill()
        before = await positions(deployment, held)
        again = deployment.worker(instance_id="a")
        await moved_on(deployment, held, before)
        assert await owners(again, second) == [held, others]
        assert await asyncio.to_thread(generation, second) == assigned
    await deployment.caught_up()
    assert [await again.stop(), await second.stop()] == [0, 0]
    await deployment.audit()


async def test_all_workers_are_replaced_one_by_one_while_events_come(deployed: Deploy) -> None:
    deployment = await deployed(session_timeout_s=SESSION_TIMEOUT_S, heartbeat_interval_s=3.0)
    names = ("a", "b")
    workers = [deployment.worker(instance_id=name) for name in names]
    async with live_input(deployment):
        held = await owners(*workers)
        for number, name in enumerate(names):
            before = await positions(deployment, held[number])
            assert await workers[number].stop() == 0
            workers[number] = deployment.worker(instance_id=name)
            await moved_on(deployment, held[number], before)
        assert await owners(*workers) == held
    await deployment.caught_up()
    assert [await worker.stop() for worker in workers] == [0, 0]
    await deployment.audit()


async def two_static_workers(deployment: Deployment) -> tuple[Worker, Worker]:
    stays, goes = deployment.worker(instance_id="stays"), deployment.worker(instance_id="goes")
    await owners(stays, goes)
    return stays, goes


async def test_leave_hands_the_partitions_of_a_stopped_worker_to_the_others_at_once(
    deployed: Deploy,
) -> None:
    deployment = await deployed(session_timeout_s=SESSION_TIMEOUT_S)
    stays, goes = await two_static_workers(deployment)
    await deployment.produce(mixed(10_000))
    await deployment.caught_up()
    held = await asyncio.to_thread(stays.running)
    assert await goes.stop() == 0
    before = await positions(deployment, held)
    await deployment.produce(mixed(10_000, seed=3))
    await moved_on(deployment, held, before)
    assert await asyncio.to_thread(stays.running) == held  # it never leaves by itself
    code, said = await netfollowers(deployment, "leave", "goes")
    assert said == f"goes has left group {deployment.settings.app_id}; members now: 1\n"
    assert code == 0
    assert await owners(stays) == [PARTITIONS]
    await deployment.produce(mixed(10_000, seed=2))
    await deployment.finish_and_audit(stays)


async def test_leave_of_a_worker_that_is_not_there_says_who_is_and_exits_with_1(
    deployed: Deploy,
) -> None:
    deployment = await deployed()
    code, said = await netfollowers(deployment, "leave", "nobody")
    group = deployment.settings.app_id
    assert (code, said) == (
        1,
        f"netfollowers: group {group} has no member nobody; its members: none\n",
    )
    worker = await deployment.ready_worker(instance_id="somebody")
    code, said = await netfollowers(deployment, "leave", "nobody")
    assert code == 1
    assert f"group {group} has no member nobody; its members: somebody-" in said
    assert await worker.stop() == 0


async def test_leave_without_a_name_is_wrong_usage(deployed: Deploy) -> None:
    code, said = await netfollowers(await deployed(), "leave")
    assert code == 2
    assert "NETFOLLOWERS_INSTANCE_ID" in said


async def test_a_worker_that_runs_joins_again_after_leave(deployed: Deploy) -> None:
    """Named by mistake: no number is lost."""
    deployment = await deployed(heartbeat_interval_s=0.5)
    worker = await deployment.ready_worker(instance_id="a")
    await deployment.produce(mixed(5_000))
    assert await members.leave(deployment.settings, "a") == []
    await deployment.produce(mixed(5_000, seed=2))
    await deployment.caught_up()
    assert await owners(worker) == [PARTITIONS]
    assert await worker.stop() == 0
    await deployment.audit()


async def test_a_shard_that_is_let_go_is_freed_without_the_collector(deployed: Deploy) -> None:
    """The collector looks at young objects only: a table in a cycle would stay for ever."""
    deployment = await deployed()
    await deployment.produce(mixed(10_000))
    worker = InProcess(deployment.settings)
    gc.collect()
    gc.disable()
    try:
        worker.shards.assign(PARTITIONS)
        await worker.running()
        await worker.count()
        engines = [weakref.ref(shard.engine) for shard in worker.shards]
        await worker.shards.revoke()
        worker.shards.assign([])
        await until(lambda: not any(engine() for engine in engines), "every engine to be freed")
    finally:
        gc.enable()
    await worker.shards.stop()


async def test_of_two_workers_with_one_instance_id_one_ends_and_says_so(deployed: Deploy) -> None:
    deployment = await deployed(heartbeat_interval_s=0.5)
    first = deployment.worker(instance_id="same")
    async with live_input(deployment):
        await first.until("ready")
        second = deployment.worker(instance_id="same")
        ends = [asyncio.create_task(worker.ended()) for worker in (first, second)]
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        loser, stays = (first, second) if ends[0] in done else (second, first)
        assert loser.process.returncode == 70
        assert "exit: " in loser.said()
        await owners(stays)
    await deployment.finish(stays)
    await asyncio.gather(*ends)
    await deployment.audit()
