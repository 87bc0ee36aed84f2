"""How long the engine takes for an event, as a multiple of the least that could be done with it.

    python -m verify.speed [--plant twice|square]

*Least*: decode the event, count it in a dict, encode a small row per changed account at each seal.
Both in one process that does nothing else, in turn, CPU time, the fastest round of each: what the
machine does beside it cancels out or is left out. Prints {input: [ratio, us per event]}. `--plant`
makes the engine slower, as a careless change would. `twice`: every record and every row is parsed
once more. `square`: each window that is published walks all windows of its row.
"""

# ruff: noqa: T201 - a command line

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from bench.common import backfill
from service.contract.input_record import LogRecord, RawRecord
from service.contract.results import Source, Window
from service.counting import Engine, Rules, Sealed
from service.synthetic.events import Shape, Synthetic

EVENTS: Final = 60_000
BATCH: Final = 5_000
PER_SEAL: Final = 20_000
START_MS: Final = 1_767_225_600_000
INPUTS: Final[dict[str, Shape | backfill.Backfill]] = {
    "hot": Shape(accounts=200_000, skew=1.1),
    "uniform": Shape(accounts=200_000),
    "backfill": backfill.Backfill("backfill", 6, 7 * 365, EVENTS - 6, has_baselines=True),
}


class Event(msgspec.Struct, gc=False):
    """What the least computation looks at."""

    account_id: str
    action: str
    occurred_at: int


def records_of(shape: Shape | backfill.Backfill) -> list[LogRecord]:
    """Records of one partition: live ones are 20 per ms."""
    if isinstance(shape, backfill.Backfill):
        return list(backfill.records(shape))
    made = Synthetic(shape).span(START_MS, rate=20_000, count=EVENTS)
    return [
        LogRecord(offset, START_MS + offset // 20, one.key, one.value)
        for offset, one in enumerate(made)
    ]


def least(records: Sequence[LogRecord]) -> float:
    """Return the CPU seconds of the least computation."""
    decode, encode = msgspec.json.Decoder(Event).decode, msgspec.json.Encoder().encode
    table: dict[str, list[int]] = {}
    began = time.process_time()
    for first in range(0, EVENTS, PER_SEAL):
        changed = {}
        for record in records[first : first + PER_SEAL]:
            assert record.value is not None
            event = decode(record.value)
            row = table.get(event.account_id)
            if row is None:
                row = table[event.account_id] = [0, 0, 0]
            row[event.action == "unfollow"] += 1
            row[2] = event.occurred_at
            changed[event.account_id] = row
        _ = [(account.encode(), encode(row)) for account, row in changed.items()]
    return time.process_time() - began


def ours(records: Sequence[LogRecord], engine: Engine) -> float:
    """Return the CPU seconds of the engine."""
    began = time.process_time()
    for first in range(0, EVENTS, PER_SEAL):
        for batch in range(first, first + PER_SEAL, BATCH):
            engine.apply(records[batch : batch + BATCH], batch + BATCH)
        engine.seal()
        while engine.has_unsealed:
            engine.seal()
    return time.process_time() - began


class Careless(Engine):
    """An engine that looks at everything twice."""

    def apply(self, records: Sequence[RawRecord], position: int) -> None:
        """Parse each record once more."""
        for record in records:
            json.loads(record.value or b"")
        super().apply(records, position)

    def seal(self) -> Sealed:
        """Parse each row three times more."""
        sealed = super().seal()
        for _, value in 3 * sealed.updates:
            json.loads(value or b"{}")
        return sealed


class Square(Engine):
    """An engine that walks a whole row for each window that it publishes."""

    def _window_result(self, key: bytes, index: int, window: Window) -> bytes:
        row = self.row(key)
        assert row is not None
        for _ in row.windows[index]:
            pass
        return super()._window_result(key, index, window)


KINDS: Final = {"none": Engine, "twice": Careless, "square": Square}


def ratio(records: Sequence[LogRecord], kind: type[Engine], rounds: int) -> tuple[float, float]:
    """Return the engine's time over the least computation's, and its us per event.

    Both are the fastest of several rounds in turn.
    """
    both = []
    for _ in range(rounds):
        gc.collect()
        engine = kind(Rules(), Source("in", 0))
        both.append((ours(records, engine), least(records)))
    fastest = min(one for one, _ in both)
    return fastest / min(other for _, other in both), 1e6 * fastest / EVENTS


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser("verify.speed", description=__doc__)
    parser.add_argument("--plant", choices=KINDS, default="none", help="make the engine slower")
    parser.add_argument("--inputs", nargs="+", choices=INPUTS, default=list(INPUTS))
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args(arguments)
    gc.disable()
    kind = KINDS[asked.plant]
    found = {name: ratio(records_of(INPUTS[name]), kind, asked.rounds) for name in asked.inputs}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
