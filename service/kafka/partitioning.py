"""Which partitioner has put a key into its partition, as far as that shows.

Java's clients and ours hash with murmur2, librdkafka's default (`consistent_random`) with CRC32. An
account must always land in the same partition: a mixture of producers splits accounts in two.
https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md (partitioner)
"""

from __future__ import annotations

from typing import Final, Literal
from zlib import crc32

from aiokafka.partitioner import murmur2

Partitioner = Literal["murmur2", "crc32", "other"]
_POSITIVE: Final = 0x7FFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """Partition of a key by murmur2, as Kafka's own clients choose it."""
    return int(murmur2(key) & _POSITIVE) % partitions


def partitioner_of(key: bytes, partition: int, partitions: int) -> Partitioner:
    """The likeliest partitioner; one key in `partitions` fits murmur2 by chance."""
    if partition_of(key, partitions) == partition:
        return "murmur2"
    return "crc32" if crc32(key) % partitions == partition else "other"
