"""One partition: the model of its input against everything that was published for it.

Pure: no broker. `Comparison` takes the input first, then the four results, then the commit.
"""

from collections.abc import Iterable
from typing import Final

from service.audit.finals import FinalsCheck
from service.audit.findings import Findings
from service.audit.model import LogRecord, Model, Rules
from service.audit.published import Committed, Original, Place, Published, json_object
from service.audit.refused import LabelledCheck, late_labels, rejected_labels
from service.audit.rows import RowsCheck

RESULT_KINDS: Final = ("updates", "windows", "late", "rejected")

Check = RowsCheck | FinalsCheck | LabelledCheck


class Comparison:
    """Judges one partition. Verbs in this order: feed..., then check(kind)..., then commit."""

    def __init__(self, rules: Rules, place: Place, findings: Findings) -> None:
        """Begin a partition; `findings` collects over all of them."""
        self.model = Model(rules)
        self._place = place
        self._findings = findings
        self._records = 0
        self._originals: dict[int, Original] = {}

    def feed(self, record: LogRecord) -> None:
        """Take the next input record below the committed position."""
        self._records += 1
        if self.model.feed(record) in ("late", "rejected"):
            self._originals[record.offset] = Original.of(record)

    def check(self, kind: str) -> Check:
        """Make the check of one result topic, one of RESULT_KINDS; it then takes its records."""
        if kind == "updates":
            return RowsCheck(self.model, self._place, self._findings)
        if kind == "windows":
            return FinalsCheck(self.model, self._place, self._findings)
        due = (
            late_labels(self.model)
            if kind == "late"
            else rejected_labels(self.model, self._originals)
        )
        return LabelledCheck(kind, due, self._originals, self._place, self._findings)

    def commit(self, committed: Committed | None) -> None:
        """Compare the position and what its metadata says: watermark and the five counts."""
        at = f"{self._place.topic}/{self._place.partition}"
        self._findings.compared["input records"] += self._records
        for outcome, number in self.model.counts.items():
            self._findings.compared[outcome] += number
        if committed is None:
            if self._records:
                self._findings.mismatch(f"{at}: {self._records} records and nothing committed")
            return
        if self.model.position > committed.position:
            self._findings.mismatch(f"{at}: committed {committed.position} is before the records")
        said = json_object(committed.metadata)
        self._findings.expect(said.get("v"), 1, "%s metadata version", at)
        self._findings.expect(
            said.get("watermark_ms"), self.model.watermark_ms, "%s watermark_ms", at
        )
        self._findings.expect(said.get("counts"), self.model.counts, "%s counts", at)
        self._count_all(said.get("counts"), at)

    def _count_all(self, counts: object, at: str) -> None:
        numbers = list(counts.values()) if isinstance(counts, dict) else []
        if all(type(number) is int for number in numbers):
            self._findings.expect(sum(numbers), self._records, "%s sum of the counts", at)


def compare(
    comparison: Comparison,
    committed: Committed | None,
    results: dict[str, Iterable[Published]],
    *,
    expect_swept: bool = True,
) -> None:
    """Compare one partition whose results are at hand, by kind; the input was fed before."""
    for kind in RESULT_KINDS:
        check = comparison.check(kind)
        for record in results.get(kind, ()):
            check.see(record)
        finish(check, expect_swept=expect_swept)
    comparison.commit(committed)


def finish(check: Check, *, expect_swept: bool) -> None:
    """End a check, telling the one that cares whether every sweep must be over."""
    if isinstance(check, FinalsCheck):
        check.finish(expect_swept=expect_swept)
    else:
        check.finish()
