"""generate, worker and show together on a real Kafka: what was sent is what is shown."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from service.cli import main
from service.demo.group_progress import progress_of
from service.exit_codes import ExitCode
from service.local.broker import LocalBroker
from service.local.worker_process import WorkerProcess, environment
from service.settings import Settings
from service.synthetic.batch_sender import Outbox, outbox_to
from service.synthetic.events import Shape, Synthetic
from tests.support.deployment import Deployment

pytestmark = [pytest.mark.broker, pytest.mark.transactions]
T0 = 1_767_225_600_000


async def count(settings: Settings, log: Path, records: int) -> Outbox:
    """Send synthetic events and have a worker count them."""
    worker = WorkerProcess(settings, log)
    try:
        await worker.ready()
        async with outbox_to(settings) as outbox, progress_of(settings) as progress:
            outbox.put_all(Synthetic(Shape(accounts=20)).span(T0, rate=100, count=records))
            await outbox.send()
            await outbox.settle()
            await progress.wait(outbox.ends, look=worker.check)
        assert await worker.stop() == 0
    finally:
        worker.end()
    return outbox


def test_what_was_sent_is_what_is_shown(
    kafka: LocalBroker,
    unique: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = Settings().with_prefix(unique, brokers=kafka.bootstrap)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert main(["topics", "create"]) == ExitCode.OK
    outbox = asyncio.run(count(settings, tmp_path / "worker.log", 500))
    assert sum(outbox.ends.values()) == 500
    asyncio.run(Deployment(settings, tmp_path).obeys_the_contract())

    sent: Counter[str] = Counter()
    for made in Synthetic(Shape(accounts=20)).span(T0, rate=100, count=500):
        event = json.loads(made.value or b"")
        if event["account_id"] == "acct-7":
            sent[event["action"]] += 1
    capsys.readouterr()
    assert main(["show", "acct-7", "--json"]) == ExitCode.OK
    row = json.loads(capsys.readouterr().out)
    assert (row["gained"], row["lost"]) == (sent["follow"], sent["unfollow"])
    assert main(["show", "acct-7"]) == ExitCode.OK
    assert f"net         {row['net']:+,}" in capsys.readouterr().out
    assert main(["show", "nobody"]) == ExitCode.WRONG
