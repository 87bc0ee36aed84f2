"""What the worker refuses to start with, and the way forward that it names."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import CommitFailedError
from aiokafka.structs import OffsetAndMetadata

from service.exit_codes import ExitCode
from service.kafka import clients
from service.kafka import topic_admin as topics
from tests.integration.kafka.test_loudness import RUN
from tests.support.deployment import Deployment, Worker
from tests.support.deployment_fixtures import Deploy
from tests.support.patience import POLL_S, Patience
from tests.support.traffic import mixed

pytestmark = [pytest.mark.broker, pytest.mark.transactions]


async def counted(deployed: Deploy, **changes: Any) -> Deployment:
    """A deployment that has counted something and is at rest."""
    deployment = await deployed(**changes)
    worker = await deployment.ready_worker()
    await deployment.produce(mixed(5_000))
    await deployment.finish(worker)
    return deployment


async def commit(deployment: Deployment, offset: int, metadata: str) -> None:
    """Commit for every partition, as an operator with a tool might.

    Kafka takes it when the group is empty: a worker that has just ended may still be in it.
    """
    tps = [TopicPartition(deployment.settings.input_topic, number) for number in range(4)]
    async with clients.consumer(deployment.settings, group_id=deployment.settings.app_id) as reader:
        reader.assign(tps)
        patience = Patience("a group without members")
        while True:
            try:
                await reader.commit({tp: OffsetAndMetadata(offset, metadata) for tp in tps})
                break
            except CommitFailedError:
                patience.look()
                await asyncio.sleep(POLL_S)


async def assert_refused(worker: Worker, *words: str, code: int = 70) -> None:
    """It exits with the code and says all the words in one line."""
    assert await worker.ended() == code
    lines = [line for line in worker.said().splitlines() if all(word in line for word in words)]
    assert lines, worker.said()


async def test_a_web_port_that_is_taken_is_a_wrong_setting_and_no_missing_broker(
    deployed: Deploy,
) -> None:
    deployment = await deployed()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code = f"import os; os.environ['NETFOLLOWERS_WEB_PORT'] = '{port}'\n0{RUN}"
        worker = deployment.worker(code=code)  # it would take a free port otherwise
        words = ("exit: NETFOLLOWERS_WEB_PORT=", f"{port}: another process listens")
        await assert_refused(worker, *words, code=ExitCode.USAGE)


async def test_rows_without_a_commit(deployed: Deploy) -> None:
    deployment = await counted(deployed)
    stranger = deployment.worker(app_id=f"{deployment.settings.app_id}-other")
    await assert_refused(stranger, "exit: refused to open", "holds rows", "has no commit")


async def test_a_commit_that_is_not_ours(deployed: Deploy) -> None:
    deployment = await counted(deployed)
    await commit(deployment, 10, "")
    await assert_refused(
        deployment.worker(), "exit: refused to open", "not a checkpoint", "rebuild`"
    )


async def test_offsets_that_were_set_back(deployed: Deploy) -> None:
    deployment = await counted(deployed)
    metadata = (await deployment.committed())[0].metadata
    await commit(deployment, 10, metadata)
    await assert_refused(deployment.worker(), "exit: refused to open", "set back")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"grains": "1m:20s:15m,1h,1d"}, "grains"),
        ({"max_ahead_s": 5.0}, "max_ahead_ms"),
        ({"dedup_generation": 1_000}, "dedup_generation"),
        ({"sweep_buckets": 7}, "sweep_buckets"),
        ({"guarantee": "at_least_once"}, "guarantee"),
    ],
)
async def test_other_settings_than_it_was_counted_with(
    deployed: Deploy, changes: dict[str, Any], name: str
) -> None:
    deployment = await counted(deployed)
    worker = deployment.worker(**changes)
    await assert_refused(worker, "exit: refused to open", f"counted with {name}=", "Set it back")


async def test_the_input_cut_before_our_position(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = await deployment.ready_worker()
    await deployment.produce(mixed(2_000))
    await deployment.finish(worker)
    await deployment.produce(mixed(2_000, seed=2))
    async with clients.open_admin(deployment.settings) as admin:
        tps = {
            TopicPartition(deployment.settings.input_topic, number): RecordsToDelete(-1)
            for number in range(4)
        }
        await admin.delete_records(tps)
    await assert_refused(deployment.worker(), "exit: refused to open", "were deleted before")


async def test_a_cut_behind_our_position_is_said_and_survived(deployed: Deploy) -> None:
    deployment = await counted(deployed)
    async with clients.open_admin(deployment.settings) as admin:
        tp = TopicPartition(deployment.settings.input_topic, 0)
        await admin.delete_records({tp: RecordsToDelete(100)})
    worker = await deployment.ready_worker()
    assert "input retention has cut the log" in worker.said()
    assert (
        'netfollowers_dedup_horizon_cut_records{partition="0"} 100.0' in worker.get("/metrics")[1]
    )
    assert await worker.stop() == 0


async def test_topics_that_do_not_exist(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = deployment.worker(late_topic=f"{deployment.settings.late_topic}-other")
    assert await worker.ended() == 2
    assert "does not exist" in worker.said()
    assert "netfollowers topics create" in worker.said()
    await deployment.produce(mixed(10))
    described = await topics.check(deployment.settings)
    assert not [finding for finding in described if finding.is_error]


async def test_a_result_topic_with_another_partition_count(deployed: Deploy) -> None:
    deployment = await deployed()
    async with clients.open_admin(deployment.settings) as admin:
        await admin.create_partitions({deployment.settings.input_topic: NewPartitions(5)})
        patience = Patience("every request to see the new partitions")
        while not (findings := await topics.check(deployment.settings)):
            patience.look()
            await asyncio.sleep(0.1)
        assert sum(finding.is_error for finding in findings) == 4
        assert all("--partitions 5" in finding.fix for finding in findings if finding.is_error)
        worker = deployment.worker()
        assert await worker.ended() == 2
        assert "has 4 partitions" in worker.said()


async def test_partitions_added_under_a_running_deployment(deployed: Deploy) -> None:
    deployment = await counted(deployed)
    async with clients.open_admin(deployment.settings) as admin:
        names = (deployment.settings.input_topic, *deployment.settings.result_topics)
        await admin.create_partitions({name: NewPartitions(5) for name in names})
    worker = deployment.worker()
    await assert_refused(worker, "exit: refused to open", "counted with partitions=4")
    assert "`Partitions added to the input` in docs/operate/runbook.md" in worker.said()


async def test_an_updates_topic_that_is_not_compacted(deployed: Deploy) -> None:
    deployment = await deployed()
    settings = replace(
        deployment.settings, updates_topic=f"{deployment.settings.updates_topic}-plain"
    )
    async with clients.open_admin(settings) as admin:
        await admin.create_topics([NewTopic(settings.updates_topic, 4, 1)])
        patience = Patience("the broker to show the topic that it has")
        while True:
            [error] = [one for one in await topics.check(settings) if one.is_error]
            if "does not exist" not in error.text:
                break
            patience.look(error.text)
            await asyncio.sleep(0.2)
        assert "cleanup.policy=delete, should be compact" in error.text
        assert "--add-config cleanup.policy=compact" in error.fix
        worker = deployment.worker(updates_topic=settings.updates_topic)
        assert await worker.ended() == 2
        resource = ConfigResource(
            ConfigResourceType.TOPIC, settings.updates_topic, {"cleanup.policy": "compact"}
        )
        await admin.alter_configs([resource])
        assert not [one for one in await topics.check(settings) if one.is_error]


async def test_an_input_without_log_append_time_is_a_warning(deployed: Deploy) -> None:
    deployment = await deployed()
    name = f"{deployment.settings.input_topic}-plain"
    settings = replace(deployment.settings, input_topic=name)
    async with clients.open_admin(settings) as admin:
        await admin.create_topics([NewTopic(name, 4, 1)])
    findings = await topics.check(settings)
    assert any("LogAppendTime" in finding.text for finding in findings)
    assert not any(finding.is_error for finding in findings)
    worker = await deployment.ready_worker(input_topic=name)
    assert "message.timestamp.type=CreateTime" in worker.said()
    assert await worker.stop() == 0


async def test_a_broker_that_is_not_there(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = deployment.worker(brokers="127.0.0.1:9")
    assert await worker.ended() == 3
    assert "exit: broker 127.0.0.1:9" in worker.said()
