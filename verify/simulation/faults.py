"""The kinds of fault, and the ledger that proves that each has struck something alive.

A fault of the world is *planned* at a time. It *strikes* when it finds a worker that runs a shard
(or, for a request, when such a worker sends one). A fault that never found a worker does not count.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import Final

from verify.simulation.connection import Link, Moment, Strike, Verb


class Kind(Enum):
    """Everything that is done to the service. The value is its name in the report."""

    CRASH = "crash at any moment"
    CRASH_BEFORE_SEND = "crash before a send"
    CRASH_DURING_SEND = "crash during a send"
    CRASH_AFTER_SEND = "crash after a send"
    CRASH_BEFORE_OFFSETS = "crash before the offsets"
    CRASH_DURING_OFFSETS = "crash during the offsets"
    CRASH_AFTER_OFFSETS = "crash after the offsets"
    CRASH_BEFORE_COMMIT = "crash before the commit"
    CRASH_DURING_COMMIT = "crash during the commit"
    CRASH_AFTER_COMMIT = "crash after the commit"
    CRASH_IN_OPEN = "crash while a shard opens"
    REQUEST_LOST = "request lost"
    RESPONSE_LOST = "response lost"
    REQUEST_REPEATED = "request repeated"
    FREEZE = "frozen for less than the session timeout"
    ZOMBIE = "zombie: frozen, replaced, then awake"
    MISSED_GENERATION = "generation missed"
    REBALANCE = "rebalance"
    REBALANCE_IN_OPEN = "rebalance while a shard opens"
    QUEUED_ACROSS_REVOKE = "batch queued across a revoke"
    CUT = "network away"
    STALE_FETCH = "seek lost to a fetch in flight"
    REPEATED_FETCH = "fetch response repeated"
    OFFSETS_EXPIRED = "offsets expired"
    OFFSETS_RESET = "offsets set back"
    COMPACTION = "compaction"
    STOP = "stop by SIGTERM"
    # of the log and of each life
    DUPLICATE = "duplicate"
    REORDER = "disorder"
    SKEW = "clock ahead"
    LATE = "late"
    POISON = "unreadable record"
    BURST = "burst at a boundary"
    PARTIAL = "partial batches"
    OTHER_BATCHES = "restart with other batch sizes"


OF_THE_LOG: Final = (
    Kind.DUPLICATE, Kind.REORDER, Kind.SKEW, Kind.LATE, Kind.POISON, Kind.BURST,
)  # fmt: skip
OF_A_LIFE: Final = (Kind.PARTIAL, Kind.OTHER_BATCHES)
PLANNED: Final = tuple(kind for kind in Kind if kind not in OF_THE_LOG + OF_A_LIFE)

_CRASHES: Final = {
    Kind.CRASH_BEFORE_SEND: (Verb.SEND, Moment.BEFORE),
    Kind.CRASH_DURING_SEND: (Verb.SEND, Moment.DURING),
    Kind.CRASH_AFTER_SEND: (Verb.SEND, Moment.AFTER),
    Kind.CRASH_BEFORE_OFFSETS: (Verb.OFFSETS, Moment.BEFORE),
    Kind.CRASH_DURING_OFFSETS: (Verb.OFFSETS, Moment.DURING),
    Kind.CRASH_AFTER_OFFSETS: (Verb.OFFSETS, Moment.AFTER),
    Kind.CRASH_BEFORE_COMMIT: (Verb.COMMIT, Moment.BEFORE),
    Kind.CRASH_DURING_COMMIT: (Verb.COMMIT, Moment.DURING),
    Kind.CRASH_AFTER_COMMIT: (Verb.COMMIT, Moment.AFTER),
}
_WRITES: Final = (Verb.SEND, Verb.OFFSETS, Verb.COMMIT)


@dataclass(frozen=True)
class Fault:
    """One planned fault. `choice`: 0 to 1, it selects the worker or the partition."""

    kind: Kind
    at_s: float
    choice: float = 0.0


@dataclass(frozen=True)
class Trap:
    """A fault that waits for a request."""

    kind: Kind
    verbs: tuple[Verb, ...]
    moment: Moment
    strike: Strike

    @classmethod
    def of(cls, fault: Fault) -> Trap | None:
        """Return the trap of a fault that strikes at a request; None for another fault."""
        kind, write = fault.kind, _WRITES[int(fault.choice * len(_WRITES))]
        if kind in _CRASHES:
            verb, moment = _CRASHES[kind]
            return cls(kind, (verb,), moment, Strike.CRASH)
        if kind is Kind.REQUEST_LOST:
            return cls(kind, (write,), Moment.BEFORE, Strike.LOSE)
        if kind is Kind.RESPONSE_LOST:
            return cls(kind, (write,), Moment.DURING, Strike.LOSE)
        if kind is Kind.REQUEST_REPEATED:
            return cls(kind, (write,), Moment.DURING, Strike.REPEAT)
        return None


class Ledger:
    """The faults that were planned, those that struck, and the traps that still wait."""

    def __init__(self) -> None:
        self.planned: Counter[Kind] = Counter()
        self.effective: Counter[Kind] = Counter()
        self.lines: list[str] = []
        self._traps: list[Trap] = []

    def plan(self, kind: Kind) -> None:
        """Note a fault that is tried."""
        self.planned[kind] += 1

    def struck(self, kind: Kind, line: str = "", *, times: int = 1) -> None:
        """Note a fault that hit what is alive."""
        self.effective[kind] += times
        if line:
            self.lines.append(line)

    def arm(self, trap: Trap) -> None:
        """Let a trap wait for a request."""
        self._traps.append(trap)

    def disarm(self) -> None:
        """No trap waits any more."""
        self._traps.clear()

    def strike(self, link: Link, verb: Verb, moment: Moment) -> Strike | None:
        """See `link.Faults`."""
        if not (link.is_alive and link.is_active()):
            return None
        for trap in self._traps:
            if verb in trap.verbs and moment is trap.moment:
                self._traps.remove(trap)
                self.struck(trap.kind, f"{trap.kind.value} at {verb.value}")
                return trap.strike
        return None
