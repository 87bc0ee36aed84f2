"""Requests that an account is erased, by a control event on the input, as a part of the log."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Final
from uuid import uuid4

from service.contract.input_record import MAX_ID_BYTES
from service.errors import UsageError
from service.exit_codes import ExitCode
from service.kafka import clients
from service.kafka.partitioning import partition_of
from service.settings import Settings

REMAINS: Final = """\
What remains, and for how long:
  {input}  its events, until retention.ms deletes them (this request too)
  {updates}  a tombstone, until delete.retention.ms; an empty row before that while windows of
      its account can still be corrected. Older rows go at the next compaction
  {windows}  results up to now, and an empty revision of each that is still kept, until
      retention.ms
  {late}, {rejected}  records of the account that were refused, until retention.ms
"""


def send_request(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Send the request, and print what remains. UsageError: no account can have this id."""
    account = options.account.encode()
    if not 1 <= len(account) <= MAX_ID_BYTES:
        message = f"an account id has 1 to {MAX_ID_BYTES} bytes"
        raise UsageError(message)
    partition, offset = asyncio.run(_send(settings, account))
    print(f"asked at {settings.input_topic} partition {partition} offset {offset}")
    print(REMAINS.format(**settings.topic_names), end="")
    return ExitCode.OK


async def _send(settings: Settings, account: bytes) -> tuple[int, int]:
    request = {
        "event_id": f"forget-{uuid4()}",
        "account_id": account.decode(),
        "action": "forget",
        "occurred_at": round(time.time() * 1_000),
    }
    producer = clients.producer(settings)
    await clients.start(producer)
    try:
        partitions = len(await producer.partitions_for(settings.input_topic))
        sent = await producer.send_and_wait(
            settings.input_topic,
            json.dumps(request).encode(),
            key=account,
            partition=partition_of(account, partitions),
        )
    finally:
        await producer.stop()
    return sent.partition, sent.offset
