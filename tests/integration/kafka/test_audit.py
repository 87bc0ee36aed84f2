"""`netfollowers audit` on a real Kafka: agreement, every single flipped record, a cut log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata

from service.cli import main
from service.exit_codes import ExitCode
from service.kafka import clients
from service.local.worker_process import environment
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.traffic import mixed, sending, some_committed

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

EVENTS = 16_000
"""160 s of event time: wherever they begin, a minute ends in them and its grace does too."""


async def run(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run a command of `netfollowers` against the deployment. Return its exit code."""
    for name, text in environment(deployment.settings).items():
        if name.startswith("NETFOLLOWERS_"):
            monkeypatch.setenv(name, text)
    return await asyncio.to_thread(main, arguments)


async def counted(deployed: Deploy, **changes: Any) -> Deployment:
    """A deployment at rest that has counted events of every outcome."""
    deployment = await deployed(**changes)
    worker = deployment.worker()
    await deployment.produce(mixed(EVENTS))
    await deployment.finish(worker)
    return deployment


async def newest(deployment: Deployment, topic: str) -> ConsumerRecord:
    """The last committed record of a topic's first partition that has one."""
    async with clients.consumer(deployment.settings, auto_offset_reset="earliest") as reader:
        tp = TopicPartition(topic, 0)
        reader.assign([tp])
        end = (await reader.end_offsets([tp]))[tp]
        found = None
        while await reader.position(tp) < end:
            for batch in (await reader.getmany(tp, timeout_ms=200)).values():
                found = batch[-1]
        assert found is not None, f"nothing on {topic}/0"
        return found


async def publish(deployment: Deployment, like: ConsumerRecord, value: bytes | None) -> None:
    """Write another record like one that is there, with another value."""
    async with clients.producer(deployment.settings) as producer:
        headers = list(like.headers)
        await producer.send_and_wait(
            like.topic, value, key=like.key, partition=like.partition, headers=headers
        )


def plus_one(value: bytes | None, field: str) -> bytes:
    """The same JSON with one number that is one higher."""
    fields = json.loads(value or b"")
    return json.dumps({**fields, field: fields[field] + 1}).encode()


async def flip_a_row(deployment: Deployment) -> None:
    """One row has gained one more than there was."""
    row = await newest(deployment, deployment.settings.updates_topic)
    await publish(deployment, row, plus_one(row.value, "gained"))


async def remove_a_row(deployment: Deployment) -> None:
    """One account has no row."""
    await publish(deployment, await newest(deployment, deployment.settings.updates_topic), None)


async def flip_a_window(deployment: Deployment) -> None:
    """One window has lost one more, in a revision that comes next."""
    window = await newest(deployment, deployment.settings.windows_topic)
    value = plus_one(plus_one(plus_one(window.value, "lost"), "net"), "revision")
    await publish(deployment, window, value)


async def repeat_a_late_record(deployment: Deployment) -> None:
    """One late record is there twice."""
    late = await newest(deployment, deployment.settings.late_topic)
    await publish(deployment, late, late.value)


async def flip_a_rejected_record(deployment: Deployment) -> None:
    """One rejected record is there again, with other bytes."""
    rejected = await newest(deployment, deployment.settings.rejected_topic)
    await publish(deployment, rejected, b"other")


async def flip_the_committed_counts(deployment: Deployment) -> None:
    """One partition's metadata has one applied event more and one late event less."""
    committed = (await deployment.committed())[0]
    said = json.loads(committed.metadata)
    said["counts"]["applied"] += 1
    said["counts"]["late"] -= 1
    tp = TopicPartition(deployment.settings.input_topic, 0)
    async with clients.consumer(deployment.settings, group_id=deployment.settings.app_id) as reader:
        reader.assign([tp])
        await reader.commit({tp: OffsetAndMetadata(committed.offset, json.dumps(said))})


async def test_what_was_counted_agrees_and_the_report_says_what_was_compared(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await counted(deployed)
    assert await run(deployment, monkeypatch, "audit", "--at-rest") == ExitCode.OK
    told = capsys.readouterr().out
    assert told.endswith("audit: all agrees\n")
    kinds = ("rows", "windows in rows", "window results", "late records", "rejected records")
    counts = ("input records", "applied", "late", "duplicate", "rejected", "partitions")
    for name in (*kinds, *counts):
        line = next(line for line in told.splitlines() if line.endswith(f" {name}"))
        assert int(line.split()[0].replace(",", "")) > 0


@pytest.mark.parametrize(
    ("flip", "named"),
    [
        (flip_a_row, " gained: found"),
        (remove_a_row, ": missing"),
        (flip_a_window, "no such revision"),
        (repeat_a_late_record, "was found before"),
        (flip_a_rejected_record, "was found before"),
        (flip_the_committed_counts, " counts: found"),
    ],
)
async def test_one_flipped_record_ends_the_audit_with_1(
    deployed: Deploy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flip: Callable[[Deployment], Awaitable[None]],
    named: str,
) -> None:
    deployment = await counted(deployed)
    await flip(deployment)
    assert await run(deployment, monkeypatch, "audit") == ExitCode.WRONG
    told = capsys.readouterr().out
    assert [named in line for line in told.splitlines() if "MISMATCH" in line] == [True], told


async def test_a_dump_is_audited_without_the_broker_and_a_flipped_line_is_found(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deployment = await counted(deployed)
    files = str(tmp_path / "dump")
    assert await run(deployment, monkeypatch, "audit", "--dump", files) == ExitCode.OK
    monkeypatch.setenv("NETFOLLOWERS_BROKERS", "127.0.0.1:1")
    assert await asyncio.to_thread(main, ["audit", "--files", files]) == ExitCode.OK


async def test_workers_may_be_running(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await deployed()
    first, second = deployment.worker(), deployment.worker()
    async with sending(deployment, per_step=10):
        await some_committed(deployment, at_least=500)
        codes = [await run(deployment, monkeypatch, "audit") for _ in range(3)]
    told = capsys.readouterr().out
    assert set(codes) <= {ExitCode.OK, ExitCode.INCOMPLETE}, told
    assert ExitCode.OK in codes, told
    await deployment.caught_up()
    assert [await first.stop(), await second.stop()] == [0, 0]
    assert await run(deployment, monkeypatch, "audit", "--at-rest") == ExitCode.OK


async def test_a_commit_whose_results_are_still_hidden_is_waited_for(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The group's marker may be written before those of the result topics."""
    deployment = await counted(deployed)
    names = deployment.settings
    stranger = clients.transactional_producer(names, f"{names.app_id}-stranger")
    await stranger.start()
    await stranger.begin_transaction()
    await stranger.send_and_wait(names.windows_topic, b"{}", key=b"a", partition=0)
    monkeypatch.setattr("service.audit.sources.kafka.LOOKS", 20)
    assert await run(deployment, monkeypatch, "audit") not in {ExitCode.OK, ExitCode.WRONG}
    told = capsys.readouterr()
    assert "neither committed nor aborted" in told.out + told.err
    await stranger.abort_transaction()
    await stranger.stop()
    assert await run(deployment, monkeypatch, "audit") == ExitCode.OK


async def cut(deployment: Deployment, topic: str, before: int) -> None:
    """What retention does: the oldest records of every partition are gone."""
    async with clients.open_admin(deployment.settings) as admin:
        partitions = range(deployment.settings.partitions)
        await admin.delete_records(
            {TopicPartition(topic, number): RecordsToDelete(before) for number in partitions}
        )


async def test_a_cut_input_ends_with_a_code_of_its_own_and_says_what_was_not_checked(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await counted(deployed, dedup_generation=200)
    await cut(deployment, deployment.settings.input_topic, 300)
    assert await run(deployment, monkeypatch, "audit") == ExitCode.INCOMPLETE
    told = capsys.readouterr().out
    assert "audit: all that could be checked agrees" in told
    assert "NOT CHECKED" in told
    assert "the log begins at offset 300" in told


async def test_a_difference_weighs_more_than_a_cut(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = await counted(deployed, dedup_generation=200)
    await cut(deployment, deployment.settings.input_topic, 300)
    await flip_a_row(deployment)
    assert await run(deployment, monkeypatch, "audit") == ExitCode.WRONG


async def test_cut_results_end_with_the_same_code(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await counted(deployed)
    for topic in deployment.settings.result_topics[1:]:
        await cut(deployment, topic, 5)
    assert await run(deployment, monkeypatch, "audit") == ExitCode.INCOMPLETE
    told = capsys.readouterr().out
    assert "the topic begins at offset 5" in told
    assert "records that the topic no longer holds" in told


async def test_a_topic_that_is_not_there_ends_with_2(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await deployed()
    deployment.settings = replace(deployment.settings, late_topic="nowhere")
    assert await run(deployment, monkeypatch, "audit") == ExitCode.USAGE
    assert "there is no topic nowhere" in capsys.readouterr().err


async def test_topics_that_nobody_has_counted_yet(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await deployed()
    assert await run(deployment, monkeypatch, "audit") == ExitCode.OK
    assert await run(deployment, monkeypatch, "certify") == ExitCode.OK
    await deployment.produce(mixed(100))
    assert await run(deployment, monkeypatch, "audit") == ExitCode.WRONG
    assert "records, but no commit" in capsys.readouterr().out
