"""The table against the model: every row, every kept window in it, no row too many."""

from service.audit.findings import Findings
from service.audit.model import Account, Model
from service.audit.published import Place, Published, json_object
from service.audit.words import Final, WindowKey


class RowsCheck:
    """Takes the records of the updates topic's partition in order; judges at the end."""

    def __init__(self, model: Model, place: Place, findings: Findings) -> None:
        """`model` has been fed all records below the committed position."""
        self._model = model
        self._at = f"{place.topic}/{place.partition}"
        self._at_least_once = place.at_least_once
        self._findings = findings
        self._latest: dict[bytes, bytes] = {}

    def see(self, record: Published) -> None:
        """Take one record; the last value of a key is its row, a null value removes it."""
        if self._at_least_once and not record.key:
            return  # the worker's checkpoint, see `check._committed`
        if record.value is None:
            self._latest.pop(record.key or b"", None)
        else:
            self._latest[record.key or b""] = record.value

    def finish(self) -> None:
        """Compare all rows."""
        accounts = {account_id.encode(): account_id for account_id in self._model.accounts}
        kept = self._kept_by_account()
        for key in accounts.keys() - self._latest.keys():
            self._findings.mismatch(f"{self._at} row {accounts[key]}: missing")
        for key, row in self._latest.items():
            account_id = accounts.get(key)
            if account_id is None:
                self._findings.mismatch(f"{self._at} row {key!r}: no such account in the input")
            else:
                self._compare(account_id, json_object(row), kept.get(account_id, {}))
        self._findings.compared["rows"] += len(self._latest)

    def _kept_by_account(self) -> dict[str, dict[WindowKey, Final]]:
        by_account: dict[str, dict[WindowKey, Final]] = {}
        for key, final in self._model.kept().items():
            by_account.setdefault(key[0], {})[key] = final
        return by_account

    def _compare(
        self, account_id: str, row: dict[str, object], kept: dict[WindowKey, Final]
    ) -> None:
        windows = row.pop("windows", None)
        expected = _totals(account_id, self._model.accounts[account_id])
        for name in expected.keys() | row.keys():
            found = row.get(name, "no such field")
            due = expected.get(name, "no such field")
            self._findings.expect(found, due, "%s row %s %s", self._at, account_id, name)
        found_windows = self._windows(account_id, windows)
        for key, window in found_windows.items():
            self._compare_window(key, window)
        for key in kept.keys() - found_windows.keys():
            self._findings.mismatch(f"{self._at} row {account_id}: kept window {key[1:]} missing")

    def _windows(self, account_id: str, windows: object) -> dict[WindowKey, tuple[int, ...]]:
        """Flatten {"grain": [[start_ms, gained, lost, revision]]}; a window twice is a mismatch."""
        flat: dict[WindowKey, tuple[int, ...]] = {}
        if not isinstance(windows, dict):
            self._findings.mismatch(f"{self._at} row {account_id}: no windows field")
            return flat
        for grain, listed in windows.items():
            for start_ms, *contents in listed:
                key = (account_id, grain, start_ms)
                if key in flat:
                    self._findings.mismatch(f"{self._at} row {account_id}: {key[1:]} twice")
                flat[key] = tuple(contents)
        return flat

    def _compare_window(self, key: WindowKey, window: tuple[int, ...]) -> None:
        """Compare a window in a row: nothing can have changed it since the row was written."""
        contents = self._model.windows.get(key)
        if contents is None:
            self._findings.mismatch(f"{self._at} row {key[0]}: window {key[1:]} had no events")
            return
        due = (*contents[-1], len(contents) - 1)
        self._findings.expect(window, due, "%s row %s window %s %s", self._at, *key)
        self._findings.compared["windows in rows"] += 1


def _totals(account_id: str, account: Account) -> dict[str, object]:
    return {
        "account_id": account_id,
        "gained": account.gained,
        "lost": account.lost,
        "net": account.net,
        "followers": account.followers,
        "baseline": account.baseline,
        "net_at_baseline": account.net_at_baseline,
        "last_event_ms": account.last_event_ms,
        "offset": account.offset,
    }
