"""Reads net followers' results from the beginning and prints the table, with aiokafka.

    BOOTSTRAP=127.0.0.1:9092 python consumer.py

JSON lines: the rows by account, then the windows by account, grain and start.
"""

import asyncio
import json
import os
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

BOOTSTRAP = os.environ.get("BOOTSTRAP", "127.0.0.1:9092")
UPDATES = os.environ.get("UPDATES_TOPIC", "net-follower-updates")
WINDOWS = os.environ.get("WINDOWS_TOPIC", "net-follower-windows")
ROW = ["account_id", "gained", "lost", "net", "followers"]
WINDOW = ["account_id", "grain", "start_ms", "gained", "lost", "net", "revision"]

rows: dict[bytes, dict[str, Any]] = {}
windows: dict[tuple[str, str, int], dict[str, Any]] = {}


def fold(record: ConsumerRecord) -> None:
    """Put one record into the table."""
    if record.topic == WINDOWS:
        window = json.loads(record.value)
        place = (window["account_id"], window["grain"], window["start_ms"])
        # A later event may change a final window: the highest revision is the one that holds.
        if place not in windows or window["revision"] > windows[place]["revision"]:
            windows[place] = window
    elif not record.key:
        pass  # a checkpoint of the service (at least once only), no account
    elif record.value is None:
        rows.pop(record.key, None)  # a tombstone: the account is gone
    else:
        rows[record.key] = json.loads(record.value)  # the whole row: the newest by key holds


async def main() -> None:
    """Read up to where the topics end now, then print."""
    consumer = AIOKafkaConsumer(
        UPDATES,
        WINDOWS,  # without a group: all partitions of both
        bootstrap_servers=BOOTSTRAP,
        isolation_level="read_committed",  # else results of a crashed worker would count too
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        # By position, not by counting records: transactions leave markers, which take offsets.
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    fold(record)
    finally:
        await consumer.stop()
    table = [(row, ROW) for row in sorted(rows.values(), key=lambda row: row["account_id"])]
    table += [(windows[place], WINDOW) for place in sorted(windows)]
    for fields, names in table:
        shown = {name: fields[name] for name in names}
        line = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
        sys.stdout.buffer.write(line.encode() + b"\n")


asyncio.run(main())
