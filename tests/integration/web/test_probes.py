"""/live, /ready and /metrics of a worker: what they say while it counts, and when it is stuck."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.deployment import Worker
from tests.support.deployment_fixtures import Deploy
from tests.support.patience import SILENCE_S, Patience, until
from tests.support.traffic import sending

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

STUCK = """
import asyncio, pathlib, sys, time
import service.run as run
from service.__main__ import main
async def stuck(worker):
    sticks, is_stuck = pathlib.Path("HOME/sticks"), pathlib.Path("HOME/is-stuck")
    while not sticks.exists():
        await asyncio.sleep(0.05)
    is_stuck.touch()
    while sticks.exists():
        time.sleep(0.05)
    await asyncio.Event().wait()
run.measure_loop = stuck
sys.argv = ["netfollowers", "worker"]
sys.exit(main())
"""


async def statuses(worker: Worker, paths: Iterable[str], within_s: float = SILENCE_S) -> list[int]:
    """HTTP status of each path; 0 without an answer."""
    return [(await asyncio.to_thread(worker.get, path, within_s))[0] for path in paths]


async def test_a_worker_whose_loop_is_stuck_answers_nobody(
    deployed: Deploy, tmp_path: Path
) -> None:
    deployment = await deployed()
    worker = deployment.worker(STUCK.replace("HOME", str(tmp_path)))
    await worker.until("ready")
    paths = ("/live", "/ready", "/metrics")
    assert await statuses(worker, ("/live", "/metrics")) == [200] * 2
    (tmp_path / "sticks").touch()
    await until((tmp_path / "is-stuck").exists, "the loop to be stuck")
    assert await statuses(worker, paths, 2.0) == [0] * 3
    (tmp_path / "sticks").unlink()
    await worker.until("ready")
    assert await statuses(worker, ("/live", "/metrics")) == [200] * 2
    assert await worker.stop() == 0


async def test_every_scrape_is_one_moment(deployed: Deploy) -> None:
    """The outcomes of a partition sum to its position (no control records in the input)."""
    deployment = await deployed()
    worker = deployment.worker()
    await worker.until("ready")
    moments: set[tuple[float, ...]] = set()
    patience = Patience("eleven moments while it counts")
    async with sending(deployment):
        while len(moments) < 11:
            patience.look(len(moments))
            _, text = await asyncio.to_thread(worker.get, "/metrics")
            sums: dict[str, float] = defaultdict(float)
            for partition, value in re.findall(r'records_total\{.*partition="(\d)"\} (\S+)', text):
                sums[partition] += float(value)
            positions = dict(re.findall(r'_position\{partition="(\d)"\} (\S+)', text))
            assert sums == {partition: float(at) for partition, at in positions.items()}
            moments.add(tuple(sums.values()))
            await asyncio.sleep(0.02)
    await deployment.caught_up()
    assert await worker.stop() == 0
