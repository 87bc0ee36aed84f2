"""The AsyncAPI document: valid by the official schema, resolvable, true to the code, up to date.

`asyncapi-3.0.0.json.xz` is `schemas/3.0.0.json` of AsyncAPI's npm package @asyncapi/specs 6.11.1
(Apache-2.0), unchanged.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner
from jsonschema import Draft7Validator

from scripts import write_contract
from service.contract.topics import TOPICS
from service.kafka import clients
from service.kafka import topic_admin as topics
from service.kafka.partitioning import partition_of
from service.settings import PREFIX, Settings
from tests.support.contract.schemas import names, schema
from verify.contract import document, releases
from verify.contract.schema_diff import pointed, references

AGAIN: Final = "run: python -m scripts.write_contract"
OFFICIAL: Final = Path(__file__).parent / "asyncapi-3.0.0.json.xz"
WRITTEN: Final[dict[str, Any]] = json.loads(document.FILE.read_text())


def test_the_document_in_the_repository_is_todays() -> None:
    assert document.FILE.read_text() == document.text(releases.present()), AGAIN


def test_the_page_in_the_repository_is_todays() -> None:
    assert write_contract.FILE.read_text() == write_contract.page(releases.present()), AGAIN


def official() -> Draft7Validator:
    return Draft7Validator(json.loads(lzma.decompress(OFFICIAL.read_bytes())))


def test_it_is_asyncapi_by_the_official_schema() -> None:
    assert [error.message for error in official().iter_errors(WRITTEN)] == []


def test_the_official_schema_finds_what_is_wrong() -> None:
    wrong = json.loads(json.dumps(WRITTEN))
    wrong["operations"]["countFollowEvents"]["action"] = "read"
    wrong["channels"]["followEvents"]["bindings"]["kafka"]["partitions"] = 0
    assert len(list(official().iter_errors(wrong))) >= 2


def test_every_reference_resolves() -> None:
    found = list(references(WRITTEN))
    assert len(found) > 20
    for one in found:
        assert isinstance(pointed(WRITTEN, one), dict), one


def test_every_component_is_used() -> None:
    used = set(references(WRITTEN))
    for kind in ("messages", "schemas"):
        for name in WRITTEN["components"][kind]:
            assert f"#/components/{kind}/{name}" in used


def test_the_schemas_in_it_are_those_of_the_service() -> None:
    keys = {
        m.key: WRITTEN["components"]["messages"][m.name]["bindings"]["kafka"]["key"]
        for one in TOPICS
        for m in one.records
    }
    found = {name: one["schema"] for name, one in WRITTEN["components"]["schemas"].items()} | keys
    assert sorted(found) == names()
    for name, body in found.items():
        shipped = schema(name)
        assert {**body, "$schema": shipped["$schema"], "$id": shipped["$id"]} == shipped


def test_there_is_a_channel_for_each_topic_with_its_name() -> None:
    settings = Settings()
    by_setting = {one["x-setting"]: one["address"] for one in WRITTEN["channels"].values()}
    assert by_setting == {
        f"{PREFIX}{topic.setting.upper()}": settings.topic(topic) for topic in TOPICS
    }
    operations = [one["action"] for one in WRITTEN["operations"].values()]
    assert operations == ["receive", *["send"] * len(settings.result_topics)]


def test_the_bindings_are_what_topics_create_makes() -> None:
    settings = Settings()
    made = topics.configuration(settings)
    assert len(made) == len(WRITTEN["channels"])
    for channel in WRITTEN["channels"].values():
        bound = channel["bindings"]["kafka"]
        said = {
            name: ",".join(value) if isinstance(value, list) else str(value)
            for name, value in bound["topicConfiguration"].items()
        }
        assert said == made[bound["topic"]]
        assert bound["topic"] == channel["address"]
        assert (bound["partitions"], bound["replicas"]) == (
            settings.partitions,
            settings.replication_factor,
        )


@pytest.fixture
async def built() -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaConsumer]]:
    """A shard's producer and a consumer, never started."""
    producer = clients.transactional_producer(Settings(), "t")
    consumer = clients.consumer(Settings())
    yield producer, consumer
    await producer.stop()
    await consumer.stop()


async def test_delivery_is_what_the_clients_are_built_for(
    built: tuple[AIOKafkaProducer, AIOKafkaConsumer],
) -> None:
    producer, consumer = built
    for channel in WRITTEN["channels"].values():
        delivery = channel["x-delivery"]
        assert delivery["acks"] == "all"
        assert delivery["idempotent"] is True
        if channel["address"] != Settings().input_topic:
            assert delivery["isolation.level"] == consumer._isolation_level
    assert producer._sender._acks == -1  # all
    assert producer._txn_manager.transactional_id == "t"  # and so idempotent


def test_an_accounts_partition_is_murmur2_of_its_key_as_java_has_it() -> None:
    hashed = WRITTEN["channels"]["followEvents"]["x-partitioning"]
    assert (hashed["by"], hashed["hash"]) == ("key", "murmur2")
    partitions, choose = list(range(7)), DefaultPartitioner()
    for number in range(200):
        key = b"account-%d" % number
        assert partition_of(key, 7) == choose(key, partitions, partitions)
    in_kafkas_own_test = -790_332_482  # of "foobar", in org.apache.kafka.common.utils.UtilsTest
    assert partition_of(b"foobar", 7) == (in_kafkas_own_test & 0x7FFFFFFF) % 7
