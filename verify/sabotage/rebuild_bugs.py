"""Bugs planted into `netfollowers rebuild`: random lives of overwritten commits must show each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

import pytest

import service.counting.engine as engine_module
from service.commands import rebuild_count, rebuild_sweep, rebuild_traces
from tests.support import rebuild_harness

SEEDS: Final = 60
MODULES: Final = (rebuild_sweep, rebuild_traces, rebuild_count)


class Bug(NamedTuple):
    """A text of the source, and what it is sabotaged to."""

    name: str
    module: ModuleType
    text: str
    sabotage: str


BUGS: Final = (
    Bug("the position is behind the first record that was not counted", rebuild_count,
        "before = Counted(record.offset, engine", "before = Counted(record.offset + 1, engine"),
    Bug("the last record that a result names counts twice", rebuild_traces,
        "max(self.counted_to, offset + 1)", "max(self.counted_to, offset)"),
    Bug("heartbeats are taken for traces", rebuild_count,
        "return counts.duplicate + counts.heartbeat", "return counts.duplicate"),
    Bug("rejected records are no traces", rebuild_traces,
        "        self._note(offset, NEVER_MS)\n", "        pass\n"),
    Bug("windows that wait count as swept", rebuild_sweep,
        "min(min(one.final_at_ms for one in waiting) - 1, newest_final_ms)", "newest_final_ms"),
    Bug("a running sweep begins a bucket too early", rebuild_sweep,
        "max(one.bucket for one in begun) + 1", "max(one.bucket for one in begun)"),
    Bug("nothing was swept", rebuild_sweep,
        "return SweepPosition(newest_final_ms, newest_final_ms, 0)",
        "return SweepPosition(-1, -1, 0)"),
    Bug("what is published is not looked at", rebuild_traces,
        "self._published[place] = True", "pass"),
    Bug("rows that are gone are counted", rebuild_traces,
        "self.rows.pop(key, None)", "pass"),
)  # fmt: skip


@contextmanager
def sabotaged(bug: Bug | None) -> Iterator[None]:
    """Let the lives rebuild with the bug. Two windows fill a slice, so that sweeps are cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "SLICE_WINDOWS", 2)
        copies: dict[str, ModuleType] = {}
        for module in MODULES:
            text = Path(str(module.__file__)).read_text()
            if bug is not None and bug.module is module:
                assert bug.text in text, f"the source has changed: {bug.name}"
                text = text.replace(bug.text, bug.sabotage)
            copy = copies[module.__name__] = ModuleType(module.__name__)
            exec(compile(text, str(module.__file__), "exec"), copy.__dict__)  # noqa: S102 - ours
        sweep, traces, count = copies.values()
        traces.__dict__.update(
            sweep_position=sweep.sweep_position, SweepGapError=sweep.SweepGapError
        )
        patch.setattr(rebuild_harness, "Traces", traces.Traces)
        patch.setattr(rebuild_harness, "Recount", count.Recount)
        yield


def caught_by(bug: Bug | None) -> tuple[int, str] | None:
    """The first seed that shows the bug, and what it shows; None when it survives all."""
    with sabotaged(bug):
        for seed in range(SEEDS):
            try:
                findings = rebuild_harness.overwritten_life(seed)
            except Exception as error:  # noqa: BLE001 - it shows as well
                return seed, repr(error)
            if not findings.ok:
                return seed, findings.mismatches[0]
    return None
