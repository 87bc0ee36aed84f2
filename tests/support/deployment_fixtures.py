"""Fixtures of integration tests: a deployment with topics of its own on the session's broker."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.local.broker import LocalBroker
from service.settings import Settings
from tests.support.deployment import Deployment, deploy

Deploy = Callable[..., Awaitable[Deployment]]
SHORT_SESSION_S = 6.0
"""Session timeout for tests that kill or freeze a worker. Then others get its partitions."""


def settings_for(brokers: str, name: str, **changes: Any) -> Settings:
    """Return settings with topics and an app id of their own.

    A worker that crashes is soon out of the group.
    """
    return Settings(
        brokers=brokers, session_timeout_s=10.0, heartbeat_interval_s=0.5, flush_interval_s=0.1
    ).with_prefix(name, **changes)


@asynccontextmanager
async def deployment_on(
    broker: LocalBroker, unique: str, home: Path, **changes: Any
) -> AsyncIterator[Deployment]:
    """A deployment whose workers end with the block, on a broker that may be hurt meanwhile."""
    deployment = await deploy(settings_for(broker.bootstrap, unique, **changes), home)
    try:
        yield deployment
    finally:
        deployment.end_all()


async def ended(made: list[Deployment]) -> None:
    """End their workers. Everything that they wrote must have obeyed the contract."""
    for deployment in made:
        deployment.end_all()
    for deployment in made:
        deployment.settings = deployment.witness.settings  # a test may have had others at its end
        await deployment.obeys_the_contract()
    gc.collect()  # a connection that aiokafka forgot is closed while there is a loop to close it in
    await asyncio.sleep(0)


@pytest.fixture
async def deployed(kafka: Any, unique: str, tmp_path: Path) -> AsyncIterator[Deploy]:
    """Yield a factory of deployments on the real Kafka. Their workers end with the test."""
    made: list[Deployment] = []

    async def make(**changes: Any) -> Deployment:
        deployment = await deploy(settings_for(kafka.bootstrap, unique, **changes), tmp_path)
        made.append(deployment)
        return deployment

    yield make
    await ended(made)


@pytest.fixture
async def deployed_on_tansu(tansu: Any, unique: str, tmp_path: Path) -> AsyncIterator[Deploy]:
    """The same on the embedded broker, at least once."""
    made: list[Deployment] = []

    async def make(**changes: Any) -> Deployment:
        changes = {"guarantee": "at_least_once", **changes}
        settings = settings_for(tansu.bootstrap, unique, **changes)
        deployment = await deploy(settings, tmp_path, is_tansu=True)
        made.append(deployment)
        return deployment

    yield make
    await ended(made)
