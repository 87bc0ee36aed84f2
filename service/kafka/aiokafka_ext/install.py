"""Replaces parts of aiokafka, for every client of this process. No other code replaces any."""

from __future__ import annotations

from functools import cache
from typing import Final

import aiokafka.conn
import aiokafka.producer.sender
from aiokafka.consumer import fetcher

from service.kafka.aiokafka_ext.batches import Batches
from service.kafka.aiokafka_ext.oauth import authenticator
from service.kafka.aiokafka_ext.partition_records import Records

TRANSACTION_BACKOFF_S: Final = 0.002
"""aiokafka waits 20 ms between transactions, which is most of the time of a small one."""
READ_AHEAD_BYTES: Final = 4 * 2**20
"""With aiokafka's 64 KiB, a fetch stops and resumes many times: 4 % of the throughput."""


@cache
def install() -> None:
    """Replace them at the first call; later calls do nothing.

    It is enough that this happens before the first client connects: aiokafka looks up each of these
    names when it uses it. An import has no effect.
    """
    fetcher.MemoryRecords = Batches
    fetcher.PartitionRecords = Records
    aiokafka.conn.AIOKafkaConnection.authenticator_oauth = authenticator
    aiokafka.conn.READER_LIMIT = READ_AHEAD_BYTES
    aiokafka.producer.sender.BACKOFF_OVERRIDE = TRANSACTION_BACKOFF_S
