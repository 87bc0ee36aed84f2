"""At least once, on a broker without transactions: the same end state, also after a kill."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.deployment import Deployment, Worker
from tests.support.deployment_fixtures import SHORT_SESSION_S, Deploy
from tests.support.traffic import mixed, some_committed, trickle

pytestmark = [pytest.mark.broker]


async def test_generated_events_end_in_the_same_state(deployed_on_tansu: Deploy) -> None:
    deployment = await deployed_on_tansu()
    worker = await deployment.ready_worker()
    await deployment.produce(mixed(50_000))
    await deployment.finish_and_audit(worker)


async def is_exact_after_two_kills(deployment: Deployment, worker: Worker) -> None:
    """Kill the worker twice under load. Fail unless the audit agrees in the end."""
    sending = asyncio.create_task(trickle(deployment, mixed(30_000)))
    for goal in (5_000, 15_000):
        await some_committed(deployment, at_least=goal)
        await worker.kill()
        worker = deployment.worker()
    await sending
    await worker.until("ready")
    await deployment.finish_and_audit(worker)


async def test_a_kill_repeats_results_but_changes_none(deployed_on_tansu: Deploy) -> None:
    deployment = await deployed_on_tansu(session_timeout_s=SHORT_SESSION_S)
    worker = await deployment.ready_worker()
    await is_exact_after_two_kills(deployment, worker)


async def test_the_same_on_a_real_kafka(deployed: Deploy) -> None:
    deployment = await deployed(guarantee="at_least_once", session_timeout_s=SHORT_SESSION_S)
    await is_exact_after_two_kills(deployment, deployment.worker())
