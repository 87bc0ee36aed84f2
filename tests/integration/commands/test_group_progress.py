"""Waiting for a worker: without a limit while it counts, and not if it makes no progress."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.demo.group_progress import CatchUpTimeoutError, progress_of
from service.kafka import topic_admin as topics
from service.local.broker import LocalBroker
from service.local.worker_process import WorkerProcess
from service.settings import Settings
from service.synthetic.batch_sender import outbox_to
from service.synthetic.events import Shape, Synthetic

T0 = 1_767_225_600_000


@pytest.mark.broker
async def test_a_wait_ends_when_nothing_is_counted_any_more_and_says_how_far_it_came(
    tansu: LocalBroker, unique: str, tmp_path: Path
) -> None:
    settings = Settings().with_prefix(
        unique,
        brokers=tansu.bootstrap,
        partitions=1,
        replication_factor=1,
        min_isr=1,
        guarantee="at_least_once",
        session_timeout_s=6.0,
    )
    await topics.create(settings)
    worker = WorkerProcess(settings, tmp_path / "worker.log")
    try:
        await worker.ready()
        async with outbox_to(settings) as outbox, progress_of(settings) as progress:
            outbox.put_all(Synthetic(Shape(accounts=20)).span(T0, rate=100, count=500))
            await outbox.send()
            await outbox.settle()
            await progress.wait(outbox.ends, look=worker.check)
            with pytest.raises(
                CatchUpTimeoutError, match=r"nothing was counted for 1 s: 500 of 600 records"
            ):
                await progress.wait({0: 600}, stalled_after_s=1, look=worker.check)
        assert await worker.stop() == 0
    finally:
        worker.end()
