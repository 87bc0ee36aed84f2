"""The entries of a certificate, made from the published results."""

from typing import Final

from service.audit.certificate.canonical import Entries
from service.audit.checks.rejects import labels_of, source_offset
from service.audit.model.counting import Rules
from service.audit.model.input_record import UNFORESEEN
from service.audit.model.types import WindowKey
from service.audit.published import Committed, Published, json_object
from service.audit.result_names import named_result, windows_of

SPARE_WINDOWS: Final = 20_000


class ResultEntries:
    """Takes windows, then rows, then late and rejected records, all up to one commit.

    A window is held until no revision of it can follow. Results are in order of time. So no
    revision follows after the result of a window that became final later than the keep of the first
    one ended. At least once, results repeat: all windows are held, and the offsets of late and
    rejected records.
    """

    def __init__(self, rules: Rules, committed: Committed, *, at_least_once: bool) -> None:
        """`committed`: gives the watermark and the counts."""
        said = json_object(committed.metadata)
        counts, sweep = said.get("counts"), said.get("sweep")
        self._counts: dict[str, object] = counts if isinstance(counts, dict) else {}
        self._watermark_ms = _number(said.get("watermark_ms"))
        self._closed_to_ms = _number(sweep.get("closed_to_ms") if isinstance(sweep, dict) else None)
        self._at_least_once = at_least_once
        self._rules = rules
        self._position = committed.position
        self._spans = {
            g.name: (g.size_ms + g.grace_ms, g.size_ms + g.keep_ms) for g in rules.grains
        }
        self._entries = Entries()
        self._held: dict[WindowKey, tuple[int, object]] = {}
        self._rows: dict[bytes, bytes] = {}
        self._refused: dict[str, set[int]] = {"late": set(), "rejected": set()}
        self._time_ms = -1
        self._look_at = SPARE_WINDOWS
        self.unforeseen = 0
        """Records that the worker could not judge. For these the input alone gives another result.
        """

    def windows(self, results: list[Published]) -> None:
        """Take window results, in order."""
        for record in results:
            key, revision, result = named_result(record)
            if key is None or key[1] not in self._spans:
                continue
            self._time_ms = max(self._time_ms, self._final_at_ms(key))
            if self._is_ended(key, self._watermark_ms):
                known, _ = self._held.get(key, (-1, None))
                if revision > known:
                    self._held[key] = (revision, (result.get("gained"), result.get("lost")))
        if len(self._held) >= self._look_at and not self._at_least_once:
            self._fold(self._time_ms)
            self._look_at = 2 * len(self._held) + SPARE_WINDOWS

    def rows(self, rows: list[Published]) -> None:
        """Take rows in order. The last row of a key counts."""
        for row in rows:
            if row.value is None:
                self._rows.pop(row.key or b"", None)
            elif row.key:
                self._rows[row.key] = row.value

    def refused(self, kind: str, records: list[Published]) -> None:
        """Take late or rejected records."""
        add = self._entries.late if kind == "late" else self._entries.rejected
        for record in records:
            labels = labels_of(record)
            if self._at_least_once:
                offset = source_offset(labels)
                if offset in self._refused[kind]:
                    continue
                self._refused[kind].add(offset)
            self.unforeseen += labels.get("netfollowers-reason") == UNFORESEEN
            add(labels, record.key, record.value)

    def digest(self) -> str:
        """Hash all that was taken."""
        for key, value in self._rows.items():
            self._add_row(key.decode(errors="replace"), json_object(value))
        for window, (revision, content) in self._held.items():
            self._entries.ended(window, revision, content)
        watermark_ms = self._watermark_ms if self._watermark_ms >= 0 else None
        return self._entries.digest(self._rules, self._position, watermark_ms, self._counts)

    def _add_row(self, account_id: str, row: dict[str, object]) -> None:
        """Add totals and kept windows. Of ended windows, add only those that were not swept yet."""
        if not self._may_be_gone(row):
            self._entries.row(account_id, row)
        for key, (*content, revision) in windows_of(account_id, row):
            if key[1] not in self._spans or not self._is_ended(key, self._watermark_ms):
                self._entries.kept(key, revision, content)
            elif self._final_at_ms(key) > self._closed_to_ms:
                self._held.setdefault(key, (_number(revision), content))

    def _may_be_gone(self, row: dict[str, object]) -> bool:
        """Tell whether a row counts nothing, or has expired."""
        if not row.get("gained") and not row.get("lost") and row.get("baseline") is None:
            return True
        after_ms, last_ms = self._rules.expire_after_ms, _number(row.get("last_event_ms"))
        return 0 < after_ms <= self._watermark_ms - last_ms

    def _fold(self, time_ms: int) -> None:
        """Hash and forget windows whose keep ended before `time_ms`, if they are surely swept."""
        for key in [key for key in self._held if self._is_ended(key, time_ms)]:
            if self._final_at_ms(key) <= self._closed_to_ms:
                self._entries.ended(key, *self._held.pop(key))

    def _final_at_ms(self, key: WindowKey) -> int:
        return key[2] + self._spans[key[1]][0]

    def _is_ended(self, key: WindowKey, time_ms: int) -> bool:
        return key[2] + self._spans[key[1]][1] <= time_ms


def _number(value: object) -> int:
    return value if isinstance(value, int) else -1
