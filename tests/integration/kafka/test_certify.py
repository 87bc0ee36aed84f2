"""`certify` and `explain` on a real Kafka: one input, counted in many ways, has one hash."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import TopicPartition

from service.contract.topics import RESULTS
from service.exit_codes import ExitCode
from service.kafka import clients
from tests.integration.kafka.test_audit import cut, flip_a_row, flip_a_window, newest, run
from tests.integration.kafka.test_loudness import RUN
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import SHORT_SESSION_S, Deploy
from tests.support.patience import POLL_S
from tests.support.traffic import mixed, owners, trickle

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

EVENTS = 12_000
START_MS = 1_700_000_000_000
QUICK: dict[str, Any] = {"grains": "10s:2s:20s,1m:5s:2m,1h", "max_ahead_s": 1.0}
"""Windows short enough that many are past their keep."""

Way = Callable[[Deployment], Awaitable[None]]


async def one_worker(deployment: Deployment) -> None:
    worker = deployment.worker()
    await deployment.caught_up()
    assert await worker.stop() == 0


async def three_workers(deployment: Deployment) -> None:
    """Count with three workers, each with other partitions."""
    workers = [deployment.worker() for _ in range(3)]
    await owners(*workers)
    await deployment.caught_up()
    assert [await worker.stop() for worker in workers] == [0, 0, 0]


async def small_batches(deployment: Deployment) -> None:
    """Count with small batches, flushed often."""
    worker = deployment.worker(batch_records=37, flush_records=50, flush_interval_s=0.01)
    await deployment.caught_up()
    assert await worker.stop() == 0


KILLED_AT_ITS_20TH = """
import itertools, os, signal
from service.runtime.journal_transactional import TransactionalJournal
sent, send = itertools.count(1), TransactionalJournal._send
async def _send(self, *arguments):
    count = await send(self, *arguments)
    if next(sent) == 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return count
TransactionalJournal._send = _send
0"""


async def killed_in_the_middle(deployment: Deployment) -> None:
    """Count with a worker that kills itself in the middle of its 20th transaction, and another.

    By its own hand: a kill from here would race with the end of the input.
    """
    doomed = deployment.worker(KILLED_AT_ITS_20TH + RUN, batch_records=200, flush_records=200)
    assert await doomed.ended() == -signal.SIGKILL
    assert 0 < sum(at.offset for at in (await deployment.committed()).values()) < EVENTS
    again = deployment.worker()
    await deployment.caught_up()
    assert await again.stop() == 0


async def certificate(
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
) -> list[str]:
    """The lines that `certify` prints."""
    capsys.readouterr()
    assert await run(deployment, monkeypatch, "certify", *arguments) == ExitCode.OK
    return capsys.readouterr().out.splitlines()


def beside(name: str, first: Deployment) -> dict[str, Any]:
    """Settings that count the same input into topics of their own."""
    settings = first.settings
    kinds = [*(topic.setting for topic in RESULTS), "app_id"]
    own = {kind: f"{getattr(settings, kind)}-{name}" for kind in kinds}
    return {**own, "input_topic": settings.input_topic, **QUICK}


async def test_five_ways_to_count_one_input_have_one_certificate(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = await deployed(**QUICK)
    await first.produce(mixed(EVENTS, start_ms=START_MS))
    ways: list[tuple[Way, dict[str, Any]]] = [
        (one_worker, {}),
        (three_workers, {}),
        (small_batches, {}),
        (killed_in_the_middle, {"session_timeout_s": SHORT_SESSION_S}),
        (one_worker, {"guarantee": "at_least_once"}),
    ]
    told = []
    for number, (way, changes) in enumerate(ways):
        deployment = await deployed(**beside(str(number), first), **changes)
        await way(deployment)
        told.append(await certificate(deployment, monkeypatch, capsys))
        recomputed = await certificate(deployment, monkeypatch, capsys, "--recompute")
        assert recomputed == told[-1], way.__name__
    assert len(told[0]) == 4
    assert len({line.split()[-1] for line in told[0]}) == 4
    assert all(re.fullmatch(r"partition \d offset \d+ [0-9a-f]{64}", line) for line in told[0])
    assert told == [told[0]] * 5


async def test_a_certificate_is_of_an_offset_and_of_nothing_behind_it(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await deployed(**QUICK)
    await deployment.produce(mixed(4_000, start_ms=START_MS))
    await one_worker(deployment)
    before = await certificate(deployment, monkeypatch, capsys, "--partition", "1")
    offset = before[0].split()[3]
    await deployment.produce(mixed(4_000, seed=2, start_ms=START_MS + 60_000))
    await one_worker(deployment)
    after = await certificate(deployment, monkeypatch, capsys, "--partition", "1")
    assert after != before
    again = ("--partition", "1", "--offset", offset)
    assert await certificate(deployment, monkeypatch, capsys, *again) == before


@pytest.mark.parametrize("flip", [flip_a_row, flip_a_window])
async def test_one_flipped_record_changes_the_certificate(
    deployed: Deploy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flip: Way,
) -> None:
    deployment = await deployed(grains="10s:2s:2s", max_ahead_s=1.0)
    await deployment.produce(mixed(8_000, start_ms=START_MS))
    await one_worker(deployment)
    before = await certificate(deployment, monkeypatch, capsys)
    await flip(deployment)
    after = await certificate(deployment, monkeypatch, capsys)
    assert after[0] != before[0]
    assert after[1:] == before[1:]
    assert await certificate(deployment, monkeypatch, capsys, "--recompute") == before


async def test_a_certificate_over_a_cut_log_has_the_exit_code_of_the_audit(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await deployed(**QUICK)
    await deployment.produce(mixed(8_000, start_ms=START_MS))
    await one_worker(deployment)
    await cut(deployment, deployment.settings.input_topic, 100)
    assert await run(deployment, monkeypatch, "certify") == ExitCode.OK
    assert await run(deployment, monkeypatch, "certify", "--recompute") == ExitCode.INCOMPLETE
    assert "begins at offset 100" in capsys.readouterr().err
    await cut(deployment, deployment.settings.windows_topic, 5)
    assert await run(deployment, monkeypatch, "certify") == ExitCode.INCOMPLETE


async def offsets_of(deployment: Deployment, key: bytes) -> list[int]:
    """Offsets of an account's records in the input."""
    reader = clients.consumer(deployment.settings, auto_offset_reset="earliest")
    await reader.start()
    try:
        topic = deployment.settings.input_topic
        tps = [TopicPartition(topic, number) for number in range(deployment.settings.partitions)]
        reader.assign(tps)
        ends = await reader.end_offsets(tps)
        found = []
        for tp in tps:
            while await reader.position(tp) < ends[tp]:
                for batch in (await reader.getmany(tp, timeout_ms=200)).values():
                    found += [one.offset for one in batch if one.key == key]
        return found
    finally:
        await reader.stop()


async def test_explain_lists_every_record_of_an_account_and_agrees_with_its_row(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await deployed()
    await deployment.produce(mixed(EVENTS, start_ms=START_MS))
    await one_worker(deployment)
    row = await newest(deployment, deployment.settings.updates_topic)
    account = row.key.decode()
    assert await run(deployment, monkeypatch, "explain", account) == ExitCode.OK
    told = capsys.readouterr().out.splitlines()
    listed = [int(line.split()[0]) for line in told if re.match(r" +\d+  ", line)]
    assert listed == await offsets_of(deployment, row.key)
    assert told[-1] == "they agree"
    assert told[-3].startswith("sum: gained ")

    await flip_a_row(deployment)
    assert await run(deployment, monkeypatch, "explain", account) == ExitCode.WRONG
    assert capsys.readouterr().out.splitlines()[-1] == "they DIFFER"


async def test_explain_can_be_asked_while_the_worker_runs(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await deployed()
    worker = deployment.worker()
    sending = asyncio.create_task(trickle(deployment, mixed(EVENTS)))
    async with deployment.commits() as commits:
        while sum(at.offset > 0 for at in (await commits.look()).values()) < 4:
            await asyncio.sleep(POLL_S)
    assert await run(deployment, monkeypatch, "explain", "acct-1") == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[-1] == "they agree"
    await sending
    await deployment.caught_up()
    assert await worker.stop() == 0
