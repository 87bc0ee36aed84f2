"""The floor: fetch every record with aiokafka, decode it, do nothing with it.

Raw records and the typed decode that the service has, one consumer for all partitions, and a commit
ten times a second, so that it is measured as the others are. No Python worker that reads through
aiokafka can be faster.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time

from service.contract.input_record import decode_plain
from service.kafka import clients
from service.settings import Settings

COMMIT_S = 0.1


async def read_everything(settings: Settings) -> None:
    """Read and decode until the process is ended."""
    consumer = clients.raw_consumer(
        settings,
        group_id=settings.app_id,
        auto_offset_reset="earliest",
        max_poll_records=settings.batch_records,
    )
    consumer.subscribe([settings.input_topic])
    await consumer.start()
    commit_at = time.monotonic() + COMMIT_S
    while True:
        found = await consumer.getmany(timeout_ms=100)
        for records in found.values():
            for record in records:
                decode_plain(record.value)
        if time.monotonic() >= commit_at:
            await consumer.commit()
            commit_at = time.monotonic() + COMMIT_S


def main() -> None:
    """Run."""
    environ = os.environ
    gc.disable()
    asyncio.run(
        read_everything(
            Settings(
                brokers=environ["PEER_BROKERS"],
                app_id=environ["PEER_APP_ID"],
                input_topic=environ["PEER_INPUT"],
            )
        )
    )


if __name__ == "__main__":
    main()
