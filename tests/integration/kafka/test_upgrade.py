"""Release 0.1.0 counts, this version continues, and back. On a real Kafka, judged by the audit."""

from __future__ import annotations

import asyncio
import io
import json
import re
import subprocess
import tarfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from service import __version__
from service.local.worker_process import ROOT
from service.synthetic.events import Made
from tests.integration.kafka.test_doctor import doctor
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.optional import skip, tool
from tests.support.traffic import mixed

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

RELEASED = "80b516b"
"""The commit that is release 0.1.0."""
AT_MS = int(time.time() * 1_000) - 60_000


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A checkout of release 0.1.0, out of this repository's own history."""
    made = subprocess.run(
        [tool("git"), "archive", RELEASED, "service"], cwd=ROOT, capture_output=True, check=False
    )
    if made.returncode:
        skip(
            f"no commit {RELEASED} in this clone: it is shallow, or no clone (git clone makes one)"
        )
    root = tmp_path / "released"
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as files:
        files.extractall(root, filter="data")
    return root


def event(event_id: str, action: str = "follow") -> Made:
    fields = {"event_id": event_id, "account_id": "a", "follower_id": "f", "action": action}
    value = json.dumps(fields | {"occurred_at": AT_MS}).encode()
    return Made(b"a", value, [], "event")


def cloud_event(number: int) -> Made:
    """One attribute comes twice, first with a wrong type: 0.1.0 rejects it."""
    data = event(f"ce-{number}").value
    assert data is not None
    value = (
        b'{"specversion":"1.0","id":1,"id":"%d","source":"/s","type":"t.follow","data":' % number
    )
    headers = [("content-type", b"application/cloudevents+json")]
    return Made(b"a", value + data + b"}", headers, "event")


def alike(count: int, seed: int = 1) -> list[Made]:
    """Records that 0.1.0 can read: a header without a value ends its workers."""
    made = mixed(count, seed=seed)
    return [one for one in made if all(value is not None for _, value in one.headers)]


def differing(part: int) -> list[Made]:
    """Records that the two versions judge differently, and one that was refused before."""
    return [
        event(f"edge-{part}"),
        event(f"edge-{part}", "unfollow"),
        cloud_event(part),
        cloud_event(part - 1),
    ]


async def counted(deployment: Deployment, records: list[Made], root: Path = ROOT) -> str:
    """Let a worker of `root` count them. Return what it said."""
    worker = await deployment.ready_worker(root=root)
    await deployment.produce(records)
    await deployment.caught_up()
    assert await worker.stop() == 0, worker.said()
    return worker.said()


async def metadata(deployment: Deployment) -> dict[str, Any]:
    """What is committed for the account's partition."""
    told = [json.loads(at.metadata) for at in (await deployment.committed()).values()]
    found: dict[str, Any] = max(told, key=lambda one: one["counts"]["rejected"])
    return found


async def applied(deployment: Deployment) -> int:
    """Applied events of all partitions."""
    told = [json.loads(at.metadata) for at in (await deployment.committed()).values()]
    return sum(one["counts"]["applied"] for one in told)


async def test_an_upgrade_changes_no_number_and_loses_nothing(
    deployed: Deploy, released: Path
) -> None:
    deployment = await deployed()
    await counted(deployment, [*alike(500), *differing(1)], released)
    assert "rules" not in await metadata(deployment)
    await deployment.audit()

    before = await applied(deployment)
    await counted(deployment, [cloud_event(1)])
    assert await applied(deployment) == before + 1, "0.1.0 has rejected it, and it comes again"
    assert (await metadata(deployment))["rules"]
    await deployment.audit()

    worker = await deployment.ready_worker()
    await worker.kill()
    await counted(deployment, [*alike(500, 3), *differing(4)])
    await deployment.audit()


async def test_a_rejected_record_that_comes_again_is_counted_after_the_way_back(
    deployed: Deploy, released: Path
) -> None:
    """Both versions judge these records alike, so it does not matter which one has counted them."""
    deployment = await deployed()
    await counted(deployment, [*alike(500), event("first")], released)
    await counted(deployment, alike(500, 2))
    await counted(deployment, [*alike(500, 3), event("", "unfollow")], released)
    assert "rules" not in await metadata(deployment)
    await deployment.audit()
    before = await applied(deployment)
    await counted(deployment, [event("corrected", "unfollow"), event("first")])
    assert await applied(deployment) == before + 1, (
        "the corrected one counts, the other is a duplicate"
    )
    await deployment.audit()


@asynccontextmanager
async def load(deployment: Deployment) -> AsyncIterator[None]:
    """Send records all the time."""
    ends = asyncio.Event()

    async def send() -> None:
        for seed in count(100):
            if ends.is_set():
                return
            await deployment.produce(alike(200, seed))
            await asyncio.sleep(0.1)

    sending = asyncio.create_task(send())
    try:
        yield
    finally:
        ends.set()
        await sending


async def test_workers_are_replaced_one_by_one_under_load(deployed: Deploy, released: Path) -> None:
    deployment = await deployed(partitions=8)
    old = [deployment.worker(root=released) for _ in range(2)]
    for worker in old:
        await worker.until("ready")
    async with load(deployment):
        new = []
        for worker in old:
            assert await worker.stop() == 0, worker.said()
            fresh = await deployment.ready_worker()
            new.append(fresh)
            said = await doctor(deployment, code=0)
            assert re.search(rf"workers?.*http://\S+ {re.escape(__version__)}\b", said), said
            assert (" 0.1.0" in said) == (worker is old[0]), said
    await deployment.caught_up()
    for worker in new:
        assert await worker.stop() == 0, worker.said()
    await deployment.audit()
