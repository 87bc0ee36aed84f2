"""A worker that cannot make progress exits and says why; one that only has to wait, waits (G6)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.tools.broker import LocalBroker, start_local_broker
from tests.broker.conftest import Deploy, settings_for
from tests.broker.deployment import Worker, deploy
from tests.broker.test_counting import mixed, some_committed

pytestmark = [pytest.mark.broker, pytest.mark.transactions, pytest.mark.timeout(300)]

RUN = "; import os, sys; from service.app import run; from service.settings import Settings; "
RUN += "sys.exit(run(Settings.from_env(os.environ)))"


@pytest.fixture
def own_broker(kafka: LocalBroker) -> Iterator[LocalBroker]:
    """A broker of this test's own, to be hurt; `kafka` skips where there is none."""
    assert kafka.has_transactions
    if kafka.kind == "external":
        pytest.skip("a broker that is not ours is not hurt")
    with start_local_broker("kafka") as broker:
        yield broker


async def test_a_broker_that_is_away_for_a_while(
    own_broker: LocalBroker, unique: str, tmp_path: Path
) -> None:
    deployment = await deploy(settings_for(own_broker.bootstrap, unique), tmp_path)
    worker = deployment.worker()
    try:
        await worker.until("ready")
        await deployment.produce(mixed(20_000))
        own_broker.pause()
        until = time.monotonic() + 30
        while (await asyncio.to_thread(worker.get, "/ready"))[0] != 503:
            assert time.monotonic() < until, "/ready never went red"
            assert (await asyncio.to_thread(worker.get, "/live"))[0] == 200
            await asyncio.sleep(0.2)
        own_broker.resume()
        await worker.until("ready")
        await deployment.produce(mixed(5_000, seed=2))
        await deployment.caught_up()
        assert await worker.stop() == 0
        await deployment.audit()
        assert len(worker.said().splitlines()) < 200, "it is not one line per interval"
    finally:
        own_broker.resume()
        deployment.end_all()


@pytest.mark.parametrize("is_idle", [False, True])
async def test_a_broker_that_stays_away_ends_the_worker(
    own_broker: LocalBroker, unique: str, tmp_path: Path, *, is_idle: bool
) -> None:
    changes = {"transaction_timeout_s": 5.0, "batch_records": 100}
    deployment = await deploy(settings_for(own_broker.bootstrap, unique, **changes), tmp_path)
    worker = deployment.worker()
    try:
        await worker.until("ready")
        await deployment.produce(mixed(500 if is_idle else 60_000))
        await (deployment.caught_up() if is_idle else some_committed(deployment, at_least=1))
        own_broker.kill()
        assert await worker.ended(60) == 70, worker.said()
        assert worker.said().count("CRITICAL") == 1, worker.said()
        assert len(worker.said().splitlines()) < 300, "it is not one line per interval"
        if is_idle:
            assert "exit: the broker has not answered for" in worker.said()
        own_broker.restart()
        again = deployment.worker()
        await again.until("ready", 90)
        await deployment.caught_up()
        assert await again.stop() == 0
        await deployment.audit()
    finally:
        deployment.end_all()


async def ends_and_recovers(deployed: Deploy, plant: str, *words: str) -> Worker:
    """Run a worker with a planted fault: it ends with 70 and says why; another one recovers."""
    deployment = await deployed(stuck_after_s=5.0, batch_records=500)
    worker = deployment.worker(code=plant + RUN)
    await worker.until("ready")
    await deployment.produce(mixed(30_000))
    assert await worker.ended(60) == 70
    line = next(line for line in worker.said().splitlines() if "CRITICAL" in line)
    assert all(word in line for word in words), worker.said()
    again = deployment.worker()
    await again.until("ready")
    await deployment.caught_up()
    assert await again.stop() == 0
    await deployment.audit()
    return worker


async def test_an_exception_in_the_engine_ends_the_worker(deployed: Deploy) -> None:
    plant = (
        "import service.engine.engine as e; old = e.Engine.apply\n"
        "def apply(self, records, position):\n"
        "    old(self, records, position)\n"
        "    assert position < 3_000, 'planted'\n"
        "e.Engine.apply = apply\n"
        "0"
    )
    worker = await ends_and_recovers(deployed, plant, "exit: the engine failed")
    assert "AssertionError: planted" in worker.said()


async def test_a_position_that_does_not_move_ends_the_worker(deployed: Deploy) -> None:
    plant = "import service.kafka.shard as s; s.Shard.take = lambda *_: None\n0"
    await ends_and_recovers(deployed, plant, "exit: no progress for", "partition=", "lag=")


async def test_a_batch_that_is_lost_ends_the_worker(deployed: Deploy) -> None:
    plant = (
        "import service.kafka.shard as s; old = s.Shard.take\n"
        "def take(self, batch):\n"
        "    if 0 < batch.start < 1_000: return batch.release()\n"
        "    old(self, batch)\n"
        "s.Shard.take = take\n"
        "0"
    )
    await ends_and_recovers(deployed, plant, "exit: the engine failed")


async def test_a_reader_that_fails_ends_the_worker(deployed: Deploy) -> None:
    plant = (
        "import service.kafka.reader as r; old = r.Reader._next\n"
        "async def _next(self, consumer):\n"
        "    await old(self, consumer)\n"
        "    if self.position > 1_000: raise RuntimeError('planted')\n"
        "r.Reader._next = _next\n"
        "0"
    )
    await ends_and_recovers(deployed, plant, "exit: reading stopped", "partition=", "position=")
