"""The entries of a certificate, made by the model from the input alone."""

from typing import Final

from service.audit.certificate.canonical import Entries, last_content, source_label
from service.audit.checks.rejects import late_labels, rejected_labels
from service.audit.checks.totals import due_totals
from service.audit.model.counting import Model, Rules
from service.audit.model.input_record import LogRecord
from service.audit.published import Original

SPARE_WINDOWS: Final = 20_000


class InputEntries:
    """The entries that the model makes. Windows past keep are hashed and forgotten."""

    def __init__(self, rules: Rules) -> None:
        """Start before the first record of the log."""
        self._model = Model(rules)
        self._entries = Entries()
        self._look_at = SPARE_WINDOWS

    def feed(self, record: LogRecord) -> None:
        """Take the next record."""
        model = self._model
        outcome = model.feed(record)
        if outcome == "late":
            labels = source_label(record.offset, late_labels(model.late.pop()))
            original = Original.of(record)
            self._entries.late(labels, original.key, original.value)
        elif outcome == "rejected":
            original = Original.of(record)
            labels = source_label(record.offset, rejected_labels(model.last.reasons, original))
            self._entries.rejected(labels, original.key, original.value)
            model.rejected.clear()
            model.faults.clear()

    def fold(self) -> None:
        """Hash and forget windows that nothing can change, if there are many."""
        windows = self._model.windows
        if len(windows) < self._look_at:
            return
        for key in [key for key in windows if self._model.is_past_keep(key)]:
            self._entries.ended(key, *last_content(windows.pop(key)))
        self._look_at = 2 * len(windows) + SPARE_WINDOWS

    def digest(self, offset: int) -> str:
        """Hash all. `offset`: the offset after the last record fed, or of the commit there."""
        model, entries = self._model, self._entries
        for account_id, account in model.accounts.items():
            if not model.may_have_no_row(account):
                entries.row(account_id, due_totals(account_id, account))
        for key, contents in model.windows.items():
            add = entries.ended if model.is_past_keep(key) else entries.kept
            add(key, *last_content(contents))
        return entries.digest(model.rules, offset, model.watermark_ms, model.counts)
