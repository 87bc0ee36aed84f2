"""A dump as `netfollowers audit --dump` writes it, made by the engine without any broker."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from service.audit.model.input_record import LogRecord as JudgesRecord
from service.audit.sources.files import line_of, write_snapshot
from service.audit.sources.source import KINDS
from service.contract.input_record import Headers, LogRecord
from service.contract.results import Source
from service.counting import Engine, Rules, Sealed
from service.synthetic.events import Made, Shape, Synthetic

TOPIC = "follow-events"
START_MS = 1_700_000_000_000
TOPICS = {kind: TOPIC if kind == "input" else kind for kind in KINDS}


class Dump:
    """One partition in a directory; `log` is made by the engine, a seal per `flush` records."""

    def __init__(self, directory: Path, rules: Rules | None = None, *, flush: int = 1_000) -> None:
        self.directory = directory
        self.flush = flush
        self._rules = rules or Rules()
        self._ends = dict.fromkeys(KINDS, 0)
        self._rows: dict[bytes, bytes] = {}

    def write(self, log: Iterable[LogRecord]) -> None:
        """Count the log and write everything."""
        self.directory.mkdir(parents=True)
        engine = Engine(self._rules, Source(TOPIC, 0))
        with ExitStack() as stack:
            self._out = {
                kind: stack.enter_context(gzip.open(self._path(kind), "wb", 1)) for kind in KINDS
            }
            batch: list[LogRecord] = []
            for one in log:
                self._line("input", one.timestamp, one.key, one.value, one.headers)
                batch.append(one)
                if len(batch) == self.flush:
                    self._count(engine, batch)
                    batch = []
            self._count(engine, batch)
            for key, row in self._rows.items():
                self._line("updates", -1, key, row, [])
        sealed = engine.seal().checkpoint
        self.commit(sealed.position, sealed.to_metadata())

    def commit(self, position: int, metadata: str, **starts: int) -> None:
        """Write what was committed, and where each topic begins."""
        extents = {kind: (starts.get(kind, 0), end) for kind, end in self._ends.items()}
        one = {
            "committed": {"position": position, "metadata": metadata},
            "extents": extents,
            "is_stamped": True,
        }
        write_snapshot(self.directory, TOPICS, [one], at_least_once=False)

    def cut(self, **starts: int) -> None:
        """Let topics begin later, as retention does."""
        said = json.loads((self.directory / "snapshot.json").read_text())
        committed = said["partitions"][0]["committed"]
        self.commit(committed["position"], committed["metadata"], **starts)

    def change(self, kind: str, number: int, *, delete: bool = False, **fields: object) -> None:
        """Change fields in the JSON value of one record, or delete it; -1 is the last."""
        lines = gzip.decompress(self._path(kind).read_bytes()).splitlines()
        record = json.loads(lines[number])
        if fields:
            record["value"] = json.dumps({**json.loads(record["value"]), **fields})
        lines[number] = b"" if delete else json.dumps(record).encode()
        self._path(kind).write_bytes(gzip.compress(b"\n".join(line for line in lines if line)))

    def values(self, kind: str) -> list[str]:
        """Values of a topic's records, in order."""
        lines = gzip.decompress(self._path(kind).read_bytes()).splitlines()
        return [json.loads(line)["value"] for line in lines]

    def _count(self, engine: Engine, batch: list[LogRecord]) -> None:
        if batch:
            engine.apply(batch, batch[-1].offset + 1)
        stamp = batch[-1].timestamp if batch else -1
        while engine.has_unsealed:
            self._publish(engine.seal(), stamp)

    def _publish(self, sealed: Sealed, stamp: int) -> None:
        for key, row in sealed.updates:
            if row is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = row
        for key, value in sealed.windows:
            self._line("windows", stamp, key, value, [])
        for kind, records in (("late", sealed.late), ("rejected", sealed.rejected)):
            for record in records:
                self._line(kind, stamp, record.key, record.value, record.headers)

    def _line(
        self,
        kind: str,
        stamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
    ) -> None:
        record = JudgesRecord(self._ends[kind], stamp, key, value, headers)
        self._ends[kind] += 1
        self._out[kind].write(line_of(record))

    def _path(self, kind: str) -> Path:
        return self.directory / f"{kind}-0.jsonl.gz"


def synthetic(events: int, *, rate: float = 100.0, accounts: int = 300) -> Iterable[LogRecord]:
    """Events of every outcome, `rate` per second of event time and of log time."""
    shape = Shape(seed=3, accounts=accounts, duplicates=0.02, late=0.01, bad=0.01)
    made: Iterable[Made] = Synthetic(shape).span(START_MS, rate=rate, count=events)
    for offset, one in enumerate(made):
        stamp = START_MS + int(offset * 1_000 / rate)
        yield LogRecord(offset, stamp, one.key, one.value, one.headers)
