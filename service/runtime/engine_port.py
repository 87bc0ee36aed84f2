"""The port of an engine: what the runtime asks of it, and all that it knows of it.

An engine computes one partition of one topic. It is pure and synchronous: records go in, and what
they have changed comes out at a seal. The runtime reads the records, makes each seal durable in one
transaction with the position, and restores the engine after a restart. `service/counting` is one
engine; CONTRIBUTING.md has a recipe for the next.

    restore(checkpoint) -> load(rows)... -> remember(records)... -> apply(records)... -> seal()...
                                                                    committed(checkpoint)...

What the engine publishes must be a function of the records and of its `settings`. How they were
divided into batches, seals and restarts must not change a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from service.contract.input_record import RawRecord
from service.contract.results import Output, Target
from service.contract.skipped_ranges import Skipped

Fingerprint = Mapping[str, str | int]
"""Name of a setting that changes results -> its value."""
Difference = tuple[str, str | int | None, str | int | None]
"""(name of a setting, its value in a checkpoint, its value here)"""


class Checkpoint(Protocol):
    """A position in the input, and the engine's state at it that is not in its tables.

    Immutable; equal when all of it is equal. The engine may keep more in it than is named here.
    """

    @property
    def position(self) -> int:
        """Offset of the next record."""

    @property
    def settings(self) -> Fingerprint:
        """The fingerprint of the engine that has made it."""

    @property
    def rows(self) -> int | None:
        """Rows of all tables together; None when it does not say."""

    @property
    def skipped(self) -> Skipped:
        """Ranges that an operator has stepped over; the input is not read there again."""

    def to_metadata(self) -> str:
        """Encode all but the position; at most 4,095 bytes. It travels with the offset."""


C = TypeVar("C")


class Sealed(Protocol):
    """What one transaction makes durable."""

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint at the seal."""

    @property
    def outputs(self) -> Mapping[Target, Output]:
        """Topic, or (topic, partition) -> records, or finished batches. Ordered.

        The order is the one of at least once, where a crash may leave a part: tables come last, so
        that no row says that something was published which was not.
        """

    @property
    def sampled_keys(self) -> Sequence[bytes]:
        """A few keys of input records, to see which partitioner has put them here; may be empty."""


class Publisher(Protocol):
    """What a journal must know of an engine: where it writes, and how its checkpoints are read."""

    @property
    def table_topics(self) -> tuple[str, ...]:
        """Compacted topics that are read back at a restart, key by key; may be empty.

        Key -> value; a record without a value removes its row. At least once, the first one also
        holds the checkpoint, under the empty key, so there must be one.
        """

    @property
    def output_topics(self) -> tuple[str, ...]:
        """Every topic that it writes, tables included. Each has as many partitions as the input."""

    def decode_checkpoint(self, position: int, metadata: str) -> Checkpoint:
        """Decode what `to_metadata` has encoded; ValueError when it is not this engine's."""


class PartitionEngine(Publisher, Protocol[C]):
    """An engine of one partition. Mutable; it belongs to one shard. `C`: its own checkpoint."""

    @property
    def settings(self) -> Fingerprint:
        """Its fingerprint; it goes into each checkpoint."""

    @property
    def position(self) -> int:
        """Offset of the next record."""

    @property
    def has_unsealed(self) -> bool:
        """True when a seal would have something to make durable, be it the position alone."""

    @property
    def unforeseen(self) -> str:
        """The first record that it could not judge, as text for the log; empty without one."""

    @property
    def remembered_ids(self) -> int:
        """How much `remember` has kept, for the log."""

    # ---- restore

    def initial_checkpoint(self, start: int) -> C:
        """Make the checkpoint before anything was computed. `start`: the log start of the input."""

    def differences(self, found: Fingerprint) -> list[Difference]:
        """Compare a checkpoint's settings with its own; empty when it can continue from there."""

    def replay_from(self, checkpoint: C) -> int:
        """First offset that `remember` needs to see again; the position itself for none."""

    def restore(self, checkpoint: C) -> None:
        """Take up a checkpoint; called once, first. TooNew: a newer version has made it."""

    def load(self, rows: Iterable[tuple[bytes, bytes]], table: str) -> int:
        """Load rows (key, value) of a table, each key once, in any order, in several calls.

        Returns the largest input offset that one of them contains; -1 when rows contain none.
        """

    def remember(self, records: Iterable[RawRecord]) -> None:
        """See records before the position again, in order, in several calls."""

    # ---- compute

    def apply(self, records: Sequence[RawRecord], position: int) -> None:
        """Compute records in order; `position` is the offset after them, gaps included.

        It raises for nothing that a record may contain: any error here ends the worker.
        """

    def seal(self) -> Sealed:
        """Hand out all that has changed since the last seal, as one unit. It may leave a rest."""

    def committed(self, checkpoint: C) -> None:
        """Learn that a seal of this life is durable, once for each, in their order.

        The checkpoint that an open has found is not told: `restore` has said it.
        """
