"""Sends follow events to the input of net followers, with confluent-kafka. Exit code 0: arrived.

    BOOTSTRAP=127.0.0.1:9092 python producer.py < events.jsonl

One event a line: {"event_id", "account_id", "follower_id", "action", "occurred_at"}.
"""

import json
import os
import sys

from confluent_kafka import KafkaError, KafkaException, Message, Producer

BOOTSTRAP = os.environ.get("BOOTSTRAP", "127.0.0.1:9092")
TOPIC = os.environ.get("INPUT_TOPIC", "follow-events")

failures: list[KafkaError] = []


def answered(error: KafkaError | None, _: Message) -> None:
    """Remember what the broker refused, or what did not arrive in time."""
    if error is not None:
        failures.append(error)


producer = Producer(
    {
        "bootstrap.servers": BOOTSTRAP,
        "acks": "all",  # an answer means: on all replicas in sync
        "enable.idempotence": True,  # a retry inside the client is no second record
        # The trap: librdkafka (this client, and those of C, C++, .NET, Rust, PHP, Go's
        # confluent-kafka-go, kcat) hashes keys with CRC32 unless told otherwise, Kafka's own
        # clients with murmur2. An account whose events come from both would lie in two partitions,
        # be counted in each, and have two half rows. So say it:
        "partitioner": "murmur2_random",
    }
)
for line in sys.stdin.buffer:
    if not line.strip():
        continue
    key = json.loads(line)["account_id"].encode()  # what is no event ends us, with a trace
    while True:
        try:
            producer.produce(TOPIC, value=line.strip(), key=key, on_delivery=answered)
            break
        except BufferError:  # the queue is full: let some answers come in
            producer.poll(0.1)
    producer.poll(0)
    if failures:
        break
producer.flush()
# After a failure send the whole file again: an event id that was counted is a duplicate.
if failures:
    raise KafkaException(failures[0])
