"""Sends follow events to the input of net followers, with aiokafka. Exit code 0: all have arrived.

    BOOTSTRAP=127.0.0.1:9092 python producer.py < events.jsonl

One event a line: {"event_id", "account_id", "follower_id", "action", "occurred_at"}.
"""

import asyncio
import json
import os
import sys

from aiokafka import AIOKafkaProducer

BOOTSTRAP = os.environ.get("BOOTSTRAP", "127.0.0.1:9092")
TOPIC = os.environ.get("INPUT_TOPIC", "follow-events")
UNANSWERED = 10_000  # so many events may be on their way


async def main() -> None:
    """Send every line, keyed by its account."""
    # An account must land in the same partition whichever client sends it: its events are counted
    # there, in the order of the log. aiokafka's default partitioner is the one of Kafka's own
    # clients, murmur2 of the key. So leave it, and pass the key as bytes.
    producer = AIOKafkaProducer(
        bootstrap_servers=BOOTSTRAP,
        acks="all",  # an answer means: on all replicas in sync
        enable_idempotence=True,  # a retry inside the client is no second record
    )
    await producer.start()
    try:
        answers = []
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            if not line.strip():
                continue
            key = json.loads(line)["account_id"].encode()  # what is no event ends us, with a trace
            answers.append(await producer.send(TOPIC, value=line.strip(), key=key))
            if len(answers) >= UNANSWERED:
                await asyncio.gather(*answers)  # raises what the broker refused
                answers.clear()
        await asyncio.gather(*answers)
    finally:
        await producer.stop()


# After a failure send the whole file again: an event id that was counted is a duplicate.
asyncio.run(main())
