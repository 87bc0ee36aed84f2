"""The journal: the port between a shard and the broker.

`commit` makes one sealed checkpoint durable, and each exception of it is final. The journal knows
only where an engine writes: rows and records are bytes. `journal_transactional` and
`journal_at_least_once` are its two implementations over Kafka.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.contract.input_record import RawRecord
from service.errors import NetFollowersError, RefusedError
from service.runtime.engine_port import Checkpoint, Sealed

log = logging.getLogger(__name__)

CommitPosition = Callable[[int, int, str], Awaitable[None]]
"""(partition, position, metadata): commit as this member of the group."""


class OpenRefusedError(RefusedError):
    """The log and the commits contradict each other. The text says what to do."""


class ForeignCommitError(OpenRefusedError):
    """The group has a commit that no worker has made. `netfollowers rebuild` corrects it."""

    def __init__(self, what: str, way_back: str) -> None:
        """`what`: a sentence that says what was found."""
        super().__init__(f"{what}: {way_back}")
        self.what = what


class ShardFencedError(NetFollowersError):
    """Another worker has opened the shard since this worker did. This worker must stop."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of an open: the checkpoint (None: never counted), rows, and records before it.

    `start`: the log start of the input. `rows`: the latest value of each key, in the order of
    writing (with several tables, by table topic). `recent`: lists of records from `recent_from` up
    to the position of the checkpoint, in order. They are read when they are needed, because all of
    them at once would be larger than the table.
    """

    checkpoint: Checkpoint | None
    start: int
    rows: dict[str, dict[bytes, bytes]]
    recent_from: int
    recent: AsyncGenerator[Sequence[RawRecord]]


@dataclass(slots=True)
class Progress:
    """The progress of an open or a reclaim, for the watchdog. `step` is "" if neither is running.

    `at` counts records and positions. A long read moves it, and so does a long gap. A restore may
    take long, but one of the two must move.
    """

    step: str = ""
    at: int = 0
    part: float = 0.0
    """Part of the table's log that has been read, from 0 to 1."""

    def enter(self, step: str) -> None:
        """Begin the next step."""
        self.step, self.at = step, 0
        if step:
            log.debug("restore step=%s", step)


class Journal(Protocol):
    """The durable side of one partition.

    Kafka has two implementations, and the simulation has one.
    """

    is_atomic: bool
    progress: Progress

    async def open(self, replay_from: Callable[[Checkpoint], int]) -> Restored:
        """Fence, then read the position, then the rows, then the records from `replay_from`."""

    async def reclaim(self) -> Checkpoint | None:
        """Fence again and read the committed checkpoint, without the rows."""

    async def committed(self) -> Checkpoint | None:
        """Read the committed checkpoint."""

    async def commit(self, sealed: Sealed) -> int:
        """Make one checkpoint durable. Return the bytes of its records. Any exception is final."""

    async def close(self) -> None:
        """Close the clients. Never commits."""
