"""A worker that has lost its place in the group says so and ends (G6): found by chaos."""

from __future__ import annotations

import pytest

from tests.integration.kafka.test_loudness import RUN
from tests.support.deployment_fixtures import Deploy

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

REFUSED = """
import aiokafka.consumer.group_coordinator as g
from aiokafka.errors import KafkaError
async def refused(self, request):
    raise KafkaError("planted")
g.CoordinatorGroupRebalance._send_sync_group_request = refused
"""


async def test_an_error_that_aiokafka_keeps_for_who_polls_ends_the_worker(
    deployed: Deploy,
) -> None:
    deployment = await deployed()
    worker = deployment.worker(code=REFUSED + RUN.removeprefix("; "))
    assert await worker.ended() == 70
    assert "exit: the group membership failed" in worker.said()
    assert "planted" in worker.said()
    again = await deployment.ready_worker()
    assert await again.stop() == 0
