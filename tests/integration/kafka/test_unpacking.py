"""Batches on a real Kafka that aiokafka's own decoder cannot unpack."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from service.exit_codes import ExitCode
from service.kafka import clients
from tests.integration.kafka.test_audit import run
from tests.integration.kafka.test_loudness import RUN
from tests.integration.kafka.test_rejected import command
from tests.support.batch_bytes import latin, repaired
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.record_mutations import offset_places

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

NAME = b"XXXX"


def event(number: int, **more: object) -> bytes:
    fields = {"event_id": f"e{number}", "account_id": "a1", "follower_id": "f"}
    fields |= {"action": "follow", "occurred_at": 1_763_000_000_000 + number}  # type: ignore[dict-item]
    return json.dumps({**fields, **more}).encode()


async def send(
    deployment: Deployment,
    *sent: tuple[bytes, list[Any]],
    compression: str | None = None,
    change: Callable[[bytes], bytes] = latin,
) -> int:
    """Send a changed batch and return its first offset. By default the name XXXX is not UTF-8."""
    settings = deployment.settings
    producer = clients.producer(settings, compression_type=compression, max_batch_size=2**26)
    await clients.start(producer)
    try:
        batch = producer.create_batch()
        for value, headers in sent:
            assert batch.append(key=b"a1", value=value, timestamp=None, headers=headers)
        batch.close()
        built = bytes(batch._build())
        batch._buffer = change(built) if compression is None else built
        stored = await (await producer.send_batch(batch, settings.input_topic, partition=0))
        return int(stored.offset)
    finally:
        await producer.stop()


async def test_a_header_name_that_is_not_utf_8_is_refused_and_all_who_read_agree(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = await deployed(partitions=1)
    worker = await deployment.ready_worker()
    bad = event(1)
    await send(
        deployment,
        (event(0), [("trace", None)]),
        (bad, [("XXXX", b"1"), ("trace", None)]),
        (event(2), []),
        (event(3), [("ce_specversion", None)]),
    )
    await deployment.caught_up()
    await worker.kill()
    again = deployment.worker()  # it reads the same records again to remember their ids
    await again.until("ready")
    await send(deployment, (event(0), []), (bad, [("XXXX", None)]), (event(4), []))
    await deployment.caught_up()
    shown = await command(deployment, "rejected", "show", "0:1")
    assert "bad_header_name" in shown
    assert r"header      caf\xe9" in shown
    assert "header      trace: None" in shown
    assert "bad_envelope" in await command(deployment, "rejected", "list")
    assert "remembered=2" in again.said()
    assert await again.stop() == 0
    report = await deployment.audit()
    assert report.compared["rejected"] == 3
    assert report.compared["duplicate"] == 1
    assert await run(deployment, monkeypatch, "audit") == ExitCode.OK
    assert await run(deployment, monkeypatch, "explain", "a1") == ExitCode.OK
    assert "rejected: bad_header_name" in capsys.readouterr().out
    assert await run(deployment, monkeypatch, "certify") == ExitCode.OK
    published = capsys.readouterr().out
    assert await run(deployment, monkeypatch, "certify", "--recompute") == ExitCode.OK
    assert capsys.readouterr().out == published
    said = await command(deployment, "doctor")
    assert "UnicodeDecodeError" not in said
    assert "Traceback" not in said


async def test_a_batch_that_unpacks_to_too_much_ends_the_worker_and_is_named(
    deployed: Deploy,
) -> None:
    deployment = await deployed(partitions=1)
    plant = "import service.kafka.aiokafka_ext.batches as b; b.MOST_BYTES = 1_000_000\n0"
    worker = await deployment.ready_worker(code=plant + RUN)
    await send(deployment, (event(0), []))
    await deployment.caught_up()
    value = event(1, padding="x" * 3_000_000)
    offset = await send(deployment, (value, []), compression="zstd")
    assert await worker.ended() == 70
    line = next(line for line in worker.said().splitlines() if "CRITICAL" in line)
    topic = deployment.settings.input_topic
    assert f"cannot unpack what {topic} holds: partition=0 offset={offset}" in line
    whole = deployment.worker()  # one whose bound it does not pass
    await whole.until("ready")
    await deployment.finish_and_audit(whole)


def all_the_same(batch: bytes) -> bytes:
    """The batch, in which each record says that its offset is that of the first."""
    changed = bytearray(batch)
    for place in offset_places(batch):
        changed[place] = 0
    return repaired(bytes(changed))


def with_attributes(batch: bytes) -> bytes:
    """Return the batch with attributes in each record. Attributes of a record have no meaning."""
    changed = bytearray(batch)
    for place in offset_places(batch):
        assert changed[place - 2] == 0  # the time in front of the offset takes one byte
        changed[place - 2] = 0xFE
    return repaired(bytes(changed))


@pytest.mark.parametrize("change", [all_the_same, with_attributes])
async def test_records_with_a_wrong_offset_or_attributes_are_counted_and_all_who_read_agree(
    deployed: Deploy, change: Callable[[bytes], bytes]
) -> None:
    deployment = await deployed(partitions=1)
    worker = await deployment.ready_worker()
    await send(deployment, (event(0), []))
    lying = await send(deployment, *((event(one), []) for one in range(1, 5)), change=change)
    assert await send(deployment, (event(5), [])) == lying + 4
    await deployment.caught_up()
    await worker.kill()
    again = deployment.worker()  # it reads the same records again to remember their ids
    await again.until("ready")
    await send(deployment, (event(2), []), (event(6), []))
    report = await deployment.finish_and_audit(again)
    assert report.compared["applied"] == 7
    assert report.compared["duplicate"] == 1
