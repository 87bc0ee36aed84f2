"""What we override or reach into in Faust and aiokafka: each fails here when a library changes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib.metadata import version
from types import ModuleType
from typing import Any

import aiokafka.producer.sender
import faust.streams
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer import fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.protocol import admin, commit, group, metadata
from faust.app.base import App
from faust.assignor.partition_assignor import PartitionAssignor
from faust.tables import TableManager
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.drivers import aiokafka as driver
from mode.services import ServiceBase

from service.kafka import clients
from service.kafka.aiokafka_ext import install as installing
from service.kafka.aiokafka_ext.batches import Batches
from service.kafka.aiokafka_ext.oauth import authenticator
from service.kafka.aiokafka_ext.partition_records import Records
from service.kafka.faust_ext.transport import BatchConsumer
from service.settings import Settings


def test_the_libraries_are_the_ones_that_were_read() -> None:
    assert version("faust-streaming") == "0.15.3"
    assert version("aiokafka") == "0.14.0"


def test_fausts_compiled_stream_iterator_is_there() -> None:
    """The pure Python one acks events that it skips."""
    assert faust.streams._CStreamIterator is not None


@pytest.mark.parametrize(
    "name",
    ["perform_seek", "commit", "ack", "_add_gap", "getmany", "verify_event_path",
     "on_partitions_revoked", "on_partitions_assigned"],
)  # fmt: skip
def test_what_the_transport_overrides_is_still_called_so(name: str) -> None:
    ours, theirs = getattr(BatchConsumer, name), getattr(driver.Consumer, name)
    assert ours is not theirs
    taken = [
        p for p in inspect.signature(ours).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    known = list(inspect.signature(theirs).parameters)
    assert [one.name for one in taken] == known[: len(taken)]


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (FaustConsumer._drain_messages, "self._add_gap"),
        (FaustConsumer._drain_messages, "getmany(timeout="),
        (driver.AIOKafkaConsumerThread, ".RebalanceListener(self)"),
        (driver.AIOKafkaConsumerThread, "self._consumer = "),
        (driver.AIOKafkaConsumerThread, "def _ensure_consumer(self)"),
        (driver.ConsumerRebalanceListener, "_ensure_consumer()"),
        (PartitionAssignor.on_assignment, "ClientMetadata.loads(self._decompress(assignment"),
        (PartitionAssignor.on_assignment, "assert metadata.url == str(self._url)"),
        (PartitionAssignor, "self._compress("),
        (App, "self._create_directories()"),
        (ServiceBase, "cls.logger = get_logger(cls.__module__)"),
        (TableManager.on_start, "self.sleep(1.0)"),
        (TableManager.on_start, "await self._update_channels()\n            await self.recovery"),
        (fetcher.PartitionRecords._unpack_records, "self._consumer_record(tp, record)"),
        (fetcher.PartitionRecords._consumer_record, "self._key_deserializer(record.key)"),
        (fetcher.FetchResult.getall, "self._update_position()"),
        (fetcher.Fetcher, "records = MemoryRecords("),
        (fetcher.Fetcher, "PartitionRecords("),
        (aiokafka.conn, "asyncio.StreamReader(limit=READER_LIMIT"),
        (AIOKafkaConnection, "authenticator = self.authenticator_oauth()"),
        (AIOKafkaConnection, "self._sasl_oauth_token_provider = "),
        (AIOKafkaConsumer, "self._client = AIOKafkaClient("),
        (AIOKafkaConsumer, "self._coordinator = GroupCoordinator("),
        (AIOKafkaProducer, "self._txn_manager = TransactionManager("),
        (TransactionManager, "self._sequence_numbers"),
        (GroupCoordinator, "async def fetch_committed_offsets(self, partitions)"),
        (GroupCoordinator, "offsets = await self._do_fetch_commit_offsets(partitions)"),
        (GroupCoordinator, "response = await self._send_req(request)"),
        (GroupCoordinator, "self._coordination_task = create_task("),
        (GroupCoordinator, "self._pending_exception = exc"),
        (AIOKafkaClient, "async def _wait_on_metadata(self, topic)"),
        (AIOKafkaAdminClient, "async def _send_request("),
        (AIOKafkaAdminClient, "async def _send_request_to_node(self, node_id: int, request"),
    ],
)
def test_what_we_reach_into_is_still_there(where: Any, name: str) -> None:
    assert name in inspect.getsource(where)


def test_the_wait_between_transactions_is_read_where_we_set_it() -> None:
    text = inspect.getsource(aiokafka.producer.sender)
    assert text.count("BACKOFF_OVERRIDE") >= 2, "it is not read any more"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (commit, "OffsetFetchRequest_v7"),
        (group, "LeaveGroupRequest_v3"),
        (metadata, "MetadataRequest_v8"),
    ],
)
def test_its_own_requests_are_still_older_than_ours(module: ModuleType, name: str) -> None:
    """When one of these fails, a request of `protocol.py` can go."""
    assert not hasattr(module, name)
    assert admin.DescribeGroupsRequest_v3.RESPONSE_TYPE is admin.DescribeGroupsResponse_v2


def replaced() -> dict[str, Any]:
    return {
        "batches": fetcher.MemoryRecords,
        "records": fetcher.PartitionRecords,
        "oauth": AIOKafkaConnection.authenticator_oauth,
        "read ahead": aiokafka.conn.READER_LIMIT,
        "backoff": aiokafka.producer.sender.BACKOFF_OVERRIDE,
    }


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that has made no client yet."""
    places = [(fetcher, "MemoryRecords"), (fetcher, "PartitionRecords"),
              (AIOKafkaConnection, "authenticator_oauth"), (aiokafka.conn, "READER_LIMIT"),
              (aiokafka.producer.sender, "BACKOFF_OVERRIDE")]  # fmt: skip
    for place, name in places:
        monkeypatch.setattr(place, name, object())
    installing.install.cache_clear()
    yield
    monkeypatch.undo()
    installing.install.cache_clear()


@pytest.mark.usefixtures("not_installed")
def test_the_first_client_gets_every_replacement_and_later_ones_replace_nothing() -> None:
    clients.options(Settings())
    assert replaced() == {
        "batches": Batches,
        "records": Records,
        "oauth": authenticator,
        "read ahead": installing.READ_AHEAD_BYTES,
        "backoff": installing.TRANSACTION_BACKOFF_S,
    }
    aiokafka.conn.READER_LIMIT = 1
    clients.options(Settings())
    assert aiokafka.conn.READER_LIMIT == 1, "it is done once"
