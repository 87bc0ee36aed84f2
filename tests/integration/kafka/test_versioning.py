"""docs/operate/versioning.md, done: settings are rolled out beside the old; a version goes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from service.contract.topics import RESULTS
from service.kafka import clients
from tests.integration.kafka.test_refusals import assert_refused
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.traffic import mixed, read_all

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

OLD, NEW = "1m:30s:15m,1h:1m:3h", "5m:30s:30m,1h:1m:3h"
HOUR_MS = 1_700_002_800_000
"""An hour ends here, in the middle of what is sent: both grains have finals at any time of day."""
TOTALS = (
    *("gained", "lost", "net", "followers", "baseline", "net_at_baseline"),
    *("last_event_ms", "offset"),
)
Window = tuple[str, str, int]


async def table(deployment: Deployment) -> dict[bytes, dict[str, Any]]:
    """The table as a consumer folds it."""
    rows: dict[bytes, dict[str, Any]] = {}
    for key, value in await read_all(deployment, deployment.settings.updates_topic):
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = json.loads(value)
    return rows


async def totals(deployment: Deployment) -> dict[bytes, list[Any]]:
    """Every row without its windows."""
    return {key: [row[name] for name in TOTALS] for key, row in (await table(deployment)).items()}


async def upsert(deployment: Deployment, known: dict[Window, dict[str, Any]]) -> None:
    """Take window results into what a consumer knows: the highest revision wins."""
    for _, value in await read_all(deployment, deployment.settings.windows_topic):
        one = json.loads(value)
        name = (one["account_id"], one["grain"], one["start_ms"])
        if name not in known or known[name]["revision"] <= one["revision"]:
            known[name] = one


def common(known: dict[Window, dict[str, Any]]) -> dict[Window, dict[str, Any]]:
    """Windows of the grain that both have."""
    return {name: one for name, one in known.items() if name[1] == "1h"}


async def beside(deployed: Deploy, old: Deployment, **changes: Any) -> Deployment:
    """A deployment that counts the same input under a new app id into topics of its own."""
    names = old.settings
    return await deployed(
        app_id=f"{names.app_id}-v2",
        **{one.setting: f"{names.topic(one)}-v2" for one in RESULTS},
        **changes,
    )


async def delete_results(deployment: Deployment) -> None:
    """The last step: the old topics go."""
    await deployment.obeys_the_contract()
    async with clients.open_admin(deployment.settings) as admin:
        await admin.delete_topics(list(deployment.settings.result_topics))
    deployment.is_tampered_with = True


async def test_settings_that_change_results_are_rolled_out_beside_the_old(
    deployed: Deploy,
) -> None:
    old = await deployed(grains=OLD)
    worker = old.worker()
    await old.produce(mixed(8_000, start_ms=HOUR_MS - 30_000))
    await old.caught_up()
    assert await worker.stop() == 0

    # The same app id refuses, names the setting with both values, and the way forward.
    refused = old.worker(grains=NEW)
    await assert_refused(
        refused, "counted with grains=1m:", "has grains=5m:", "new NETFOLLOWERS_APP_ID"
    )

    # The old one continues. The new one counts the whole log beside it, then runs beside it.
    worker = old.worker()
    new = await beside(deployed, old, grains=NEW)
    newer = new.worker()
    await old.produce(mixed(4_000, seed=2, start_ms=HOUR_MS + 50_000))
    await old.caught_up()
    await new.caught_up()

    # Compare: each against the log, then with each other.
    await old.audit()
    await new.audit()
    assert await totals(old) == await totals(new)
    before: dict[Window, dict[str, Any]] = {}
    after: dict[Window, dict[str, Any]] = {}
    await upsert(old, before)
    await upsert(new, after)
    assert len(common(before)) > 100
    assert common(before) == common(after)
    assert {name[1] for name in after} == {"5m", "1h"}

    # A consumer switches: what it knows of the common grain stays, whatever it reads twice.
    switched = dict(before)
    await upsert(new, switched)
    assert common(switched) == common(before)

    # The old ones go; nothing that is left notices.
    assert await worker.stop() == 0
    await delete_results(old)
    await new.produce(mixed(1_000, seed=3, start_ms=HOUR_MS + 90_000))
    await new.caught_up()
    assert await newer.stop() == 0
    await new.audit()


async def written_by_a_newer_version(deployment: Deployment) -> int:
    """Give every row and every commit a field that this version does not know. Return rows."""
    await deployment.obeys_the_contract()
    deployment.is_tampered_with = True
    topic, group = deployment.settings.updates_topic, deployment.settings.app_id
    rows = await table(deployment)
    async with clients.producer(deployment.settings) as producer:
        for key, row in rows.items():
            newer = {**row, "since_ms": row["last_event_ms"], "rank": {"world": 7}}
            await producer.send(topic, json.dumps(newer).encode(), key=key)
    commits = await deployment.committed()
    async with clients.consumer(deployment.settings, group_id=group) as reader:
        tps = [TopicPartition(deployment.settings.input_topic, number) for number in commits]
        reader.assign(tps)
        for number, at in commits.items():
            metadata = json.loads(at.metadata)
            metadata["from_a_newer_version"] = {"rows": 1}
            metadata["counts"]["another"] = 0
            tp = TopicPartition(deployment.settings.input_topic, number)
            await reader.commit({tp: OffsetAndMetadata(at.offset, json.dumps(metadata))})
    return len(rows)


async def test_a_version_that_is_rolled_back_reads_what_a_newer_one_wrote(
    deployed: Deploy,
) -> None:
    deployment = await deployed()
    worker = deployment.worker()
    await deployment.produce(mixed(4_000))
    await deployment.finish(worker)
    before = await totals(deployment)
    assert await written_by_a_newer_version(deployment) == len(before) > 100

    back = await deployment.ready_worker()
    await deployment.produce(mixed(2_000, seed=2))
    await deployment.finish(back)
    rows = await table(deployment)
    assert {"since_ms" in row for row in rows.values()} == {True, False}  # kept until it changes

    again = await beside(deployed, deployment)
    worker = again.worker()
    await again.caught_up()
    assert await worker.stop() == 0
    assert await totals(again) == await totals(deployment)


async def test_a_record_that_breaks_the_contract_is_noticed(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = deployment.worker()
    await deployment.produce(mixed(500))
    await deployment.finish(worker)
    await deployment.obeys_the_contract()
    assert deployment.witness.judged > 300
    async with clients.producer(deployment.settings) as producer:
        await producer.send_and_wait(
            deployment.settings.windows_topic, b'{"grain": "1m"}', key=b"a1"
        )
    with pytest.raises(AssertionError, match='"account_id" is a required property'):
        await deployment.obeys_the_contract()
