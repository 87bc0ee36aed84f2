"""Compares one partition: the model of its input with everything that was published for it.

Pure: no broker. `Comparison` takes the input and the four results, each in its own order, and then
the commit. Results may come after the whole input (`compare`) or along with it (partition.py).
"""

from collections.abc import Iterable, Mapping
from typing import Final

from service.audit.checks.commit import CommitCheck
from service.audit.checks.rejects import Due, LabelledCheck, late_labels, rejected_labels
from service.audit.checks.rows import RowsCheck
from service.audit.checks.windows import FinalsCheck
from service.audit.findings import Findings
from service.audit.horizon import NEVER_MS, Horizon
from service.audit.model.counting import LogRecord, Model, Rules
from service.audit.model.input_record import Arrival, read
from service.audit.published import Committed, Original, Place, Published
from service.audit.sources.source import KINDS

RESULT_KINDS: Final = KINDS[1:]

Check = RowsCheck | FinalsCheck | LabelledCheck


class Comparison:
    """Judges one partition. `feed` the input, show each check its records, then call `commit`."""

    def __init__(
        self, rules: Rules, place: Place, findings: Findings, horizon: Horizon | None = None
    ) -> None:
        """Start a partition. `findings` collects over all partitions."""
        self.horizon = horizon or Horizon(rules)
        self.model = Model(rules, is_cut=not self.horizon.is_whole)
        self.rows = RowsCheck(self.model, place, findings, self.horizon)
        self.finals = FinalsCheck(self.model, place, findings, self.horizon, self.rows)
        self.late = LabelledCheck("late", place, findings, self.horizon)
        self.rejected = LabelledCheck("rejected", place, findings, self.horizon)
        self._at = f"{place.topic}/{place.partition}"
        self._findings = findings
        self._records = 0
        self._lacking: dict[tuple[str, str, str], list[str]] = {}  # event: a line for each refusal

    def feed(self, record: LogRecord) -> None:
        """Take the next input record below the committed position."""
        self._records += max(1, self.model.rules.skipped_from(record.offset))
        outcome = self.model.feed(record)
        if record.offset in self.model.unforeseen:
            self._note_unforeseen(record)
        if self._lacking and outcome in ("applied", "late"):
            self._note_sent_again(record.offset)
        if outcome == "rejected":
            original = Original.of(record)
            labels = rejected_labels(self.model.last.reasons, original)
            self.rejected.expect(record.offset, Due(labels, original))
            self.model.rejected.clear()
            self.model.faults.clear()
        elif outcome == "late":
            if self.horizon.is_exact(record.offset):
                labels = late_labels(self.model.late[-1])
                self.late.expect(record.offset, Due(labels, Original.of(record)))
            self.model.late.clear()
        self.horizon.pass_by(record, self.model)

    def _note_unforeseen(self, record: LogRecord) -> None:
        """Accept that the worker could not judge a record.

        Note whether an event is missing for it.
        """
        place = f"{self._at} {record.offset}: rejected as unforeseen"
        found = read(record, self.model.rules.version_at(record.offset))
        if isinstance(found, Arrival):
            self._lacking.setdefault(_identity(found), []).append(place)
        else:
            self._findings.leave(f"{place}; the right reason is {' or '.join(found.reasons)}")

    def _note_sent_again(self, offset: int) -> None:
        arrival = self.model.last.arrival
        for place in self._lacking.pop(_identity(arrival), []) if arrival else []:
            self._findings.notes.append(
                f"{place}; it was sent again, and counted at offset {offset}"
            )

    def check(self, kind: str) -> Check:
        """Return the check of one result topic. `kind`: one of RESULT_KINDS."""
        checks: dict[str, Check] = {
            "updates": self.rows,
            "windows": self.finals,
            "late": self.late,
            "rejected": self.rejected,
        }
        return checks[kind]

    def settle(self) -> None:
        """Call this after the whole input.

        If a cut log never became exact, nothing is expected of it.
        """
        if self.horizon.exact_from is None:
            self.horizon.forget(self.model)

    def finish(self, *, swept_to_ms: int = NEVER_MS, is_at_rest: bool = False) -> None:
        """Find what is missing, after all input and results.

        Finals before `swept_to_ms` are expected.

        `is_at_rest`: the worker has nothing left to do, so rows of ended accounts must be gone.
        """
        self.settle()
        for (_, _, action), places in self._lacking.items():
            for place in places:
                self._findings.admit(f"{place}, but it is a valid {action}")
        self.rows.finish(is_at_rest=is_at_rest)
        self.finals.finish(swept_to_ms=swept_to_ms)
        self.late.finish()
        self.rejected.finish()

    def commit(self, committed: Committed | None) -> None:
        """Compare the position and its metadata: the watermark and the five counts."""
        self._findings.compared["input records"] += self._records
        for outcome, number in self.model.counts.items():
            self._findings.compared[outcome] += number
        check = CommitCheck(self.model, self._at, self._findings, self.horizon)
        check.compare(committed, self._records)


def _identity(arrival: Arrival) -> tuple[str, str, str]:
    return arrival.event_id, arrival.account_id, arrival.action


def compare(
    comparison: Comparison,
    committed: Committed | None,
    results: Mapping[str, Iterable[Published]],
    *,
    expect_swept: bool = True,
) -> None:
    """Compare one partition whose results are in memory, by kind. Its input must be fed before."""
    for kind in RESULT_KINDS:
        check = comparison.check(kind)
        for record in results.get(kind, ()):
            check.see(record)
    swept_to_ms = NEVER_MS if expect_swept else -NEVER_MS
    comparison.finish(swept_to_ms=swept_to_ms, is_at_rest=expect_swept)
    comparison.commit(committed)
