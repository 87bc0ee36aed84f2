"""The window results against the model: right content, no repetition, nothing missing."""

from service.audit.findings import Findings
from service.audit.model import Model
from service.audit.published import Place, Published, json_object
from service.audit.words import WindowKey


class FinalsCheck:
    """Takes the records of the windows topic's partition in order; judges each, then the whole."""

    def __init__(self, model: Model, place: Place, findings: Findings) -> None:
        """`model` has been fed all records below the committed position."""
        self._model = model
        self._at = f"{place.topic}/{place.partition}"
        self._at_least_once = place.at_least_once
        self._findings = findings
        self._finals = model.finals()
        self._sizes_ms = {grain.name: grain.size_ms for grain in model.rules.grains}
        self._newest: dict[WindowKey, int] = {}

    def see(self, record: Published) -> None:
        """Judge one published result by itself and against those before it."""
        self._findings.compared["window results"] += 1
        result = json_object(record.value or b"")
        account_id, grain, start_ms = (result.get(n) for n in ("account_id", "grain", "start_ms"))
        revision = result.get("revision")
        is_named = isinstance(account_id, str) and isinstance(grain, str)
        if not is_named or not isinstance(start_ms, int) or not isinstance(revision, int):
            self._findings.mismatch(f"{self._at} windows offset {record.offset}: unreadable")
            return
        key = (str(account_id), str(grain), start_ms)
        self._findings.expect(record.key, key[0].encode(), "%s result %s %s %s key", self._at, *key)
        self._compare(key, revision, result)
        self._follow(key, revision)

    def finish(self, *, expect_swept: bool = True) -> None:
        """Every final window's last revision must be there, unless a sweep may be unfinished."""
        self._findings.compared["final windows"] += len(self._newest)
        for key, final in self._finals.items():
            newest = self._newest.get(key)
            if newest is None and expect_swept:
                self._findings.mismatch(f"{self._at} result {key}: never published")
            elif newest is not None and newest < final.revision:
                due = final.revision
                self._findings.expect(newest, due, "%s result %s %s %s newest", self._at, *key)

    def _compare(self, key: WindowKey, revision: int, result: dict[str, object]) -> None:
        where = f"{self._at} result {key} revision {revision}"
        contents = self._model.revision(*key, revision)
        if contents is None or key not in self._finals:
            state = "no such revision" if key in self._finals else "the window is not final"
            self._findings.mismatch(f"{where}: {state}")
            return
        if contents == (0, 0):
            self._findings.mismatch(f"{where}: an empty window is never published")
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

    def _follow(self, key: WindowKey, revision: int) -> None:
        before = self._newest.get(key, -1)
        if revision <= before and not self._at_least_once:
            line = f"{self._at} result {key}: revision {revision} published after {before}"
            self._findings.mismatch(line)
        self._newest[key] = max(revision, before)
