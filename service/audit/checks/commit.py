"""Compares the commit with the model: position, watermark and the five counts."""

from collections.abc import Mapping

from service.audit.findings import Findings
from service.audit.horizon import Horizon
from service.audit.model.counting import Model
from service.audit.published import Committed, json_object

STATELESS = ("rejected", "heartbeat")
"""Outcomes that do not depend on earlier records."""


class CommitCheck:
    """Judges the commit of one partition."""

    def __init__(self, model: Model, at: str, findings: Findings, horizon: Horizon) -> None:
        """`model` was fed all records below the committed position. `at`: the partition's name."""
        self._model = model
        self._at = at
        self._findings = findings
        self._horizon = horizon

    def compare(self, committed: Committed | None, records: int) -> None:
        """Compare the position and its metadata. `records`: the number of records fed."""
        if committed is None:
            if records:
                self._findings.mismatch(f"{self._at}: {records} records, but no commit")
            return
        if self._model.position > committed.position:
            line = (
                f"{self._at}: the committed offset {committed.position} is before the last record"
            )
            self._findings.mismatch(line)
        said = json_object(committed.metadata)
        self._findings.expect(said.get("v"), 1, "%s metadata version", self._at)
        if self._horizon.is_whole:
            self._watermark(said)
            self._counts(said.get("counts"), records)
        else:
            self._leave()
            self._at_least(said.get("counts"), records)
            if self._horizon.exact_from is not None:
                self._watermark(said)

    def _watermark(self, said: Mapping[str, object]) -> None:
        found, due = said.get("watermark_ms"), self._model.watermark_ms
        self._findings.expect(found, due, "%s watermark_ms", self._at)

    def _counts(self, counts: object, records: int) -> None:
        self._findings.expect(counts, self._model.counts, "%s counts", self._at)
        total = _total(counts)
        if total is not None:
            self._findings.expect(total, records, "%s sum of the counts", self._at)

    def _at_least(self, counts: object, records: int) -> None:
        total = _total(counts)
        if not isinstance(counts, dict) or total is None or total < records:
            line = f"{self._at} counts: found {counts}, fewer than the {records} records in the log"
            self._findings.mismatch(line)
            return
        for outcome in STATELESS:
            found, least = counts.get(outcome, 0), self._model.counts[outcome]
            if found < least:
                self._findings.mismatch(
                    f"{self._at} {outcome}: found {found}, expected at least {least}"
                )

    def _leave(self) -> None:
        exact_from = self._horizon.exact_from
        known = "at no offset" if exact_from is None else f"from offset {exact_from} on"
        self._findings.leave(
            f"{self._at}: the log begins at offset {self._horizon.start}. The five counts are "
            "only known to be at least the records in it. Duplicates, lateness, windows and "
            f"watermark are known {known}"
        )


def _total(counts: object) -> int | None:
    numbers = list(counts.values()) if isinstance(counts, dict) else []
    return sum(numbers) if all(type(number) is int for number in numbers) else None
