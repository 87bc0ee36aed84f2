"""Compares the table with the model: every row, every kept window in it, no row too many."""

from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import Final

from service.audit.checks.totals import contradictions, due_totals, last_part
from service.audit.findings import Findings
from service.audit.horizon import Horizon
from service.audit.model.counting import Model
from service.audit.model.types import Account, WindowKey
from service.audit.published import Place, Published, json_object
from service.audit.result_names import windows_of

EXPIRY_PARTS: Final = 32
"""An expired row must be gone after this part of the expiry time has passed again."""


class RowsCheck:
    """Takes the rows of one partition in order. Judges them at the end."""

    def __init__(self, model: Model, place: Place, findings: Findings, horizon: Horizon) -> None:
        """`model`: before `finish`, it must be fed all records below the committed position."""
        self._model = model
        self._at = f"{place.topic}/{place.partition}"
        self._at_least_once = place.at_least_once
        self._findings = findings
        self._horizon = horizon
        self._latest: dict[bytes, bytes] = {}
        self._superseded: set[bytes] = set()
        self._is_at_rest = False
        self._grains = {grain.name for grain in model.rules.grains}
        self._partly = 0
        self._listed: tuple[str, set[WindowKey]] = ("", set())

    def see(self, record: Published) -> None:
        """Take one record. The last value of a key is its row; a null value removes the row."""
        if self._at_least_once and not record.key:
            return  # the worker's checkpoint, see `kafka.committed`
        if record.value is None:
            self._latest.pop(record.key or b"", None)
        else:
            self._latest[record.key or b""] = record.value

    def lists(self, key: WindowKey) -> bool:
        """Tell whether the account's row lists a window.

        Fast if the calls are grouped by account.
        """
        if self._listed[0] != key[0]:
            row = json_object(self._latest.get(key[0].encode(), b""))
            self._listed = (key[0], {window[0] for window in windows_of(key[0], row)})
        return key in self._listed[1]

    @property
    def missing(self) -> set[bytes]:
        """Accounts that should have a row, but have no row."""
        due = {
            account_id.encode()
            for account_id, account in self._model.accounts.items()
            if not self._model.may_have_no_row(account)
        }
        return due - self._latest.keys()

    def excuse(self, written_again: Iterable[bytes]) -> None:
        """Excuse missing rows: they were written again later, and compaction removed the old."""
        self._superseded = set(written_again)

    def finish(self, *, is_at_rest: bool = False) -> None:
        """Compare all rows. `is_at_rest`: rows of ended accounts must be gone."""
        self._is_at_rest = is_at_rest
        missing = self.missing
        for key in missing - self._superseded:
            self._findings.mismatch(f"{self._at} row {key.decode()}: missing")
        kept = Counter(key[0] for key in self._model.windows if not self._model.is_past_keep(key))
        for key, row in self._latest.items():
            self._compare(key, json_object(row), kept)
        self._findings.compared["rows"] += len(self._latest)
        self._leave(len(missing & self._superseded))

    def _leave(self, superseded: int) -> None:
        if superseded:
            self._findings.leave(
                f"{self._at}: {superseded} rows that were rewritten and compacted during the audit"
            )
        if self._partly:
            self._findings.leave(
                f"{self._at}: what {self._partly} rows counted before the log began. "
                "Only their sums were checked, and that they contain the records in the log"
            )

    def _compare(self, key: bytes, row: dict[str, object], kept: Counter[str]) -> None:
        account_id = key.decode(errors="replace")
        account = self._model.accounts.get(account_id)
        windows = row.pop("windows", None)
        if not self._horizon.is_whole:
            self._partly += 1
            due = last_part(account_id, account, row, self._horizon.exact_from)
        elif account is None:
            self._findings.mismatch(f"{self._at} row {key!r}: no such account in the input")
            return
        else:
            due = due_totals(account_id, account)
        for name in due.keys() | (row.keys() if self._horizon.is_whole else set()):
            found, expected = (side.get(name, "no such field") for side in (row, due))
            self._findings.expect(found, expected, "%s row %s %s", self._at, account_id, name)
        for line in () if self._horizon.is_whole else contradictions(row, account):
            self._findings.mismatch(f"{self._at} row {account_id}: {line}")
        self._compare_windows(account_id, windows, kept[account_id])
        if account is not None and self._is_overdue(account, windows):
            line = "should be gone: the account was forgotten, or has expired"
            self._findings.mismatch(f"{self._at} row {account_id}: {line}")

    def _is_overdue(self, account: Account, windows: object) -> bool:
        """Tell whether a row has ended and nothing can keep it any more.

        If the log is cut, the missing part may contain a later event of the account.
        """
        if not self._is_at_rest or self._horizon.exact_from is None:
            return False
        slack_ms = self._model.rules.expire_after_ms // EXPIRY_PARTS
        listed = [key for key, _ in windows_of("", {"windows": windows}) if key[1] in self._grains]
        is_known = self._horizon.judges(account.last_event_ms)
        has_expired = is_known and self._model.has_expired(account, for_ms=slack_ms)
        is_ended = account.is_empty or has_expired
        return is_ended and all(self._model.is_past_keep(key) for key in listed)

    def _compare_windows(self, account_id: str, windows: object, kept: int) -> None:
        """Compare the windows in a row.

        No event can have changed them since the row was written.
        """
        if not isinstance(windows, dict):
            self._findings.mismatch(f"{self._at} row {account_id}: no windows field")
            return
        seen: set[WindowKey] = set()
        for key, window in windows_of(account_id, {"windows": windows}):
            if key in seen:
                self._findings.mismatch(f"{self._at} row {account_id}: {key[1:]} twice")
            seen.add(key)
            if self._horizon.judges(key[2]):
                self._compare_window(key, window)
        here = {
            key for key in seen & self._model.windows.keys() if not self._model.is_past_keep(key)
        }
        if len(here) < kept:
            for key in self._kept_by_account.get(account_id, set()) - here:
                self._findings.mismatch(
                    f"{self._at} row {account_id}: kept window {key[1:]} missing"
                )

    @cached_property
    def _kept_by_account(self) -> dict[str, set[WindowKey]]:
        """Kept windows that are known, by account. Computed only if a row lacks one."""
        by_account: dict[str, set[WindowKey]] = {}
        for key in self._model.windows:
            if self._horizon.judges(key[2]) and not self._model.is_past_keep(key):
                by_account.setdefault(key[0], set()).add(key)
        return by_account

    def _compare_window(self, key: WindowKey, window: tuple[object, ...]) -> None:
        contents = self._model.windows.get(key)
        if contents is None:
            self._findings.mismatch(f"{self._at} row {key[0]}: window {key[1:]} had no events")
            return
        due = (*contents[-1], len(contents) - 1)
        self._findings.expect(window, due, "%s row %s window %s %s", self._at, *key)
        self._findings.compared["windows in rows"] += 1
