"""Compares the window results with the model: right content, no repetition, nothing missing.

Results may come while the input is still being fed. Each is judged when the model knows enough
(`is_ready`). Windows that are settled are then forgotten, so that memory holds kept windows only.
"""

from typing import Final

from service.audit.checks.rows import RowsCheck
from service.audit.findings import Findings
from service.audit.horizon import NEVER_MS, Horizon
from service.audit.model.counting import Model
from service.audit.model.types import WindowKey
from service.audit.published import Place, Published
from service.audit.result_names import named_result

SPARE_WINDOWS: Final = 20_000
"""Look for settled windows again when there are twice as many windows as last time, plus this."""


class FinalsCheck:
    """Takes the window results of one partition in order. Judges each, then the whole."""

    def __init__(
        self, model: Model, place: Place, findings: Findings, horizon: Horizon, rows: RowsCheck
    ) -> None:
        """`rows` must have seen all rows if windows are to be forgotten."""
        self._model = model
        self._at = f"{place.topic}/{place.partition}"
        self._at_least_once = place.at_least_once
        self._findings = findings
        self._horizon = horizon
        self._rows = rows
        self._sizes_ms = {grain.name: grain.size_ms for grain in model.rules.grains}
        self._spans_ms = {
            grain.name: grain.size_ms + grain.grace_ms for grain in model.rules.grains
        }
        self._newest: dict[WindowKey, int] = {}
        self._excused: dict[WindowKey, int] = {}
        self._gone_until_ms = -1
        self._forgotten = self._unknown = self._look_at = 0

    def is_ready(self, record: Published) -> bool:
        """Tell whether the model knows this revision, or can never know it."""
        key, revision, _ = named_result(record)
        if key is None or (self._horizon.exact_from is not None and not self._judges(key)):
            return True
        return self._model.revision(*key, revision) is not None and self._is_final(key)

    def see(self, record: Published) -> None:
        """Judge one published result by itself, and against the results before it."""
        self._findings.compared["window results"] += 1
        key, revision, result = named_result(record)
        if key is None:
            self._findings.mismatch(f"{self._at} windows offset {record.offset}: unreadable")
            return
        self._findings.expect(record.key, key[0].encode(), "%s result %s %s %s key", self._at, *key)
        if not self._judges(key):
            self._unknown += 1
            return
        self._compare(key, revision, result)
        before = self._newest.get(key, -1)
        if revision <= before and not self._at_least_once:
            line = f"{self._at} result {key}: revision {revision} published after {before}"
            self._findings.mismatch(line)
        self._newest[key] = max(revision, before)

    def begin_at(self, timestamp_ms: int) -> None:
        """Note that results written before this log time are gone. NEVER_MS: all are gone."""
        self._gone_until_ms = timestamp_ms

    def forget_settled(self, log_time_ms: int) -> None:
        """Forget settled windows. `log_time_ms`: the input is fed up to there.

        A window is settled if nothing can change it, its last revision was seen, and no row must be
        compared with it. At least once, nothing is forgotten, because any result may come again.
        """
        if 0 <= self._gone_until_ms < log_time_ms:
            self._excuse_final()
        if self._at_least_once or len(self._model.windows) < self._look_at:
            return
        settled = [key for key in self._model.windows if self._is_settled(key)]
        for key in settled:
            del self._model.windows[key]
            self._newest.pop(key, None)
        self._forgotten += len(settled)
        self._look_at = 2 * len(self._model.windows) + SPARE_WINDOWS

    def finish(self, *, swept_to_ms: int = NEVER_MS) -> None:
        """Check that the last revision of each final window was published.

        Windows that end with their grace after `swept_to_ms` may still be missing.
        """
        if self._gone_until_ms >= 0:
            self._excuse_final()
        self._findings.compared["final windows"] += len(self._newest) + self._forgotten
        unswept = 0
        for key, contents in self._model.windows.items():
            if not self._is_final(key) or not self._judges(key):
                continue
            newest, due = self._newest.get(key), len(contents) - 1
            if self._excused.get(key) == due:
                continue
            if newest is None and key[2] + self._spans_ms[key[1]] > swept_to_ms:
                unswept += 1
            elif newest is None:
                self._findings.mismatch(f"{self._at} result {key}: never published")
            elif newest < due:
                self._findings.expect(newest, due, "%s result %s %s %s newest", self._at, *key)
        self._leave(unswept)

    def _leave(self, unswept: int) -> None:
        if unswept:
            line = f"{unswept} final windows that were not due yet: a sweep was not finished"
            self._findings.leave(f"{self._at}: {line}")
        if self._unknown:
            line = f"{self._unknown} window results that may contain events older than the log"
            self._findings.leave(f"{self._at}: {line}")

    def _judges(self, key: WindowKey) -> bool:
        return self._horizon.judges(key[2])

    def _is_final(self, key: WindowKey) -> bool:
        return key[1] in self._sizes_ms and self._model.is_final(key)

    def _is_settled(self, key: WindowKey) -> bool:
        if not self._model.is_past_keep(key):
            return False
        if not self._judges(key):
            return True
        is_published = self._newest.get(key) == self._model.last_revision(*key)
        return is_published and not self._rows.lists(key)

    def _excuse_final(self) -> None:
        """Expect results from now on.

        Windows that are final by now may have been published before.
        """
        self._gone_until_ms = -1
        for key in self._model.windows:
            if self._model.is_final(key) and key not in self._newest:
                self._excused[key] = self._model.last_revision(*key)

    def _compare(self, key: WindowKey, revision: int, result: dict[str, object]) -> None:
        where = f"{self._at} result {key} revision {revision}"
        contents = self._model.revision(*key, revision)
        if contents is None or not self._is_final(key):
            state = "no such revision" if self._is_final(key) else "the window is not final"
            self._findings.mismatch(f"{where}: {state}")
            return
        gained, lost = contents
        expected = {
            "account_id": key[0],
            "grain": key[1],
            "start_ms": key[2],
            "end_ms": key[2] + self._sizes_ms[key[1]],
            "gained": gained,
            "lost": lost,
            "net": gained - lost,
            "revision": revision,
        }
        self._findings.expect(result, expected, "%s", where)
