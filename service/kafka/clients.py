"""The one factory of Kafka clients. Brokers, TLS and SASL come only from the settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
"""aiokafka waits 20 ms between transactions, which is most of the time of a small one."""
READ_AHEAD_BYTES: Final = 4 * 2**20
"""With aiokafka's 64 KiB, a fetch stops and resumes many times: 4 % of the throughput."""


def options(settings: Settings) -> dict[str, Any]:
    """Return the options of every client: brokers and credentials.

    A caller is about to make a client, so this also installs the decoder of `batches`.
    """
    batches.install()
    return {"bootstrap_servers": settings.brokers.split(","), **security.options(settings)}


def consumer(settings: Settings, **overrides: Any) -> AIOKafkaConsumer:  # noqa: ANN401 - aiokafka's
    """Build a consumer that reads committed records only, and never commits or seeks by itself."""
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
    """Build a producer that waits for all replicas. It sends a batch as soon as there is one."""
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
    """Build a shard's producer. Its start fences every earlier producer with the same id."""
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
    """Start a client.

    If cancelled, it ends the start first, or aiokafka would keep a connection.
    """
    starting = asyncio.ensure_future(client.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting])
        raise


def tune_transactions() -> None:
    """Shorten aiokafka's wait between transactions in this process."""
    aiokafka.producer.sender.BACKOFF_OVERRIDE = TRANSACTION_BACKOFF_S


def admin(settings: Settings) -> AIOKafkaAdminClient:
    """Build an admin client."""
    return AIOKafkaAdminClient(**options(settings))


@asynccontextmanager
async def open_admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Start an admin client, and close it after the block. The other clients do this themselves."""
    client = admin(settings)
    try:
        await client.start()
        yield client
    finally:
        await client.close()
