"""A range of the input that cannot be unpacked, on a real Kafka: an operator steps over it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from service.exit_codes import ExitCode
from service.kafka import clients
from service.kafka import group_admin as members
from service.kafka.aiokafka_ext import batches
from tests.integration.kafka.test_audit import run
from tests.integration.kafka.test_loudness import RUN
from tests.integration.kafka.test_rejected import command
from tests.integration.kafka.test_unpacking import event, send
from tests.support.deployment import Deployment, Worker
from tests.support.deployment_fixtures import Deploy
from tests.support.patience import POLL_S, Patience

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

BOUND = 1_000_000
PLANT = f"import service.kafka.aiokafka_ext.batches as b; b.MOST_BYTES = {BOUND}\n0"
"""Makes a batch of 3 MB one that cannot be unpacked. A broker refuses a batch with a wrong CRC."""
HUGE = "x" * 3_000_000


def skip(first: int, stop: int, *more: str) -> list[str]:
    place = ["--partition", "0", "--from", str(first), "--to", str(stop)]
    return ["skip", *place, "--reason", "too large", *more]


async def metadata(deployment: Deployment) -> dict[str, object]:
    found = (await deployment.committed()).values()
    [said] = [json.loads(at.metadata) for at in found]
    return dict(said)


async def overwrite(deployment: Deployment, position: int, text: str) -> None:
    settings = deployment.settings
    reader = clients.consumer(settings, group_id=settings.app_id)
    await clients.start(reader)
    try:
        tp = TopicPartition(settings.input_topic, 0)
        reader.assign([tp])
        await reader.commit({tp: OffsetAndMetadata(position, text)})
    finally:
        await reader.stop()


async def nobody(deployment: Deployment) -> None:
    """Wait until the group has no members: one that ended by itself has not left."""
    patience = Patience("an empty group")
    while found := await members.running(deployment.settings):
        patience.look(found)
        await asyncio.sleep(POLL_S)


async def agree(
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first: int,
) -> None:
    """Every program that reads the input or the results leaves out [first, first + 2)."""
    if deployment.settings.is_exactly_once:
        found = await metadata(deployment)
        assert found["skipped"] == [[first, first + 2, "too large"]]
        assert found["counts"] == {
            "applied": 4, "late": 0, "duplicate": 1, "rejected": 2, "heartbeat": 0
        }  # fmt: skip
        capsys.readouterr()
        assert await run(deployment, monkeypatch, "doctor") == ExitCode.OK
        assert f"offsets {first} to {first + 1} were stepped over" in capsys.readouterr().out
    report = await deployment.audit()
    assert report.compared["rejected"] == 2
    assert report.compared["rejected records"] == 1
    assert await run(deployment, monkeypatch, "audit") == ExitCode.OK
    assert await run(deployment, monkeypatch, "explain", "a1") == ExitCode.OK
    capsys.readouterr()
    assert await run(deployment, monkeypatch, "certify") == ExitCode.OK
    published = capsys.readouterr().out
    assert await run(deployment, monkeypatch, "certify", "--recompute") == ExitCode.OK
    assert capsys.readouterr().out == published
    shown = await command(deployment, "rejected", "show", f"0:{first}")
    assert "skipped" in shown
    assert f"offsets {first} to {first + 1}: too large" in shown
    replayed = await command(deployment, "rejected", "replay")
    assert "stepped over, there are no bytes" in replayed
    assert "0 records would be sent" in replayed


async def ended_before_a_batch(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> tuple[Deployment, Worker, int]:
    """A deployment, its worker, which has ended, and the offset where it could not unpack."""
    monkeypatch.setattr(batches, "MOST_BYTES", BOUND)
    deployment = await deployed(partitions=1, **changes)
    worker = await deployment.ready_worker(code=PLANT + RUN)
    await send(deployment, (event(0), []), (event(1), []))
    first = await send(deployment, (event(2, padding=HUGE), []), (event(3), []), compression="zstd")
    await send(deployment, (event(4), []))
    assert await worker.ended() == ExitCode.INTERNAL
    return deployment, worker, first


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
async def test_a_range_that_was_stepped_over_is_rejected_and_all_agree_after_a_kill(
    deployed: Deploy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    guarantee: str,
) -> None:
    deployment, worker, first = await ended_before_a_batch(
        deployed, monkeypatch, guarantee=guarantee
    )
    topic = deployment.settings.input_topic
    line = f"cannot unpack what {topic} holds: partition=0 offset={first} next={first + 2} "
    assert line in worker.said()
    capsys.readouterr()
    assert await run(deployment, monkeypatch, "doctor") == ExitCode.WRONG
    assert "docs/operate/runbook.md, A batch that cannot be unpacked" in capsys.readouterr().out
    await nobody(deployment)

    assert await run(deployment, monkeypatch, *skip(first, first + 2)) == ExitCode.OK
    said = capsys.readouterr().out
    assert f"before  position {first}  rejected 0" in said, "what came before is committed"
    assert f"after   position {first + 2}  rejected 2" in said
    assert "dry run" in said
    assert await run(deployment, monkeypatch, *skip(first, first + 1, "--yes")) == ExitCode.WRONG
    assert "cannot be unpacked either" in capsys.readouterr().out
    assert await run(deployment, monkeypatch, *skip(0, 2, "--yes")) == ExitCode.WRONG
    assert f"has counted up to {first}" in capsys.readouterr().out
    assert await run(deployment, monkeypatch, *skip(first, first + 2, "--yes")) == ExitCode.OK

    worker = await deployment.ready_worker(code=PLANT + RUN)
    await deployment.caught_up()
    assert await run(deployment, monkeypatch, *skip(first, first + 2, "--yes")) == ExitCode.WRONG
    assert "has members" in capsys.readouterr().out
    await worker.kill()
    again = deployment.worker(code=PLANT + RUN)  # it reads the input again, but not the range
    await again.until("ready")
    await send(deployment, (event(0), []), (event(5), []))
    await deployment.caught_up()
    assert "remembered=3" in again.said()
    assert await again.stop() == 0
    await agree(deployment, monkeypatch, capsys, first)


async def test_the_twenty_first_range_is_refused_and_so_is_what_can_be_unpacked(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await deployed(partitions=1)
    worker = deployment.worker()
    await send(deployment, (event(0), []))
    await deployment.finish(worker)
    await send(deployment, (event(1), []))
    assert await run(deployment, monkeypatch, *skip(1, 2, "--yes")) == ExitCode.WRONG
    assert "nothing to step over" in capsys.readouterr().out
    assert await run(deployment, monkeypatch, *skip(1, 9, "--yes")) == ExitCode.WRONG
    assert "the log ends at 2" in capsys.readouterr().out
    said = await metadata(deployment)
    full = {**said, "skipped": [[n, n + 1, "y" * 60] for n in range(20)]}
    await overwrite(deployment, 1, json.dumps(full))
    assert await run(deployment, monkeypatch, *skip(1, 2, "--yes")) == ExitCode.WRONG
    assert "20 ranges of this partition have been stepped over" in capsys.readouterr().out
