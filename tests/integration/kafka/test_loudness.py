"""A worker that cannot make progress exits and says why; one that only has to wait, waits (G6)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.local.broker import LocalBroker, start_local_broker
from service.local.ports import free_ports
from service.logs import INTERVAL_S
from tests.support.deployment import Deployment, Worker
from tests.support.deployment_fixtures import Deploy, deployment_on
from tests.support.patience import Patience
from tests.support.traffic import mixed, some_committed

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

NEVER_FENCED = {"broker.session.timeout.ms": "600000"}
"""Kafka's controller declares a broker dead that was paused for longer than this.

The controller is paused with it here, and declares it dead when both wake up. A coordinator that
meets partitions without a leader then may lose a marker (docs/design/decisions/0013).
"""
RUN = "; import os, sys; from service.run import run; from service.settings import Settings; "
RUN += "sys.exit(run(Settings.from_env(os.environ)))"


@pytest.fixture(scope="module")
def one_broker(kafka: LocalBroker) -> Iterator[LocalBroker]:
    """A broker of these tests' own. Without a Kafka they are skipped."""
    assert kafka.has_transactions
    if kafka.kind == "external":
        pytest.skip("a broker that is not ours is not hurt")
    with start_local_broker("kafka") as broker:
        yield broker


@pytest.fixture
def own_broker(one_broker: LocalBroker) -> Iterator[LocalBroker]:
    """It may be hurt, and is healed afterwards."""
    yield one_broker
    one_broker.resume()
    if not one_broker.is_running:
        one_broker.restart()


async def test_a_broker_that_is_away_for_a_while(
    own_broker: LocalBroker, unique: str, tmp_path: Path
) -> None:
    async with deployment_on(own_broker, unique, tmp_path) as deployment:
        worker = await deployment.ready_worker()
        await deployment.produce(mixed(20_000))
        own_broker.pause()
        patience = Patience("/ready to go red")
        while (await asyncio.to_thread(worker.get, "/ready"))[0] != 503:
            patience.look()
            assert (await asyncio.to_thread(worker.get, "/live"))[0] == 200
            await asyncio.sleep(0.2)
        own_broker.resume()
        await worker.until("ready")
        await deployment.produce(mixed(5_000, seed=2))
        await deployment.finish_and_audit(worker)
        assert len(worker.said().splitlines()) < 200, "it is not one line per interval"


async def test_a_broker_that_stays_away_ends_the_idle_worker(
    own_broker: LocalBroker, unique: str, tmp_path: Path
) -> None:
    async with deployment_on(own_broker, unique, tmp_path) as deployment:
        worker = await deployment.ready_worker(transaction_timeout_s=10.0)
        await deployment.produce(mixed(500))
        await deployment.caught_up()
        own_broker.kill()
        await ends_in_few_lines(worker)
        assert "exit: the broker has not answered for" in worker.said()
        own_broker.restart()
        await deployment.recovers()


async def test_a_broker_that_stays_away_ends_the_busy_worker(
    kafka: LocalBroker, unique: str, tmp_path: Path
) -> None:
    """It is paused in the middle of commits. A kill there may lose a marker: test_disasters.py."""
    assert kafka.has_transactions
    with start_local_broker("kafka", overrides=NEVER_FENCED) as broker:
        async with deployment_on(broker, unique, tmp_path) as deployment:
            worker = await deployment.ready_worker(transaction_timeout_s=10.0, batch_records=100)
            await deployment.produce(mixed(30_000))
            await some_committed(deployment, at_least=1)
            broker.pause()
            await ends_in_few_lines(worker)
            broker.resume()
            await deployment.recovers()


async def ends_in_few_lines(worker: Worker) -> None:
    """It says once why it ends, and not one line per interval."""
    assert await worker.ended() == 70, worker.said()
    assert worker.said().count("CRITICAL") == 1, worker.said()
    assert len(worker.said().splitlines()) < 300, worker.said()


async def test_brokers_that_are_away_are_a_line_each_per_interval(
    own_broker: LocalBroker, unique: str, tmp_path: Path
) -> None:
    away = [f"127.0.0.1:{port}" for port in free_ports(2)]
    async with deployment_on(
        own_broker, unique, tmp_path, transaction_timeout_s=20.0
    ) as deployment:
        worker = deployment.worker(brokers=",".join([*away, own_broker.bootstrap]))
        began = time.monotonic()
        await worker.until("ready")
        own_broker.kill()
        assert await worker.ended() == 70, worker.said()
        intervals = (time.monotonic() - began) / INTERVAL_S
        for address in (*away, own_broker.bootstrap):
            host, port = address.split(":")
            lines = [
                line
                for line in worker.said().splitlines()
                if (" WARNING " in line or " ERROR " in line)
                and (address in line or f"('{host}', {port})" in line)
            ]
            assert 1 <= len(lines) <= intervals + 1, worker.said()


async def ends_and_recovers(deployed: Deploy, plant: str, *words: str, **changes: Any) -> Worker:
    """Run a worker with a planted fault: it ends with 70 and says why; another one recovers."""
    deployment = await deployed(batch_records=500)
    worker = await deployment.ready_worker(code=plant + RUN, **changes)
    await deployment.produce(mixed(20_000))
    assert await worker.ended() == 70
    line = next(line for line in worker.said().splitlines() if "CRITICAL" in line)
    assert all(word in line for word in words), worker.said()
    await deployment.recovers()
    return worker


async def test_an_exception_in_the_engine_ends_the_worker(deployed: Deploy) -> None:
    plant = (
        "import service.counting.engine as e; old = e.Engine.apply\n"
        "def apply(self, records, position):\n"
        "    old(self, records, position)\n"
        "    assert position < 3_000, 'planted'\n"
        "e.Engine.apply = apply\n"
        "0"
    )
    worker = await ends_and_recovers(deployed, plant, "exit: the engine failed")
    assert "AssertionError: planted" in worker.said()


async def test_a_position_that_does_not_move_ends_the_worker(deployed: Deploy) -> None:
    plant = "import service.runtime.shard as s; s.Shard.take = lambda *_: None\n0"
    words = ("exit: no progress for", "partition=", "lag=")
    await ends_and_recovers(deployed, plant, *words, stuck_after_s=5.0)


async def test_a_batch_that_is_lost_ends_the_worker(deployed: Deploy) -> None:
    plant = (
        "import service.runtime.shard as s; old = s.Shard.take\n"
        "def take(self, batch):\n"
        "    if 0 < batch.start < 1_000: return batch.release()\n"
        "    old(self, batch)\n"
        "s.Shard.take = take\n"
        "0"
    )
    await ends_and_recovers(deployed, plant, "exit: the engine failed")


async def test_a_reader_that_fails_ends_the_worker(deployed: Deploy) -> None:
    plant = (
        "import service.runtime.reader as r; old = r.Reader._next\n"
        "async def _next(self, consumer):\n"
        "    await old(self, consumer)\n"
        "    if self.position > 1_000: raise RuntimeError('planted')\n"
        "r.Reader._next = _next\n"
        "0"
    )
    await ends_and_recovers(deployed, plant, "exit: reading stopped", "partition=", "position=")


SLOW_ROWS = (
    "import asyncio; import service.runtime.journal_restore as j; old = j._until\n"
    "async def slow(reader, tp, end):\n"
    "    async for records in old(reader, tp, end):\n"
    "        for first in range(0, len(records), 50):\n"
    "            await asyncio.sleep(1.0)\n"
    "            yield records[first : first + 50]\n"
    "j._until = slow\n"
    "0"
)


@asynccontextmanager
async def with_rows(own_broker: LocalBroker, unique: str, home: Path) -> AsyncIterator[Deployment]:
    """A deployment at rest with a few hundred rows per partition."""
    async with deployment_on(own_broker, unique, home) as deployment:
        worker = await deployment.ready_worker()
        await deployment.produce(mixed(3_000))
        await deployment.finish(worker)
        yield deployment


async def test_a_restore_that_is_stuck_ends_the_worker(
    own_broker: LocalBroker, unique: str, tmp_path: Path
) -> None:
    async with with_rows(own_broker, unique, tmp_path) as deployment:
        worker = deployment.worker(code=SLOW_ROWS + RUN, log_level="debug", stuck_after_s=5.0)
        await worker.until("restore step=read the rows")
        own_broker.pause()
        assert await worker.ended() == 70, worker.said()
        [line] = [line for line in worker.said().splitlines() if "CRITICAL" in line]
        assert "exit: no progress of the restore for" in line
        assert "step=" in line
        assert "partition=" in line
        own_broker.resume()
        await deployment.recovers()


async def test_a_restore_that_is_slow_is_waited_for(
    own_broker: LocalBroker, unique: str, tmp_path: Path
) -> None:
    async with with_rows(own_broker, unique, tmp_path) as deployment:
        worker = await deployment.ready_worker(code=SLOW_ROWS + RUN, stuck_after_s=5.0)
        seconds = [float(part.split("seconds=")[1]) for part in opened(worker)]
        assert max(seconds) > 2 * worker.settings.stuck_after_s, worker.said()
        await deployment.finish_and_audit(worker)


def opened(worker: Worker) -> list[str]:
    """What it said of each shard that it opened."""
    return [line for line in worker.said().splitlines() if "shard open" in line]


LOST_AFTER_S = 12.0
SOON = (
    "import service.kafka.aiokafka_ext.group_health as m; whole = m.Membership.__init__\n"
    f"m.Membership.__init__ = lambda self, _: whole(self, {LOST_AFTER_S})\n"
    "0"
)
"""As the longest silence of the coordinator is now derived, it would be 60 s."""


async def test_a_worker_that_stands_by_lives_until_the_coordinator_is_lost(
    own_broker: LocalBroker, unique: str, tmp_path: Path
) -> None:
    changes = {"transaction_timeout_s": 5.0, "partitions": 1}
    async with deployment_on(own_broker, unique, tmp_path, **changes) as deployment:
        workers = [deployment.worker(code=SOON + RUN), deployment.worker(code=SOON + RUN)]
        for worker in workers:
            await worker.until("ready")
        await asyncio.sleep(1.5 * LOST_AFTER_S)  # by the workers' own clocks nothing is lost
        assert [worker.process.poll() for worker in workers] == [None, None]
        [stands_by] = [worker for worker in workers if not worker.running()]
        own_broker.pause()
        assert await stands_by.ended() == 70, stands_by.said()
        [line] = [line for line in stands_by.said().splitlines() if "CRITICAL" in line]
        assert "exit: the group membership failed" in line
        assert "the group's coordinator has not answered for" in line


async def test_a_coordinator_that_is_lost_ends_a_worker_that_could_go_on(
    deployed: Deploy, tmp_path: Path
) -> None:
    lost = tmp_path / "lost"
    plant = (
        SOON.removesuffix("0") + "import aiokafka.consumer.group_coordinator as g, pathlib\n"
        "old = g.GroupCoordinator._send_req\n"
        "async def lost(self, request):\n"
        f"    if pathlib.Path('{lost}').exists():\n"
        "        raise g.Errors.GroupCoordinatorNotAvailableError()\n"
        "    return await old(self, request)\n"
        "g.GroupCoordinator._send_req = lost\n"
        "0"
    )
    deployment = await deployed()
    worker = await deployment.ready_worker(code=plant + RUN)
    await deployment.produce(mixed(5_000))
    await deployment.caught_up()
    lost.touch()
    assert await worker.ended() == 70
    [line] = [line for line in worker.said().splitlines() if "CRITICAL" in line]
    assert "the group's coordinator has not answered for" in line
    await deployment.recovers()
