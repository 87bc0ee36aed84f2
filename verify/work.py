"""How much the engine does for an event of a backfill: lines of its code, and bytes of rows sealed.

    python -m verify.work [--plant grow|slice]

Counted, not timed, so that a busy machine changes nothing. Each input is counted twice: with few
records between two seals and with many, or with few seals and with many. The work of an event must
not depend on either. Prints {case: [work at the first, work at the second]}. `--plant` puts back
what made it quadratic once: followers before *every* window of a row, once per published window;
or a number of windows a seal that does not follow what comes in.
"""

# ruff: noqa: T201 - a command line

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

import service.counting
from bench.common import backfill
from service.contract.input_record import LogRecord
from service.contract.results import Source, Window
from service.counting import Engine, Rules, leaders
from service.counting import engine as engine_module
from service.counting.rows import GAINED, LOST, Row

COUNTED: Final = (str(Path(service.counting.__file__).parent), __file__)
"""The engine's own files, and this one: what is planted is work too."""
SLICE: Final = 100
"""Number of windows in a slice. It is small, because the inputs are."""
ACCOUNTS: Final = {"few accounts": 4, "many accounts": 400}
DAYS: Final = {"few accounts": 8 * 365, "many accounts": 365}
"""Days that the 8,000 events of a case span."""


class Work:
    """Counts the lines of the engine that run while it traces."""

    def __init__(self) -> None:
        self.lines = 0

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        """Follow a call if it is one of the engine, and count a line."""
        if event == "line":
            self.lines += 1
            return self
        return self if frame.f_code.co_filename.startswith(COUNTED) else None


def work(log: Sequence[LogRecord], per_seal: int, kind: type[Engine]) -> tuple[float, float]:
    """Return lines per event, bytes of rows per event."""
    engine, count, row_bytes = kind(Rules(), Source("in", 0)), Work(), 0
    for first in range(0, len(log), per_seal):
        some = log[first : first + per_seal]
        sys.settrace(count)
        engine.apply(some, some[-1].offset + 1)
        sealed = engine.seal()
        sys.settrace(None)
        row_bytes += sum(len(value or b"") for _, value in sealed.updates)
    return count.lines / len(log), row_bytes / len(log)


def log_of(kind: str, events: int, *, is_shuffled: bool) -> list[LogRecord]:
    """A backfill with as many events a year, however many there are."""
    days = round(DAYS[kind] * events / 8_000)
    made = backfill.Backfill(
        kind, ACCOUNTS[kind], days, events - ACCOUNTS[kind],
        is_shuffled=is_shuffled, has_baselines=True,
    )  # fmt: skip
    return list(backfill.records(made))


def measured(engine: type[Engine]) -> dict[str, tuple[float, float]]:
    """Return the work of each case, in a small and in a large input."""
    found = {}
    for kind in ACCOUNTS:
        for is_shuffled in (False, True):
            name = f"{kind}, {'shuffled' if is_shuffled else 'in order'}"
            whole = log_of(kind, 4_000, is_shuffled=is_shuffled)
            seldom, often = work(whole, 2_000, engine), work(whole, 250, engine)
            fewer = work(whole[:1_000], 250, engine)
            found[f"{name}: lines, records between two seals"] = (often[0], seldom[0])
            found[f"{name}: lines, seals"] = (fewer[0], often[0])
            found[f"{name}: bytes of rows, seals"] = (fewer[1], often[1])
    return found


class CarelessGrowth(leaders.Leaders):
    """Walks the whole row for each published window."""

    def grow(self, key: bytes, row: Row) -> None:
        """Look at every window."""
        before = row.followers
        if before is None or not self.is_kept:
            return
        for window in reversed(row.windows[self.index]):
            net = window[GAINED] - window[LOST]
            before -= net
            for board in (self.current, self.final, self._closing):
                if window[0] == board.start_ms:
                    board.grow(key, net, before)


class CarelessPublishing(Engine):
    """Asks for growth once per published window."""

    def _window_result(self, key: bytes, index: int, window: Window) -> bytes:
        row = self.row(key)
        assert row is not None
        CarelessGrowth.grow(self.leaders[index], key, row)  # type: ignore[arg-type]
        return super()._window_result(key, index, window)


class CarelessSlice(Engine):
    """Publishes one slice a seal, however much has come in."""

    def _sweep_slice(self) -> list[tuple[bytes, bytes]]:
        whole, self._sealed_position = self._sealed_position, self._position
        published = super()._sweep_slice()
        self._sealed_position = whole
        return published


PLANTS: Final[dict[str, type[Engine]]] = {"grow": CarelessPublishing, "slice": CarelessSlice}


def main(arguments: Sequence[str]) -> int:
    """Count and print."""
    parser = argparse.ArgumentParser("verify.work", description=__doc__)
    parser.add_argument("--plant", choices=PLANTS, help="make it quadratic")
    asked = parser.parse_args(arguments)
    engine_module.SLICE_WINDOWS = engine_module.OPENED_PER_SLICE = SLICE  # type: ignore[misc]
    print(json.dumps(measured(PLANTS.get(asked.plant, Engine))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
