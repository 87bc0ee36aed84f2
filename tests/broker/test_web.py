"""/live, /ready and /metrics of a worker: what they say while it counts, and when it is stuck."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict

import pytest

from tests.broker.conftest import Deploy
from tests.broker.test_counting import mixed
from tests.broker.test_faults import trickle

pytestmark = [pytest.mark.broker, pytest.mark.transactions, pytest.mark.timeout(120)]

STUCK = """
import asyncio, sys, time
import service.app as app
from service.__main__ import main
async def stuck(worker):
    await asyncio.sleep(4)
    time.sleep(15)
    await asyncio.sleep(1_000)
app.measure_loop = stuck
sys.argv = ["netfollowers", "worker"]
sys.exit(main())
"""


async def test_a_worker_whose_loop_is_stuck_answers_nobody(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = deployment.worker(STUCK)
    await worker.until("ready")
    paths = ("/live", "/ready", "/metrics")
    assert [(await asyncio.to_thread(worker.get, path))[0] for path in paths] == [200] * 3
    await asyncio.sleep(5)
    assert [(await asyncio.to_thread(worker.get, path))[0] for path in paths] == [0] * 3
    await asyncio.sleep(12)
    assert [(await asyncio.to_thread(worker.get, path))[0] for path in paths] == [200] * 3
    assert await worker.stop() == 0


async def test_every_scrape_is_one_moment(deployed: Deploy) -> None:
    """The outcomes of a partition sum to its position (no control records in the input)."""
    deployment = await deployed()
    worker = deployment.worker()
    await worker.until("ready")
    sending = asyncio.create_task(trickle(deployment, mixed(40_000)))
    moments = set()
    while not sending.done():
        _, text = await asyncio.to_thread(worker.get, "/metrics")
        sums: dict[str, float] = defaultdict(float)
        for partition, value in re.findall(r'records_total\{.*partition="(\d)"\} (\S+)', text):
            sums[partition] += float(value)
        positions = dict(re.findall(r'_position\{partition="(\d)"\} (\S+)', text))
        assert sums == {partition: float(at) for partition, at in positions.items()}
        moments.add(tuple(sums.values()))
        await asyncio.sleep(0.02)
    await sending
    assert len(moments) > 10, "it was never seen while it counted"
    await deployment.caught_up()
    assert await worker.stop() == 0
