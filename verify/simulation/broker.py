"""A broker in memory: logs with transactions, fencing and committed offsets.

Only what Kafka promises, in the order that is worst for its clients: the markers that end a
transaction reach each log at a time of their own, and until then nothing behind it can be read.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from aiokafka.errors import OffsetOutOfRangeError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from service.contract.input_record import LogRecord

Offsets = dict[TopicPartition, OffsetAndMetadata]


@dataclass(eq=False, slots=True)
class Transaction:
    """One transaction; ended when its markers are in all logs and its offsets are in force."""

    writer: Writer
    touched: dict[TopicPartition, None] = field(default_factory=dict)
    offsets: Offsets = field(default_factory=dict)
    is_ending: bool = False
    unmarked: int = 0


@dataclass(eq=False, slots=True)
class Writer:
    """A transactional id: its epoch, and the transaction that is not yet over."""

    name: str
    epoch: int = 0
    transaction: Transaction | None = None
    sequences: dict[TopicPartition, int] = field(default_factory=dict)


class Entry(NamedTuple):
    """One offset of a log."""

    record: LogRecord
    transaction: Transaction | None
    is_marker: bool


class Fetched(NamedTuple):
    """Records, the position after them, and how far the log can be read."""

    records: list[LogRecord]
    position: int
    end: int


class Log:
    """One partition of a topic."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.start = 0
        self.next = 0
        self.open: dict[Transaction, int] = {}
        self.aborted: set[Transaction] = set()

    def append(
        self, record: LogRecord, transaction: Transaction | None, *, is_marker: bool = False
    ) -> None:
        """Store a record at its own offset."""
        assert record.offset >= self.next
        self.entries.append(Entry(record, transaction, is_marker))
        self.next = record.offset + 1

    def write(self, transaction: Transaction | None, records: Iterable[tuple[Any, ...]]) -> None:
        """Append (key, value, headers)."""
        if transaction is not None:
            self.open.setdefault(transaction, self.next)
        for key, value, headers in records:
            self.append(LogRecord(self.next, 0, key, value, headers), transaction)

    def mark(self, transaction: Transaction, *, is_commit: bool) -> None:
        """Write the marker that ends a transaction here."""
        self.open.pop(transaction, None)
        if not is_commit:
            self.aborted.add(transaction)
        self.append(LogRecord(self.next, 0, None, None), transaction, is_marker=True)

    @property
    def stable(self) -> int:
        """Last stable offset: nothing at or behind it can be read committed."""
        return min(self.open.values(), default=self.next)

    def read(self, position: int, limit: int, *, committed: bool = True) -> Fetched:
        """Up to `limit` records from `position` on. OffsetOutOfRangeError."""
        end = self.stable if committed else self.next
        if not self.start <= position <= self.next:
            raise OffsetOutOfRangeError({})
        found: list[LogRecord] = []
        first = bisect_left(self.entries, position, key=lambda entry: entry.record.offset)
        for entry in self.entries[first:]:
            if entry.record.offset >= end:
                break
            hidden = entry.is_marker or (committed and entry.transaction in self.aborted)
            if hidden:
                position = entry.record.offset + 1
                continue
            if len(found) == limit:
                return Fetched(found, position, end)
            found.append(entry.record)
            position = entry.record.offset + 1
        return Fetched(found, max(position, end) if not found else position, end)

    def visible(self) -> list[LogRecord]:
        """All that can be read committed."""
        return self.read(self.start, len(self.entries)).records

    def compact(self) -> int:
        """Drop what a later committed record of the same key replaces. Return the number."""
        newest = {record.key: record.offset for record in self.visible()}
        end, before = self.stable, len(self.entries)
        self.entries = [
            entry
            for entry in self.entries
            if entry.record.offset >= end
            or (not entry.is_marker and newest.get(entry.record.key) == entry.record.offset)
        ]
        return before - len(self.entries)


class Broker:
    """All logs, the transaction coordinator, and the offsets of the one group."""

    def __init__(self, random: Random, *, transaction_timeout_s: float) -> None:
        """`random` decides how late markers are."""
        self.logs: dict[TopicPartition, Log] = {}
        self.offsets: Offsets = {}
        self.writers: dict[str, Writer] = {}
        self.fenced = 0
        self.marker_delay_s = 0.01
        self._timeout_s = transaction_timeout_s
        self._random = random

    def log(self, tp: TopicPartition) -> Log:
        return self.logs[tp]

    # ---- transactions

    def init(self, name: str) -> int | None:
        """Fence the writer that had the id, and abort its transaction. Return the epoch.

        Return None while an end is under way. Then the caller tries again.
        """
        writer = self.writers.setdefault(name, Writer(name))
        transaction = writer.transaction
        if transaction is not None:
            if not transaction.is_ending:
                writer.epoch += 1
                self._end(transaction, is_commit=False)
            return None
        writer.epoch += 1
        writer.sequences.clear()
        return writer.epoch

    def produce(
        self,
        name: str,
        epoch: int,
        tp: TopicPartition,
        records: Sequence[tuple[Any, ...]],
        sequence: int,
    ) -> bool:
        """Append in the writer's transaction.

        Return False while the one before is ending. Then the caller tries again.
        """
        transaction = self._transaction(name, epoch)
        if transaction is None:
            return False
        writer = transaction.writer
        if sequence < writer.sequences.get(tp, 0):
            return True  # it was a repeated request
        assert sequence == writer.sequences.get(tp, 0), "a hole in the sequence"
        writer.sequences[tp] = sequence + len(records)
        transaction.touched[tp] = None
        self.log(tp).write(transaction, records)
        return True

    def add_offsets(self, name: str, epoch: int, offsets: Offsets) -> bool:
        """Add offsets to the writer's transaction. Return False while the one before is ending."""
        transaction = self._transaction(name, epoch)
        if transaction is None:
            return False
        transaction.offsets.update(offsets)
        return True

    def end(self, name: str, epoch: int, *, is_commit: bool) -> bool:
        """Decide the transaction. A repeated request gets the same answer. Return True."""
        writer = self._writer(name, epoch)
        if writer.transaction is not None and not writer.transaction.is_ending:
            self._end(writer.transaction, is_commit=is_commit)
        return True

    def plain(self, tp: TopicPartition, records: Sequence[tuple[Any, ...]]) -> bool:
        """Append without a transaction. Return True."""
        self.log(tp).write(None, records)
        return True

    def is_quiet(self) -> bool:
        """True when no transaction is open or ending."""
        return all(writer.transaction is None for writer in self.writers.values())

    def _writer(self, name: str, epoch: int) -> Writer:
        writer = self.writers[name]
        if epoch != writer.epoch:
            self.fenced += 1
            raise ProducerFenced
        return writer

    def _transaction(self, name: str, epoch: int) -> Transaction | None:
        writer = self._writer(name, epoch)
        if writer.transaction is None:
            transaction = writer.transaction = Transaction(writer)
            loop = asyncio.get_running_loop()
            loop.call_later(self._timeout_s, self._time_out, transaction)
        return None if writer.transaction.is_ending else writer.transaction

    def _time_out(self, transaction: Transaction) -> None:
        if transaction.writer.transaction is transaction and not transaction.is_ending:
            transaction.writer.epoch += 1
            self._end(transaction, is_commit=False)

    def _end(self, transaction: Transaction, *, is_commit: bool) -> None:
        transaction.is_ending = True
        places: list[TopicPartition | None] = [*transaction.touched, None]
        transaction.unmarked = len(places)
        loop = asyncio.get_running_loop()
        for place in places:
            delay_s = self._random.random() * self.marker_delay_s
            loop.call_later(delay_s, self._mark, transaction, place, is_commit)

    def _mark(
        self,
        transaction: Transaction,
        place: TopicPartition | None,
        is_commit: bool,  # noqa: FBT001
    ) -> None:
        if place is not None:
            self.log(place).mark(transaction, is_commit=is_commit)
        elif is_commit:
            self.offsets.update(transaction.offsets)
        transaction.unmarked -= 1
        if transaction.unmarked == 0:
            transaction.writer.transaction = None
