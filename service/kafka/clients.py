"""The one factory of Kafka clients: brokers, TLS and SASL come from the settings, nowhere else."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import aiokafka.conn
import aiokafka.producer.sender
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from service.kafka import security
from service.kafka.aiokafka_ext import batches
from service.settings import Settings

MAX_REQUEST_BYTES: Final = 1_000_000
BATCH_BYTES: Final = 900 * 1_024
TRANSACTION_BACKOFF_S: Final = 0.002
"""aiokafka waits 20 ms between transactions: most of the time that a small one takes."""
READ_AHEAD_BYTES: Final = 4 * 2**20
"""aiokafka's 64 KiB stop and resume a connection many times in one fetch: 4 % of the throughput."""


def options(settings: Settings) -> dict[str, Any]:
    """What every client takes: brokers and credentials.

    Whoever asks is about to make one: from here on consumers unpack batches as `batches` says.
    """
    batches.install()
    return {"bootstrap_servers": settings.brokers.split(","), **security.options(settings)}


def consumer(settings: Settings, **overrides: Any) -> AIOKafkaConsumer:  # noqa: ANN401 - aiokafka's
    """Build a consumer that reads committed records only and never commits or jumps by itself."""
    aiokafka.conn.READER_LIMIT = READ_AHEAD_BYTES
    return AIOKafkaConsumer(
        **{
            **options(settings),
            "enable_auto_commit": False,
            "isolation_level": "read_committed",
            "auto_offset_reset": "none",
            "max_partition_fetch_bytes": settings.fetch_bytes,
            "fetch_max_wait_ms": 100,
            **overrides,
        }
    )


def producer(settings: Settings, **overrides: Any) -> AIOKafkaProducer:  # noqa: ANN401 - aiokafka's
    """Build a producer that waits for all replicas; a batch is sent as soon as it is there."""
    return AIOKafkaProducer(
        **{
            **options(settings),
            "acks": "all",
            "linger_ms": 0,
            "max_batch_size": BATCH_BYTES,
            "max_request_size": MAX_REQUEST_BYTES,
            **overrides,
        }
    )


def transactional_producer(settings: Settings, transactional_id: str) -> AIOKafkaProducer:
    """Build a shard's producer; its start fences every earlier one of the same id."""
    tune_transactions()
    timeout_ms = round(settings.transaction_timeout_s * 1_000)
    return producer(
        settings,
        transactional_id=transactional_id,
        enable_idempotence=True,
        transaction_timeout_ms=timeout_ms,
        request_timeout_ms=timeout_ms,
    )


async def start(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Start a client; a cancelled start ends first: aiokafka would leave its connection behind."""
    starting = asyncio.ensure_future(client.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting])
        raise


def tune_transactions() -> None:
    """Shorten aiokafka's wait between transactions, in this process."""
    aiokafka.producer.sender.BACKOFF_OVERRIDE = TRANSACTION_BACKOFF_S


def admin(settings: Settings) -> AIOKafkaAdminClient:
    """Build an admin client."""
    return AIOKafkaAdminClient(**options(settings))
