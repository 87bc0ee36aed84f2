"""Nothing that a producer sends stops the worker, and nothing that it sends vanishes."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from service.kafka import clients
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.patience import Patience

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

NOW_MS = int(time.time() * 1_000)
GOOD = {"event_id": "e", "account_id": "a", "follower_id": "f", "action": "follow"}


def event(**changes: object) -> bytes:
    return json.dumps({**GOOD, "occurred_at": NOW_MS, **changes}).encode()


def without(name: str) -> bytes:
    fields = {**GOOD, "occurred_at": NOW_MS}
    del fields[name]
    return json.dumps(fields).encode()


MIB = event(padding="x" * 1_048_576)
HUGE = event(padding="x" * 20_000_000)
DEEP = event(event_id="deep")[:-1] + b',"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
TWICE = event(event_id="twice")[:-1] + b',"action":"unfollow"}'

REJECTED: dict[str, tuple[bytes | None, bytes | None, str]] = {
    "no value": (b"a", None, "empty_value"),
    "an empty value": (b"a", b"", "empty_value"),
    "broken UTF-8": (b"a", event().replace(b'"f"', b'"\xff"'), "not_json"),
    "broken UTF-8 in an unknown field": (b"a", event()[:-1] + b',"x":"\xff"}', "not_json"),
    "broken JSON": (b"a", event()[:-1], "not_json"),
    "a JSON array": (b"a", b"[1, 2]", "not_an_object"),
    "a wrong type": (b"a", event(event_id=1), "wrong_type"),
    "a missing field": (b"a", without("follower_id"), "missing_field"),
    "an unknown action": (b"a", event(action="like"), "unknown_action"),
    "another key": (b"b", event(), "key_mismatch"),
    "no key": (None, event(), "missing_key"),
    "a value of 1 MiB": (b"a", MIB, "value_too_large"),
    "a value of 20 MB that compresses well": (b"a", HUGE, "value_too_large"),
    "seconds instead of ms": (b"a", event(occurred_at=NOW_MS // 1_000), "bad_time"),
    "the year 1970": (b"a", event(occurred_at=0), "bad_time"),
    "NaN": (b"a", event().replace(str(NOW_MS).encode(), b"NaN"), "not_json"),
    "nested 10,000 deep": (b"a", DEEP, "not_json"),
    "an id of 257 bytes": (b"a", event(event_id="x" * 257), "bad_id"),
    "a lone surrogate": (b"a", event(event_id="\ud800"), "not_json"),
    "a key of 1 MB": (b"k" * 900_000, event(), "key_mismatch"),
}
COUNTED: dict[str, tuple[bytes, int]] = {  # value, and what it adds to net
    "the year 2999, counted at its log time": (
        event(event_id="2999", occurred_at=32_472_144_000_000),
        1,
    ),
    "duplicated keys, the last one wins": (TWICE, -1),
    "the largest value allowed": (
        event(event_id="big", padding="x" * (65_536 - len(event(event_id="big", padding="")))),
        1,
    ),
}


async def test_bad_input_is_rejected_with_its_reason_or_counted_by_rule(deployed: Deploy) -> None:
    narrow = await deployed(partitions=1)
    name = f"{narrow.settings.input_topic}-wide"
    async with clients.open_admin(narrow.settings) as admin:
        wide = {"max.message.bytes": "33554432", "message.timestamp.type": "LogAppendTime"}
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=wide)])
    deployment = await deployed(partitions=1, input_topic=name)
    worker = await deployment.ready_worker()
    async with clients.producer(
        deployment.settings, max_request_size=40_000_000, compression_type="gzip"
    ) as producer:
        sent = {}
        for case, (key, value, _) in REJECTED.items():
            stored = await producer.send_and_wait(name, value, key=key, partition=0)
            sent[stored.offset] = case
        for value, _ in COUNTED.values():
            await producer.send_and_wait(name, value, key=b"a", partition=0)
    await deployment.caught_up()
    await worker.until("ready")
    assert await worker.stop() == 0
    await assert_nothing_vanished(deployment, sent)
    await deployment.audit()


async def assert_nothing_vanished(deployment: Deployment, sent: dict[int, str]) -> None:
    """Each bad record is on the rejected topic: reason, position, bytes or their hash."""
    async with clients.consumer(deployment.settings, auto_offset_reset="earliest") as reader:
        tp = TopicPartition(deployment.settings.rejected_topic, 0)
        updates = TopicPartition(deployment.settings.updates_topic, 0)
        reader.assign([tp, updates])
        found: list[Any] = []
        rows: list[Any] = []
        patience = Patience("every bad record")
        while len(found) < len(sent) or not rows:
            batches = await reader.getmany(timeout_ms=200)
            patience.look(f"{len(found)} of {len(sent)} on the rejected topic")
            found += batches.get(tp, [])
            rows += batches.get(updates, [])
    assert len(found) == len(sent)
    for record in found:
        headers = {name: value.decode() for name, value in record.headers}
        case = sent.pop(int(headers["netfollowers-source-offset"]))
        key, value, reason = REJECTED[case]
        whole = value or b""
        assert headers["netfollowers-reason"] == reason, case
        assert record.value == (value[:65_536] if value is not None else None), case
        assert record.key == (key[:1_024] if key is not None else None), case
        assert int(headers["netfollowers-original-length"]) == len(whole)
        assert headers["netfollowers-sha256"] == hashlib.sha256(whole).hexdigest()
        assert headers["netfollowers-truncated"] == str(len(whole) > 65_536).lower()
        assert headers["netfollowers-source-topic"] == deployment.settings.input_topic
    assert not sent
    assert json.loads(rows[-1].value)["net"] == sum(net for _, net in COUNTED.values())
