"""The late and the rejected records against the model: all of them, unchanged, rightly labelled."""

from collections.abc import Mapping

from service.audit.findings import Findings
from service.audit.model import Model
from service.audit.published import MAX_VALUE_BYTES, Original, Place, Published

Labels = dict[str, tuple[str, ...]]
"""Header name -> the values that are right; none: the header must be there, whatever it says."""


def late_labels(model: Model) -> dict[int, Labels]:
    """Headers due on each late record, by source offset."""
    return {
        late.offset: {
            "netfollowers-event-time-ms": (str(late.event_time_ms),),
            "netfollowers-watermark-ms": (str(late.watermark_ms),),
            "netfollowers-grains-missed": (",".join(late.grains_missed),),
        }
        for late in model.late
    }


def rejected_labels(model: Model, originals: Mapping[int, Original]) -> dict[int, Labels]:
    """Headers due on each rejected record, by source offset; any true reason is right."""
    return {
        offset: {
            "netfollowers-reason": reasons,
            "netfollowers-detail": (),
            "netfollowers-original-length": (str(original.length),),
            "netfollowers-sha256": (original.sha256,),
            "netfollowers-truncated": ("true" if original.length > MAX_VALUE_BYTES else "false",),
            "netfollowers-original-key-length": (str(original.key_length),),
            "netfollowers-version": ("1",),
        }
        for offset, reasons in model.faults.items()
        for original in [originals[offset]]
    }


class LabelledCheck:
    """Takes the records of the late or the rejected topic's partition in order, one for one."""

    def __init__(
        self,
        kind: str,
        due: Mapping[int, Labels],
        originals: Mapping[int, Original],
        place: Place,
        findings: Findings,
    ) -> None:
        """`kind`: "late" or "rejected"; `due`, `originals`: by source offset, in order."""
        self._kind = kind
        self._due = due
        self._originals = originals
        self._findings = findings
        self._at_least_once = place.at_least_once
        self._at = f"{place.topic}/{place.partition} {kind}"
        self._origin: Labels = {
            "netfollowers-source-topic": (place.topic,),
            "netfollowers-source-partition": (str(place.partition),),
        }
        self._offsets: list[int] = []

    def see(self, record: Published) -> None:
        """Judge one record by its labels and its bytes."""
        found = {name: value.decode(errors="replace") for name, value in record.headers}
        text = found.get("netfollowers-source-offset", "")
        offset = int(text) if text.isdecimal() else -1
        self._offsets.append(offset)
        if offset not in self._due:
            line = f"{self._at} at {record.offset}: source offset {text!r} is not {self._kind}"
            self._findings.mismatch(line)
            return
        original = self._originals[offset]
        self._findings.expect(record.key, original.key, "%s %s key", self._at, offset)
        self._findings.expect(record.value, original.value, "%s %s value", self._at, offset)
        for name, right in {**self._origin, **self._due[offset]}.items():
            label = found.get(name)
            if label is None or (right and label not in right):
                line = f"{self._at} {offset} {name}: found {label}, expected {' or '.join(right)}"
                self._findings.mismatch(line)

    def finish(self) -> None:
        """Compare which records are there and, unless at least once, that each is there once."""
        found = list(dict.fromkeys(self._offsets)) if self._at_least_once else self._offsets
        there = set(found)
        missing = [offset for offset in self._due if offset not in there]
        for offset in missing:
            self._findings.mismatch(f"{self._at} {offset}: missing")
        if not missing and len(found) > len(self._due):
            self._findings.mismatch(f"{self._at}: {len(found)} records, expected {len(self._due)}")
        elif not missing and not self._at_least_once:
            self._findings.expect(found, list(self._due), "%s source offsets", self._at)
        self._findings.compared[f"{self._kind} records"] += len(self._offsets)
