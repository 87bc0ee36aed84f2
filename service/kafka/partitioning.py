"""Finds which partitioner chose a key's partition, as far as the partition shows it.

Java's clients and aiokafka hash with murmur2. librdkafka's default (`consistent_random`) hashes
with CRC32. An account must always be in the same partition: if producers mix partitioners, an
account is split over two partitions.
https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md (partitioner)
"""

from __future__ import annotations

from typing import Final, Literal
from zlib import crc32

from aiokafka.partitioner import murmur2

Partitioner = Literal["murmur2", "crc32", "other"]
_POSITIVE: Final = 0x7FFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key by murmur2, as Kafka's own clients choose it."""
    return int(murmur2(key) & _POSITIVE) % partitions


def partitioner_of(key: bytes, partition: int, partitions: int) -> Partitioner:
    """Return the likeliest partitioner. One key in `partitions` fits murmur2 by chance."""
    if partition_of(key, partitions) == partition:
        return "murmur2"
    return "crc32" if crc32(key) % partitions == partition else "other"
