"""Topics that change under a running worker: it ends at once with what to do, or says so once."""

from __future__ import annotations

import pytest
from aiokafka.admin import NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from service.kafka import clients
from service.kafka import topic_admin as topics
from service.runtime import topic_watch
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.traffic import mixed

pytestmark = [pytest.mark.broker, pytest.mark.transactions]


async def configure(deployment: Deployment, topic: str, **changes: str) -> None:
    """Change a topic's configuration as an operator does: every entry is sent again."""
    wanted = topics.configuration(deployment.settings)[topic]
    wanted |= {name.replace("_", "."): value for name, value in changes.items()}
    async with clients.open_admin(deployment.settings) as admin:
        [answer] = await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, wanted)]
        )
        assert answer.resources[0][0] == 0, answer


async def add_partitions(deployment: Deployment, count: int) -> None:
    """Let the input have `count` partitions."""
    async with clients.open_admin(deployment.settings) as admin:
        await admin.create_partitions({deployment.settings.input_topic: NewPartitions(count)})


@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
async def test_a_compacted_input_is_refused(deployed: Deploy, policy: str) -> None:
    deployment = await deployed()
    await configure(deployment, deployment.settings.input_topic, cleanup_policy=policy)
    worker = deployment.worker()
    assert await worker.ended() == 2
    assert f"has cleanup.policy={policy}, should be delete" in worker.said()
    assert "compaction keeps only the newest event of each account" in worker.said()
    assert "--add-config cleanup.policy=delete" in worker.said()
    await configure(deployment, deployment.settings.input_topic)
    await deployment.produce(mixed(500))
    await deployment.recovers()


async def test_an_input_that_becomes_compacted_ends_the_worker(deployed: Deploy) -> None:
    deployment = await deployed()
    code = "import service.runtime.topic_watch as watch; watch._EACH = 1; "
    worker = await deployment.ready_worker(code=code + RUN)
    await configure(deployment, deployment.settings.input_topic, cleanup_policy="compact")
    assert await worker.ended() == 70
    assert worker.said().count("CRITICAL") == 1
    assert "exit: the topics have changed: topic" in worker.said()
    assert "--add-config cleanup.policy=delete" in worker.said()


async def test_a_weaker_setting_is_said_once_while_the_worker_goes_on(deployed: Deploy) -> None:
    deployment = await deployed()
    code = "import service.runtime.topic_watch as watch; watch._EACH = 1; watch.INTERVAL_S = 0.5; "
    worker = await deployment.ready_worker(code=code + RUN)
    await configure(deployment, deployment.settings.input_topic, retention_ms="3600000")
    await worker.until("has retention.ms=3600000")
    await deployment.produce(mixed(500))
    await deployment.finish(worker)
    assert worker.said().count("has retention.ms=3600000") == 1


async def test_partitions_added_to_the_input_end_the_worker_at_once(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = await deployment.ready_worker()
    await deployment.produce(mixed(500))
    await deployment.caught_up()
    await add_partitions(deployment, 8)
    assert await worker.ended() == 70
    topic = deployment.settings.input_topic
    assert f"exit: {topic} has 8 partitions now, 4 are counted" in worker.said()
    assert "Partitions added to the input" in worker.said()
    again = deployment.worker()
    assert await again.ended() == 2
    assert "docs/operate/runbook.md, Partitions added to the input" in again.said()


def test_it_is_loud_within_ten_seconds() -> None:
    assert 3 * topic_watch.INTERVAL_S < 10.0, "two looks, and the wait before them"


RUN = "import os, sys; from service.run import run; from service.settings import Settings; "
RUN += "sys.exit(run(Settings.from_env(os.environ)))"
