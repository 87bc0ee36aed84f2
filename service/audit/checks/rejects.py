"""Compares the late and rejected records with the model: all there, unchanged, rightly labelled."""

from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import NamedTuple

from service.audit.findings import Findings
from service.audit.horizon import Horizon
from service.audit.model.input_record import UNFORESEEN
from service.audit.model.types import Late
from service.audit.published import MAX_VALUE_BYTES, ORIGINAL, Original, Place, Published

Labels = dict[str, tuple[str, ...]]
"""Header name and its allowed values; no values: the header must exist with any value."""


class Due(NamedTuple):
    """A record that must be found."""

    labels: Labels
    original: Original


def late_labels(late: Late) -> Labels:
    """Return the headers that a late record must have."""
    return {
        "netfollowers-event-time-ms": (str(late.event_time_ms),),
        "netfollowers-watermark-ms": (str(late.watermark_ms),),
        "netfollowers-grains-missed": (",".join(late.grains_missed),),
    }


def rejected_labels(reasons: tuple[str, ...], original: Original) -> Labels:
    """Return the headers that a rejected record must have. Any true reason is allowed."""
    return {
        "netfollowers-reason": reasons,
        "netfollowers-detail": (),
        "netfollowers-original-length": (str(original.length),),
        "netfollowers-sha256": (original.sha256,),
        "netfollowers-truncated": ("true" if original.length > MAX_VALUE_BYTES else "false",),
        "netfollowers-original-key-length": (str(original.key_length),),
        "netfollowers-version": ("1",),
    }


def source_offset(headers: Mapping[str, str]) -> int:
    """Return the input offset that a late or rejected record names; -1 without one."""
    text = headers.get("netfollowers-source-offset", "")
    return int(text) if text.isdecimal() else -1


def labels_of(record: Published) -> dict[str, str]:
    """Return the headers as text. A header without a value becomes ""."""
    return {name: (value or b"").decode(errors="replace") for name, value in record.headers}


def unforeseen_in(records: Iterable[Published]) -> set[int]:
    """Return the source offsets of rejected records that the worker could not judge."""
    labels = map(labels_of, records)
    return {source_offset(one) for one in labels if one.get("netfollowers-reason") == UNFORESEEN}


class LabelledCheck:
    """Takes the late or rejected records of one partition in order.

    Exactly once: a found record is forgotten, and a record that comes after the expected one shows
    that the expected one is missing. At least once: all are remembered, because any may come again.
    """

    def __init__(self, kind: str, place: Place, findings: Findings, horizon: Horizon) -> None:
        """`kind`: "late" or "rejected"."""
        self._kind = kind
        self._horizon = horizon
        self._findings = findings
        self._at_least_once = place.at_least_once
        self._at = f"{place.topic}/{place.partition} {kind}"
        self._origin: Labels = {
            "netfollowers-source-topic": (place.topic,),
            "netfollowers-source-partition": (str(place.partition),),
        }
        self._due: dict[int, Due] = {}
        self._found: set[int] = set()  # with at least once: the expected offsets that were found
        self._is_cut = False
        self._gone = self._unknown = self._position = 0

    def expect(self, offset: int, due: Due) -> None:
        """Note that the input record at `offset` must be found."""
        self._due[offset] = due

    def pass_by(self, position: int) -> None:
        """Note that all input below `position` was fed."""
        self._position = position

    def begin_cut(self) -> None:
        """Note that the oldest records of the topic are gone."""
        self._is_cut = True

    def is_ready(self, record: Published) -> bool:
        """Tell whether the input record that `record` names has been fed."""
        return source_offset(labels_of(record)) < self._position

    def see(self, record: Published) -> None:
        """Judge one record by its labels and its bytes."""
        self._findings.compared[f"{self._kind} records"] += 1
        found = labels_of(record)
        offset = source_offset(found)
        if self._is_cut:
            self._skip_gone(offset)
        due = self._due.get(offset)
        if due is not None:
            self._compare(offset, due, record, found)
            self._settle(offset)
        elif offset >= 0 and not self._is_known(offset):
            self._unknown += 1
        else:
            text = found.get("netfollowers-source-offset", "")
            line = f"{self._at} at {record.offset}: source offset {text!r} is not {self._kind}"
            self._findings.mismatch(f"{line}, or was found before")

    def finish(self) -> None:
        """Note what was not found."""
        self._findings.compared[f"{self._kind} records"] += 0
        if self._is_cut:
            self._skip_gone(self._position)
        self.miss_all()
        if self._gone:
            line = f"{self._gone} records that the topic no longer holds"
            self._findings.leave(f"{self._at}: {line}")
        if self._unknown:
            line = f"{self._unknown} records that depend on records older than the log"
            self._findings.leave(f"{self._at}: {line}")

    def miss_all(self) -> None:
        """Note that the topic has ended: records that are expected now will not come."""
        if self._is_cut:
            return
        for offset in [offset for offset in self._due if offset not in self._found]:
            self._findings.mismatch(f"{self._at} {offset}: missing")
        self._due.clear()

    def _is_known(self, offset: int) -> bool:
        """Tell whether the model knows the outcome of an input record."""
        if self._kind == "rejected":
            return offset >= self._horizon.start
        return self._horizon.is_exact(offset)

    def _skip_gone(self, offset: int) -> None:
        """Note that the topic begins with `offset`. Expected records before it may be gone."""
        gone = [due for due in self._due if due < offset]
        for due in gone:
            del self._due[due]
        self._gone += len(gone)
        self._is_cut = False

    def _settle(self, offset: int) -> None:
        if self._at_least_once:
            self._found.add(offset)
            return
        for due in list(takewhile(lambda due: due != offset, self._due)):
            self._findings.mismatch(f"{self._at} {due}: missing, or found after {offset}")
            del self._due[due]
        del self._due[offset]

    def _compare(self, offset: int, due: Due, record: Published, found: dict[str, str]) -> None:
        self._findings.expect(record.key, due.original.key, "%s %s key", self._at, offset)
        self._findings.expect(record.value, due.original.value, "%s %s value", self._at, offset)
        kept = tuple(one for one in record.headers if one[0].startswith(ORIGINAL))
        self._findings.expect(kept, due.original.headers, "%s %s headers", self._at, offset)
        dropped = found.get("netfollowers-original-headers-dropped", "0")
        self._findings.expect(
            dropped, str(due.original.dropped), "%s %s headers dropped", self._at, offset
        )
        for name, right in {**self._origin, **due.labels}.items():
            label = found.get(name)
            if label is None or (right and label not in right):
                line = f"{self._at} {offset} {name}: found {label}, expected {' or '.join(right)}"
                self._findings.mismatch(line)
