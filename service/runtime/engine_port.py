"""The port of an engine: what the runtime calls, and all that it knows about an engine.

An engine computes one partition of one topic. It is pure and synchronous: it takes records, and a
seal returns what they have changed. The runtime reads the records, makes each seal durable in one
transaction with the position, and restores the engine after a restart. `service/counting` is one
engine. CONTRIBUTING.md has a recipe for the next.

    restore(checkpoint) -> load(rows)... -> remember(records)... -> apply(records)... -> seal()...
                                                                    committed(checkpoint)...

What the engine publishes must depend only on the records and on its `settings`. The division into
batches, seals and restarts must not change a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from service.contract.input_record import RawRecord
from service.contract.results import Output, Target
from service.contract.skipped_ranges import Skipped

Fingerprint = Mapping[str, str | int]
"""The value of each setting that changes results, by name."""
Difference = tuple[str, str | int | None, str | int | None]
"""(name of a setting, its value in a checkpoint, its value here)"""


class Checkpoint(Protocol):
    """A position in the input, and the state of the engine there that is not in its tables.

    It is immutable. Two checkpoints are equal if all their contents are equal. An engine may keep
    more in it than is named here.
    """

    @property
    def position(self) -> int:
        """Offset of the next record."""

    @property
    def settings(self) -> Fingerprint:
        """The fingerprint of the engine that made it."""

    @property
    def rows(self) -> int | None:
        """Number of rows in all tables; None if it is unknown."""

    @property
    def skipped(self) -> Skipped:
        """Ranges that an operator has stepped over. The input is not read there again."""

    def to_metadata(self) -> str:
        """Encode all except the position, in at most 4,095 bytes.

        It is committed with the offset.
        """


C = TypeVar("C")


class Sealed(Protocol):
    """What one transaction makes durable."""

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint at the seal."""

    @property
    def outputs(self) -> Mapping[Target, Output]:
        """Records, or finished batches, by topic or (topic, partition). Ordered.

        The order is that of at least once, where a crash may leave a part written. Tables come
        last, so that no row claims that an unpublished result was published.
        """

    @property
    def sampled_keys(self) -> Sequence[bytes]:
        """A few keys of input records, to find out which partitioner chose them; may be empty."""


class Publisher(Protocol):
    """What a journal must know of an engine: its topics, and how to read its checkpoints."""

    @property
    def table_topics(self) -> tuple[str, ...]:
        """Compacted topics that a restart reads, key by key; may be empty.

        A record without a value removes the row of its key. With at least once, the first table
        also contains the checkpoint, under the empty key, so there must be one.
        """

    @property
    def output_topics(self) -> tuple[str, ...]:
        """Every topic that it writes, with its tables. Each has as many partitions as the input."""

    def decode_checkpoint(self, position: int, metadata: str) -> Checkpoint:
        """Decode the text of `to_metadata`. ValueError if it is not from this engine."""


class PartitionEngine(Publisher, Protocol[C]):
    """An engine of one partition.

    Mutable; it belongs to one shard. `C`: the class of its checkpoint.
    """

    @property
    def settings(self) -> Fingerprint:
        """Its fingerprint, which each checkpoint contains."""

    @property
    def position(self) -> int:
        """Offset of the next record."""

    @property
    def has_unsealed(self) -> bool:
        """True if a seal would have something to make durable, even if it is only the position."""

    @property
    def unforeseen(self) -> str:
        """The first record that it could not judge, as text for the log; "" without one."""

    @property
    def remembered_ids(self) -> int:
        """Number of entries that `remember` has kept, for the log."""

    # ---- restore

    def initial_checkpoint(self, start: int) -> C:
        """Return the checkpoint before any record. `start`: the log start of the input."""

    def differences(self, found: Fingerprint) -> list[Difference]:
        """Compare the settings of a checkpoint with its own.

        Empty if it can continue from there.
        """

    def replay_from(self, checkpoint: C) -> int:
        """Return the first offset that `remember` must read again; else the position."""

    def restore(self, checkpoint: C) -> None:
        """Start from a checkpoint. Called once, first. TooNew if a newer version made it."""

    def load(self, rows: Iterable[tuple[bytes, bytes]], table: str) -> int:
        """Load rows (key, value) of a table: each key once, in any order, in several calls.

        Return the largest input offset that a row contains, or -1 if rows contain no offset.
        """

    def remember(self, records: Iterable[RawRecord]) -> None:
        """Read records before the position again, in order, in several calls."""

    # ---- compute

    def apply(self, records: Sequence[RawRecord], position: int) -> None:
        """Compute records in order. `position`: the offset after them, with gaps.

        It must not raise because of the contents of a record: any error here ends the worker.
        """

    def seal(self) -> Sealed:
        """Return what has changed since the last seal, as one unit.

        A part may be left to the next seal.
        """

    def committed(self, checkpoint: C) -> None:
        """Note that a seal of this run is durable. Called once for each seal, in order.

        It is not called for the checkpoint that an open has found, because `restore` had it.
        """
