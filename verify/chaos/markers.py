"""Finds out whether the broker has lost a transaction's marker. Then no worker may continue.

If Kafka is killed while it writes the markers of a commit, it may come back without one of them.
Its coordinator says that the transaction is complete, and readers of committed records never see
what comes after it. The workers refuse to read past it. This is right (docs/design/decisions/0013).
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from aiokafka import TopicPartition

from service.kafka import clients
from service.settings import Settings

_DECIDED_WITHIN_S: Final = 45.0
"""Longer than any transaction of a run may stay open, and the broker takes to notice it."""


async def lost_marker(settings: Settings) -> str:
    """Wait, while no worker runs, until all transactions are decided.

    Return the one that is never decided, or "".
    """
    tps = [
        TopicPartition(topic, number)
        for topic in settings.result_topics
        for number in range(settings.partitions)
    ]
    stable = clients.consumer(settings)
    everything = clients.consumer(settings, isolation_level="read_uncommitted")
    until = time.monotonic() + _DECIDED_WITHIN_S
    try:
        await clients.start(stable)
        await clients.start(everything)
        while True:
            heads = await everything.end_offsets(tps)
            ends = await stable.end_offsets(tps)
            hidden = [tp for tp in tps if ends[tp] < heads[tp]]
            if not hidden:
                return ""
            if time.monotonic() > until:
                tp = hidden[0]
                return f"{tp.topic} partition {tp.partition} from offset {ends[tp]} on"
            await asyncio.sleep(0.5)
    finally:
        await stable.stop()
        await everything.stop()
