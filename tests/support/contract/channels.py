"""What the AsyncAPI document says of delivery and partitioning, for all topics alike.

The topics themselves, with their records and the duties of others, are in
`service/contract/topics.py`.
"""

from __future__ import annotations

from typing import Any, Final

from service.contract.topics import TOPICS

HASHED: Final[dict[str, Any]] = {
    "by": "key",
    "hash": "murmur2",
    "partition": "(murmur2(key) & 0x7fffffff) % partitions",
    "note": (
        "The default of the Java client of Kafka. All producers must use it: librdkafka needs "
        "partitioner=murmur2_random, aiokafka uses it by default. Otherwise one account is split "
        "over two partitions and counted twice."
    ),
}
FOLLOWING: Final[dict[str, Any]] = {
    "by": "the input record's partition",
    "note": "Every topic has as many partitions as the input. An account has the same one in each.",
}
PRODUCED: Final[dict[str, Any]] = {
    "acks": "all",
    "idempotent": True,
    "note": (
        "Producers should use these settings. A retry with the same event_id is harmless: the "
        "second event is a duplicate and changes nothing."
    ),
}
DELIVERED: Final[dict[str, Any]] = {
    "acks": "all",
    "idempotent": True,
    "transactional": True,
    "isolation.level": "read_committed",
    "note": (
        "Rows, window results, late and rejected records and the input position of a partition "
        "move in one transaction. Another isolation level shows records that were never committed. "
        "With NETFOLLOWERS_GUARANTEE=at_least_once there is no transaction, and producers are not "
        "idempotent: results may repeat, with the same content."
    ),
}

METADATA: Final = "checkpoint-metadata"
"""Schema of what travels with the committed offset: not a record, but operators read it."""


def written() -> set[str]:
    """Schemas that only the service writes by: they are judged closed."""
    ours = {part for one in TOPICS for kind in one.records for part in kind.parts.values()}
    theirs = {
        part
        for one in TOPICS
        if one.is_input
        for kind in one.records
        for part in kind.parts.values()
    }
    return (ours - theirs) | {METADATA}
