"""The throw-away broker: starts, answers, keeps what it wrote, and is never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError

from service.errors import BrokerError
from service.kafka import clients
from service.local import broker as brokers
from service.local import kafka_jars as jars
from service.local import ports
from service.local.broker import LocalBroker, start_local_broker
from service.local.kafka_jars import KafkaJarsError
from service.settings import Settings
from tests.support.patience import SILENCE_S, until

pytestmark = [pytest.mark.broker]


def is_alive(pid: int) -> bool:
    """True while there is such a process that is more than a zombie."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status


async def topics_of(broker: LocalBroker) -> list[str]:
    """What a metadata request through aiokafka answers."""
    async with clients.open_admin(Settings(brokers=broker.bootstrap)) as admin:
        return list(await admin.list_topics())


async def create(broker: LocalBroker, topic: str) -> None:
    async with clients.open_admin(Settings(brokers=broker.bootstrap)) as admin:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])


async def write(broker: LocalBroker, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, value, partition=0)


async def read_first(broker: LocalBroker, topic: str) -> bytes | None:
    async with AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest"
    ) as consumer:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        found = await consumer.getmany(partition, timeout_ms=round(SILENCE_S * 1_000))
        return found[partition][0].value if found else None


async def test_kafka_answers_a_metadata_request(kafka: LocalBroker, unique: str) -> None:
    await create(kafka, unique)

    assert unique in await topics_of(kafka)
    assert kafka.kind == "kafka"
    assert kafka.has_transactions


async def test_kafka_makes_no_topic_by_itself(kafka: LocalBroker, unique: str) -> None:
    consumer = AIOKafkaConsumer(unique, bootstrap_servers=kafka.bootstrap, request_timeout_ms=1_000)
    with pytest.raises(UnknownTopicOrPartitionError):
        await consumer.start()
    await consumer.stop()

    assert unique not in await topics_of(kafka)


async def test_tansu_answers_a_metadata_request(tansu: LocalBroker, unique: str) -> None:
    await create(tansu, unique)

    assert unique in await topics_of(tansu)
    assert tansu.kind == "tansu"
    assert not tansu.has_transactions


async def test_two_kafkas_at_once_do_not_collide(kafka: LocalBroker, unique: str) -> None:
    with start_local_broker("kafka") as other:
        await create(other, unique)

        assert other.bootstrap != kafka.bootstrap
        assert unique in await topics_of(other)
        assert unique not in await topics_of(kafka)


async def test_a_killed_kafka_comes_back_with_its_data(kafka: LocalBroker, unique: str) -> None:
    del kafka  # without a Kafka this skips loudly; the test needs a broker that it may kill
    with start_local_broker("kafka") as broker:
        await create(broker, unique)
        await write(broker, unique, b"kept")
        broker.kill()
        broker.restart()

        assert await read_first(broker, unique) == b"kept"


@pytest.mark.parametrize("kind", ["kafka", "tansu"])
def test_stop_leaves_no_process_and_no_file(
    kind: brokers.Kind, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(kind)
    assert kind != "external"
    broker = start_local_broker(kind)
    pid = broker.pid
    assert pid is not None
    assert is_alive(pid)

    broker.stop()

    assert not is_alive(pid)
    assert broker.pid is None
    assert not broker.log.parent.exists()


def test_a_frozen_broker_can_be_stopped(tansu: LocalBroker) -> None:
    del tansu
    broker = start_local_broker("tansu")
    pid = broker.pid
    assert pid is not None

    broker.pause()
    broker.stop()

    assert not is_alive(pid)


async def test_a_frozen_broker_answers_again_when_it_goes_on(tansu: LocalBroker) -> None:
    host, port = tansu.bootstrap.split(":")

    tansu.pause()
    answers_frozen = ports.answers(host, int(port))
    tansu.resume()

    assert not answers_frozen
    await until(lambda: ports.answers(host, int(port)), "an answer")


async def test_a_broker_dies_with_its_starter_even_by_kill_9(tansu: LocalBroker) -> None:
    del tansu
    program = (
        "import time; from service.local.broker import start_local_broker as start;"
        "print(start('tansu').pid, flush=True); time.sleep(9_999)"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else goes on in this test
        [sys.executable, "-c", program], stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert is_alive(pid)

        os.kill(starter.pid, signal.SIGKILL)

        await until(lambda: not is_alive(pid), "the broker to die with its starter")


@pytest.mark.parametrize("kind", ["kafka", "tansu"])
def test_a_port_that_another_broker_answers_on_is_refused(
    kind: brokers.Kind, request: pytest.FixtureRequest
) -> None:
    other: LocalBroker = request.getfixturevalue(kind)
    assert kind != "external"

    with pytest.raises(BrokerError, match="in use"):
        start_local_broker(kind, port=int(other.bootstrap.split(":")[1]))


def test_a_port_taken_between_choosing_and_using_it_is_chosen_anew(
    tansu: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = int(tansu.bootstrap.split(":")[1])
    choices = iter([[taken, 1], ports.free_ports(2)])
    monkeypatch.setattr(brokers, "free_ports", lambda _: next(choices))

    with start_local_broker("tansu") as broker:
        assert broker.bootstrap != tansu.bootstrap


def test_what_a_killed_starter_left_behind_is_removed(
    tansu: LocalBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del tansu
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    nobody = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout.strip()
    left = tmp_path / f"netfollowers-broker-{nobody}-x"
    lives = tmp_path / f"netfollowers-broker-{os.getpid()}-x"
    left.mkdir()
    lives.mkdir()

    start_local_broker("tansu").stop()

    assert list(tmp_path.iterdir()) == [lives]


def test_an_external_broker_is_used_and_never_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETFOLLOWERS_BROKERS", "example.invalid:9092")

    with start_local_broker() as broker:
        assert (broker.kind, broker.bootstrap) == ("external", "example.invalid:9092")
        assert broker.pid is None
        with pytest.raises(AssertionError, match="has no running broker"):
            broker.kill()


def test_without_java_auto_takes_tansu_and_says_so_loudly(
    tansu: LocalBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    del tansu
    monkeypatch.delenv("NETFOLLOWERS_BROKERS", raising=False)
    monkeypatch.setattr("shutil.which", lambda _: None)

    with start_local_broker() as broker:
        assert broker.kind == "tansu"
    assert "NO REAL KAFKA: no Java" in caplog.text


def test_missing_jars_name_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(jars, "ROOT", tmp_path)
    monkeypatch.setattr(jars, "LIBS", tmp_path / "libs")
    monkeypatch.setattr("shutil.which", lambda _: None)

    with pytest.raises(KafkaJarsError, match="no mvn"):
        jars.jars()
