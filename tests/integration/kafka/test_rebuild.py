"""A stray client commits with our group id, on a real Kafka: `netfollowers rebuild` undoes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.protocol.admin import DeleteGroupsRequest

from service.commands import rebuild_partitions, rebuild_plan
from service.commands.rebuild_count import Counted, Recount
from service.commands.rebuild_plan import Plan, Planner
from service.contract.rule_versions import CURRENT
from service.counting import Publisher
from service.exit_codes import ExitCode
from service.kafka import clients
from service.kafka.aiokafka_ext import batches
from service.runtime.journal_transactional import TransactionalJournal
from tests.integration.kafka.test_audit import run
from tests.integration.kafka.test_loudness import RUN
from tests.integration.kafka.test_refusals import assert_refused, commit, counted
from tests.integration.kafka.test_stepping_over import (
    BOUND,
    HUGE,
    PLANT,
    ended_before_a_batch,
    nobody,
    overwrite,
    skip,
)
from tests.integration.kafka.test_unpacking import event, send
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import SHORT_SESSION_S, Deploy
from tests.support.traffic import mixed, sending, some_committed

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

EVENTS = 16_000
V1 = "import service.contract.rule_versions as r; r.CURRENT = 1\n0" + RUN
"""A worker that counts by version 1 of the rules."""


async def said(deployment: Deployment) -> dict[int, dict[str, Any]]:
    """Return the position and the metadata of each partition's commit."""
    found = await deployment.committed()
    return {p: {"position": at.offset, **json.loads(at.metadata)} for p, at in found.items()}


async def refused(deployment: Deployment) -> None:
    """A worker does not start, and its line names the command."""
    await assert_refused(
        deployment.worker(),
        "exit: refused to open",
        "`netfollowers rebuild",
        "docs/operate/runbook.md",
    )
    await nobody(deployment)


async def goes_on(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers count on; then every number is what it would be if nothing had happened."""
    workers = [deployment.worker(), deployment.worker()]
    await deployment.produce(mixed(EVENTS // 2, seed=2))
    await deployment.caught_up()
    for worker in workers:
        assert await worker.stop() == 0
    await deployment.audit()
    assert await run(deployment, monkeypatch, "certify") == ExitCode.OK


STRAYS = [(10, ""), (1_000_000, ""), (500, '{"v":7,"who":"a console consumer"}'), (0, "mine")]


@pytest.mark.parametrize(("offset", "text"), STRAYS, ids=["behind", "ahead", "foreign", "start"])
async def test_a_stray_commit_is_undone_and_every_number_is_as_if_it_had_never_been(
    deployed: Deploy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    offset: int,
    text: str,
) -> None:
    deployment = await deployed(session_timeout_s=SHORT_SESSION_S)
    workers = [deployment.worker() for _ in range(1 + offset % 3)]
    for worker in workers:
        await worker.until("ready")
    await deployment.produce(mixed(EVENTS))
    await deployment.caught_up()
    for worker in workers:
        assert await worker.stop() == 0
    before = await said(deployment)
    await commit(deployment, offset, text)
    stray = await deployment.committed()
    await refused(deployment)
    capsys.readouterr()
    assert await run(deployment, monkeypatch, "doctor") == ExitCode.WRONG
    assert "netfollowers rebuild" in capsys.readouterr().out

    assert await run(deployment, monkeypatch, "rebuild") == ExitCode.OK
    assert "dry run: nothing was changed; add --yes" in capsys.readouterr().out
    assert await deployment.committed() == stray
    assert await run(deployment, monkeypatch, "rebuild", "--yes") == ExitCode.OK
    assert "all agrees" in capsys.readouterr().out
    after = await said(deployment)
    for partition, one in after.items():
        for found in (one, before[partition]):  # times at which nothing became final are equal
            del found["sweep"]
        assert one == before[partition]
    assert await run(deployment, monkeypatch, "rebuild", "--yes") == ExitCode.OK
    assert "is valid: not changed" in capsys.readouterr().out
    await goes_on(deployment, monkeypatch)


async def test_after_a_kill_in_the_middle_and_with_events_that_wait(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = await deployed(session_timeout_s=SHORT_SESSION_S)
    workers = [deployment.worker() for _ in range(2)]
    async with sending(deployment):
        await some_committed(deployment, at_least=EVENTS)
        for worker in workers:
            await worker.kill()
    await deployment.produce(mixed(2_000, seed=3))
    await nobody(deployment)
    before = await said(deployment)
    await commit(deployment, 10, "")
    await refused(deployment)
    code = await run(deployment, monkeypatch, "rebuild", "--yes")
    assert code in (
        ExitCode.OK,
        ExitCode.INCOMPLETE,
    )  # windows may wait for the sweep of the next worker
    after = await said(deployment)
    for partition, one in after.items():
        assert one["position"] >= before[partition]["position"]
        assert one["counts"]["applied"] == before[partition]["counts"]["applied"]
        assert one["counts"]["late"] == before[partition]["counts"]["late"]
    await goes_on(deployment, monkeypatch)


async def test_offsets_that_are_gone_or_were_set_back_are_rebuilt_too(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await deployed(session_timeout_s=SHORT_SESSION_S)
    worker = await deployment.ready_worker()
    await deployment.produce(mixed(EVENTS))
    await deployment.caught_up()
    capsys.readouterr()
    assert await run(deployment, monkeypatch, "rebuild", "--yes") == ExitCode.WRONG
    assert "has members" in capsys.readouterr().out
    assert await worker.stop() == 0
    before = await said(deployment)
    await delete_group(deployment)
    await refused(deployment)
    capsys.readouterr()
    assert await run(deployment, monkeypatch, "doctor") == ExitCode.OK
    assert "docs/operate/runbook.md, Checkpoint overwritten" in capsys.readouterr().out
    assert await run(deployment, monkeypatch, "rebuild", "--yes") == ExitCode.OK
    after = await said(deployment)
    assert [one["counts"] for _, one in sorted(after.items())] == [
        one["counts"] for _, one in sorted(before.items())
    ]
    text = (await deployment.committed())[0].metadata
    await commit(deployment, 10, text)  # a checkpoint of the service, at another place
    await refused(deployment)
    for partition in range(4):
        arguments = ("rebuild", "--partition", str(partition), "--yes")
        assert await run(deployment, monkeypatch, *arguments) == ExitCode.OK
    assert await said(deployment) == after
    await goes_on(deployment, monkeypatch)


@pytest.mark.parametrize("records", [-1, 1])
async def test_the_audit_lets_no_wrong_position_be_committed(
    deployed: Deploy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    records: int,
) -> None:
    """A planted bug: the position is one record off."""
    deployment = await deployed(partitions=1, session_timeout_s=SHORT_SESSION_S)
    worker = await deployment.ready_worker()
    await send(deployment, *((event(number), []) for number in range(9)))
    await deployment.finish(worker)
    await send(deployment, (event(9), []), (event(10), []))
    await overwrite(deployment, 3, "")
    stray = await deployment.committed()

    class Wrong(Recount):
        def counted(self, end: int) -> Counted:
            found = super().counted(end)
            return found._replace(position=found.position + records)

    monkeypatch.setattr(rebuild_plan, "Recount", Wrong)
    capsys.readouterr()
    assert await run(deployment, monkeypatch, "rebuild", "--yes") == ExitCode.WRONG
    out = capsys.readouterr().out
    assert "MISMATCH" in out
    assert "the audit disagrees, so nothing was committed" in out
    assert await deployment.committed() == stray
    monkeypatch.setattr(rebuild_plan, "Recount", Recount)
    assert await run(deployment, monkeypatch, "rebuild", "--yes") == ExitCode.OK
    assert (await said(deployment))[0]["position"] == 9


async def test_a_worker_that_has_started_meanwhile_wins(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await deployed(partitions=1, session_timeout_s=SHORT_SESSION_S)
    worker = await deployment.ready_worker()
    await send(deployment, (event(0), []), (event(1), []))
    await deployment.finish(worker)
    await overwrite(deployment, 1, "")
    stray = await deployment.committed()

    class Slow(Planner):
        async def plan(self, *known: Any) -> Plan | None:
            found = await super().plan(*known)
            topics = self.settings.result_topics
            other = TransactionalJournal(self.settings, 0, 1, Publisher(topics))  # as a worker
            await other.fence()
            await other.close()
            return found

    monkeypatch.setattr(rebuild_partitions, "Planner", Slow)
    capsys.readouterr()
    assert await run(deployment, monkeypatch, "rebuild", "--yes") == ExitCode.WRONG
    assert "a worker has opened the partition meanwhile" in capsys.readouterr().out
    assert await deployment.committed() == stray


async def test_ranges_stepped_over_and_versions_of_the_rules_are_kept(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batches, "MOST_BYTES", BOUND)
    deployment = await deployed(partitions=1, session_timeout_s=SHORT_SESSION_S)
    old = await deployment.ready_worker(code=V1)
    other = event(0, action="unfollow")
    await send(deployment, (event(0), []), (other, []), (event(1), []))  # a duplicate by version 1
    await deployment.finish(old)
    worker = await deployment.ready_worker(code=PLANT + RUN)
    await send(deployment, (event(1, action="unfollow"), []))  # an event by version 2
    first = await send(deployment, (event(2, padding=HUGE), []), (event(3), []), compression="zstd")
    await send(deployment, (event(4), []))
    assert await worker.ended() == ExitCode.INTERNAL
    await nobody(deployment)
    assert await run(deployment, monkeypatch, *skip(first, first + 2, "--yes")) == ExitCode.OK
    worker = await deployment.ready_worker(code=PLANT + RUN)
    await deployment.finish(worker)
    before = await said(deployment)
    assert before[0]["rules"] == [[0, 1], [3, CURRENT]]
    assert before[0]["skipped"] == [[first, first + 2, "too large"]]
    await overwrite(deployment, 3, "")
    capsys.readouterr()
    assert await run(deployment, monkeypatch, "rebuild", "--yes") == ExitCode.WRONG
    assert "--rules 0:1,81234:2" in capsys.readouterr().out
    arguments = ("rebuild", "--rules", f"0:1,3:{CURRENT}", "--yes")
    assert await run(deployment, monkeypatch, *arguments) == ExitCode.OK
    assert await said(deployment) == before
    worker = await deployment.ready_worker(code=PLANT + RUN)
    await send(deployment, (event(0), []), (event(5), []))
    await deployment.finish_and_audit(worker)


async def test_before_a_batch_that_nobody_can_unpack_it_leads_back_to_skip(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker ends there, so no worker runs. At that moment another client can commit."""
    deployment, _, first = await ended_before_a_batch(
        deployed, monkeypatch, session_timeout_s=SHORT_SESSION_S
    )
    await nobody(deployment)
    before = await said(deployment)
    await overwrite(deployment, 1, "")
    assert await run(deployment, monkeypatch, *skip(first, first + 2, "--yes")) == ExitCode.WRONG
    assert await run(deployment, monkeypatch, "rebuild", "--yes") == ExitCode.OK
    assert (await said(deployment))[0] == before[0]
    assert before[0]["position"] == first
    assert await run(deployment, monkeypatch, *skip(first, first + 2, "--yes")) == ExitCode.OK
    await deployment.recovers(code=PLANT + RUN)


async def test_of_a_cut_log_it_says_what_nobody_knows_and_refuses_what_is_gone(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await deployed(partitions=1, session_timeout_s=SHORT_SESSION_S)
    worker = await deployment.ready_worker()
    await deployment.produce(mixed(EVENTS))
    await deployment.finish(worker)
    before = (await said(deployment))[0]
    await cut(deployment, 1_000)
    await overwrite(deployment, 3, "")
    capsys.readouterr()
    assert await run(deployment, monkeypatch, "rebuild", "--yes") == ExitCode.INCOMPLETE
    assert "NOT KNOWN the log begins at offset 1000" in capsys.readouterr().out
    after = (await said(deployment))[0]
    for name in ("position", "watermark_ms", "rows", "rules"):
        assert after[name] == before[name], name
    worker = deployment.worker()
    await deployment.produce(mixed(2_000, seed=2))
    report = await deployment.finish_and_audit(worker)
    assert not report.is_whole
    await deployment.produce(mixed(100, seed=4))
    await cut(deployment, -1)
    await overwrite(deployment, 3, "")
    stray = await deployment.committed()
    assert await run(deployment, monkeypatch, "rebuild", "--yes") == ExitCode.WRONG
    assert "it cannot be known what was counted of the records between" in capsys.readouterr().out
    assert await deployment.committed() == stray


async def test_at_least_once_a_stray_commit_harms_nothing(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await counted(deployed, guarantee="at_least_once")
    await commit(deployment, 10, "")
    capsys.readouterr()
    assert await run(deployment, monkeypatch, "rebuild", "--yes") == ExitCode.OK
    assert "the group's commit is not read: nothing to rebuild" in capsys.readouterr().out
    worker = deployment.worker()
    await deployment.produce(mixed(2_000, seed=2))
    await deployment.finish_and_audit(worker)


async def cut(deployment: Deployment, before: int) -> None:
    """Remove what lies before an offset of the input, as retention does; -1: all."""
    async with clients.open_admin(deployment.settings) as admin:
        tp = TopicPartition(deployment.settings.input_topic, 0)
        await admin.delete_records({tp: RecordsToDelete(before)})


async def delete_group(deployment: Deployment) -> None:
    """Delete the group with its offsets, as they expire; it must be empty."""
    await nobody(deployment)
    group = deployment.settings.app_id
    async with clients.open_admin(deployment.settings) as admin:
        node = await admin.find_coordinator(group)
        answer: Any = await admin._send_request_to_node(node, DeleteGroupsRequest([group]))
    assert answer.results == [(group, 0)]
