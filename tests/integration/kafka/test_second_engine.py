"""A second engine on a real Kafka: through the same Shard and Journal, killed in the middle."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from service.kafka import clients
from service.local.worker_process import ROOT, environment
from service.settings import Settings
from service.synthetic.events import Made, Shape, Synthetic
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.patience import POLL_S, Patience
from tests.support.second.engine import Topics
from tests.support.second.judge import Log, wrong

pytestmark = [pytest.mark.broker, pytest.mark.transactions]


def half_an_hour() -> Iterator[Made]:
    """Events of few accounts: each has many final windows. Heartbeats close all."""
    shape = Shape(seed=1, accounts=200, duplicates=0.02, late=0.01, bad=0.01)
    yield from Synthetic(shape).span(int(time.time() * 1_000) - 7_200_000, rate=10, count=18_000)


async def create(settings: Settings, topics: Topics) -> None:
    """Create its topics; the table is compacted."""
    async with clients.open_admin(settings) as admin:
        policies = {topics.table: {"cleanup.policy": "compact"}}
        await admin.create_topics(
            [
                NewTopic(topic, settings.partitions, 1, topic_configs=policies.get(topic, {}))
                for topic in topics
            ]
        )


@contextmanager
def a_life(
    counting: Settings, group: str, topics: Topics, log: Path
) -> Iterator[Callable[[], None]]:
    """One life of its worker; it ends by kill -9. Yields a check that it still lives."""
    command = [sys.executable, "-m", "tests.support.second.process", group, json.dumps(topics)]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, env=environment(counting), cwd=ROOT, stdout=sink, stderr=sink
        )

        def check() -> None:
            assert process.poll() is None, log.read_text()

        try:
            yield check
            check()
        finally:
            process.kill()
            process.wait()


async def committed(second: Deployment) -> dict[int, int]:
    """Return the committed position of its group in each partition."""
    return {number: at.offset for number, at in (await second.committed()).items()}


async def until_committed(
    second: Deployment, least: dict[int, int], check: Callable[[], None]
) -> dict[int, int]:
    """Wait until its group has committed at least these positions."""
    patience = Patience(f"the second engine to commit {least}")
    while True:
        found = await committed(second)
        if all(found.get(number, -1) >= at for number, at in least.items()):
            return found
        check()
        patience.look(found)
        await asyncio.sleep(POLL_S)


async def whole(settings: Settings, topic: str) -> list[list[Any]]:
    """Every committed record of a topic, by partition."""
    async with clients.consumer(settings, auto_offset_reset="earliest") as reader:
        tps = [TopicPartition(topic, number) for number in range(settings.partitions)]
        reader.assign(tps)
        ends = await reader.end_offsets(tps)
        found: list[list[Any]] = [[] for _ in tps]
        for tp in tps:
            while await reader.position(tp) < ends[tp]:
                batches = await reader.getmany(tp, timeout_ms=200)
                found[tp.partition] += batches.get(tp, [])
        return found


async def test_it_is_exact_after_a_kill_in_the_middle_and_has_its_rows_back(
    deployed: Deploy, unique: str, tmp_path: Path
) -> None:
    deployment = await deployed(partitions=2, flush_records=500, batch_records=200)
    worker = deployment.worker()
    counting = deployment.settings
    topics = Topics(f"{unique}-table", f"{unique}-milestones", f"{unique}-newcomers")
    settings = replace(counting, app_id=f"{unique}-second", input_topic=counting.windows_topic)
    await create(counting, topics)
    second = Deployment(settings, tmp_path)
    with a_life(counting, settings.app_id, topics, tmp_path / "first.log") as check:
        await deployment.produce(half_an_hour())
        middle = await until_committed(second, {0: 500, 1: 500}, check)
    await deployment.finish(worker)
    ends = {number: one[-1].offset + 1 for number, one in enumerate(
        await whole(counting, counting.windows_topic))}  # fmt: skip
    with a_life(counting, settings.app_id, topics, tmp_path / "second.log") as check:
        await until_committed(second, ends, check)
    opened = re.findall(r"position=(\d+) rows=(\d+)", (tmp_path / "second.log").read_text())
    assert len(opened) == 2
    assert all(int(position) >= min(middle.values()) and int(rows) for position, rows in opened)
    logs = [await whole(counting, topic) for topic in (counting.windows_topic, *topics)]
    judged = [Log(*partition) for partition in zip(*logs, strict=True)]
    assert wrong(judged, is_exact=True) == []
    assert all(log.milestones and log.newcomers for log in judged)
