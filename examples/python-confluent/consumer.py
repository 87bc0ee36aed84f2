"""Reads net followers' results from the beginning and prints the table, with confluent-kafka.

    BOOTSTRAP=127.0.0.1:9092 python consumer.py

JSON lines: the rows by account, then the windows by account, grain and start.
"""

import json
import os
import sys
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

BOOTSTRAP = os.environ.get("BOOTSTRAP", "127.0.0.1:9092")
UPDATES = os.environ.get("UPDATES_TOPIC", "net-follower-updates")
WINDOWS = os.environ.get("WINDOWS_TOPIC", "net-follower-windows")
ROW = ["account_id", "gained", "lost", "net", "followers"]
WINDOW = ["account_id", "grain", "start_ms", "gained", "lost", "net", "revision"]

rows: dict[bytes, dict[str, Any]] = {}
windows: dict[tuple[str, str, int], dict[str, Any]] = {}


def fold(topic: str | None, key: bytes | None, value: bytes | None) -> None:
    """Put one record into the table."""
    if topic == WINDOWS:
        window = json.loads(value or b"")
        place = (window["account_id"], window["grain"], window["start_ms"])
        # A later event may change a final window: the highest revision is the one that holds.
        if place not in windows or window["revision"] > windows[place]["revision"]:
            windows[place] = window
    elif not key:
        pass  # a checkpoint of the service (at least once only), no account
    elif value is None:
        rows.pop(key, None)  # a tombstone: the account is gone
    else:
        rows[key] = json.loads(value)  # the whole row: the newest by key holds


consumer = Consumer(
    {
        "bootstrap.servers": BOOTSTRAP,
        "group.id": "unused",  # must be there; we assign partitions ourselves and commit nothing
        "enable.auto.commit": False,
        "isolation.level": "read_committed",  # else results of a crashed worker would count too
        "enable.partition.eof": True,  # says when a partition's committed end is reached
    }
)
left = set()
for topic in (UPDATES, WINDOWS):
    found = consumer.list_topics(topic, timeout=30).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)
    left |= {(topic, number) for number in found.partitions}
consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for topic, number in left])
while left:
    for message in consumer.consume(num_messages=1_000, timeout=0.2):
        error = message.error()
        if error is None:
            fold(message.topic(), message.key(), message.value())
        elif error.code() == KafkaError._PARTITION_EOF:
            left.discard((message.topic(), message.partition()))
        elif not error.retriable():
            raise KafkaException(error)
consumer.close()
table = [(row, ROW) for row in sorted(rows.values(), key=lambda row: row["account_id"])]
table += [(windows[place], WINDOW) for place in sorted(windows)]
for fields, names in table:
    shown = {name: fields[name] for name in names}
    line = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    sys.stdout.buffer.write(line.encode() + b"\n")
