"""The second engine: how many final windows and revisions each account has had. Pure.

Input: the records of `net-follower-windows` of one partition. A result is *quick* when another one
of its window came within the HORIZON offsets before it. Output, in one transaction with the
position:

    table       compacted, a row per account: finals, revisions, quick, offset of the last record
    milestones  a record for every STEP finals of an account
    newcomers   a record for an account's first final, in the partition that its name is hashed to
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from service.contract.input_record import RawRecord
from service.contract.results import Output, Target
from service.contract.skipped_ranges import Skipped

HORIZON: Final = 64
STEP: Final = 5

Window = tuple[bytes, str, int]
"""(account, grain, start): what a result is about."""


class Topics(NamedTuple):
    """Names of its topics."""

    table: str = "final-counts"
    milestones: str = "final-milestones"
    newcomers: str = "final-newcomers"


class Said(msgspec.Struct):
    """What it reads of a window result."""

    grain: str
    start_ms: int
    revision: int


class Row(msgspec.Struct):
    """One account."""

    finals: int = 0
    revisions: int = 0
    quick: int = 0
    offset: int = -1


class Checkpoint(msgspec.Struct, frozen=True):
    """The position, and the number of records read."""

    position: int
    settings: Mapping[str, str | int]
    rows: int | None = None
    read: int = 0
    skipped: Skipped = ()

    def to_metadata(self) -> str:
        """See the port."""
        said = {"finals": 1, "settings": self.settings, "rows": self.rows, "read": self.read}
        return msgspec.json.encode(said).decode()


class Sealed(NamedTuple):
    """See the port."""

    checkpoint: Checkpoint
    outputs: Mapping[Target, Output]
    sampled_keys: Sequence[bytes] = ()


class Finals:
    """Counts one partition of the window results."""

    unforeseen = ""

    def __init__(self, partition: int, partitions: int, topics: Topics) -> None:
        """`partitions`: of its input and of all its topics."""
        self.partition = partition
        self.position = 0
        self.settings: Mapping[str, str | int] = {"horizon": HORIZON, "partitions": partitions}
        self.table_topics = (topics.table,)
        self.output_topics = tuple(topics)
        self.unacknowledged: deque[Checkpoint] = deque()
        self._topics = topics
        self._partitions = partitions
        self._read = 0
        self._rows: dict[bytes, Row] = {}
        self._changed: dict[bytes, Row] = {}
        self._recent: deque[tuple[int, Window]] = deque()
        self._milestones: list[tuple[bytes, bytes]] = []
        self._newcomers: dict[int, list[tuple[bytes, bytes]]] = {}
        self._sealed_at = -1

    @property
    def has_unsealed(self) -> bool:
        """True when the position has moved."""
        return self.position != self._sealed_at

    @property
    def remembered_ids(self) -> int:
        """Results within the horizon."""
        return len(self._recent)

    # ---- restore

    def decode_checkpoint(self, position: int, metadata: str) -> Checkpoint:
        """See the port."""
        said = msgspec.json.decode(metadata)
        if not isinstance(said, dict) or said.get("finals") != 1:
            message = "a checkpoint of another engine"
            raise ValueError(message)
        return Checkpoint(position, said["settings"], said["rows"], said["read"])

    def initial_checkpoint(self, start: int) -> Checkpoint:
        """See the port."""
        return Checkpoint(start, self.settings)

    def differences(
        self, found: Mapping[str, str | int]
    ) -> list[tuple[str, str | int | None, str | int | None]]:
        """See the port."""
        own, names = self.settings, sorted(found.keys() | self.settings.keys())
        return [(name, found.get(name), own.get(name)) for name in names
                if found.get(name) != own.get(name)]  # fmt: skip

    def replay_from(self, checkpoint: Checkpoint) -> int:
        """The horizon before the position."""
        return max(0, checkpoint.position - HORIZON)

    def restore(self, checkpoint: Checkpoint) -> None:
        """See the port."""
        assert not self._rows, "restore comes first"
        self.position = self._sealed_at = checkpoint.position
        self._read = checkpoint.read

    def load(self, rows: Iterable[tuple[bytes, bytes]], table: str) -> int:
        """See the port."""
        assert table == self._topics.table
        newest = -1
        for key, value in rows:
            row = self._rows[key] = msgspec.json.decode(value, type=Row)
            newest = max(newest, row.offset)
        return newest

    def remember(self, records: Iterable[RawRecord]) -> None:
        """See the port."""
        for record in records:
            self._recent.append((record.offset, _window(record)[0]))

    # ---- compute

    def apply(self, records: Sequence[RawRecord], position: int) -> None:
        """See the port."""
        for record in records:
            self._count(record)
        self.position = position

    def _count(self, record: RawRecord) -> None:
        key = record.key
        window, revision = _window(record)
        assert key is not None
        while self._recent and self._recent[0][0] < record.offset - HORIZON:
            self._recent.popleft()
        is_quick = any(window == seen for _, seen in self._recent)
        self._recent.append((record.offset, window))
        self._read += 1
        row = self._rows.setdefault(key, Row())
        if record.offset <= row.offset:  # at least once: the row has it already
            return
        row.offset = record.offset
        self._changed[key] = row
        row.quick += is_quick
        if revision:
            row.revisions += 1
        else:
            row.finals += 1
            self._tell(key, row)

    def _tell(self, key: bytes, row: Row) -> None:
        if row.finals == 1:
            there = zlib.crc32(key) % self._partitions
            came = (key, b"%d" % self.partition)
            self._newcomers.setdefault(there, []).append(came)
        if row.finals % STEP == 0:
            self._milestones.append((key, b"%d" % row.finals))

    def seal(self) -> Sealed:
        """See the port."""
        topics = self._topics
        rows = [(key, msgspec.json.encode(row)) for key, row in self._changed.items()]
        outputs: dict[Target, Output] = {topics.milestones: self._milestones}
        for partition, records in self._newcomers.items():
            outputs[topics.newcomers, partition] = records
        outputs[topics.table] = rows
        self._changed, self._milestones, self._newcomers = {}, [], {}
        self._sealed_at = self.position
        checkpoint = Checkpoint(self.position, self.settings, len(self._rows), self._read)
        self.unacknowledged.append(checkpoint)
        return Sealed(checkpoint, outputs)

    def committed(self, checkpoint: Checkpoint) -> None:
        """Check that each seal is acknowledged once, in order."""
        assert checkpoint is self.unacknowledged.popleft(), "a commit out of its order"


def _window(record: RawRecord) -> tuple[Window, int]:
    """The window, and the revision of the result."""
    assert record.key is not None
    assert record.value is not None
    said = msgspec.json.decode(record.value, type=Said)
    return (record.key, said.grain, said.start_ms), said.revision
