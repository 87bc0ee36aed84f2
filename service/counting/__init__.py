"""The counting engine: raw records in, counts and sealed checkpoints out.

Pure and synchronous. Nothing in this package may know a broker, a clock, a log, a metric or the
environment; time arrives in the records. `tests/engine/test_purity.py` and `ruff.toml` hold the
rule.

    rules.py        grains and the other settings that change results
    rows.py         one account's totals and windows, packed and awake
    duplicates.py   the event ids seen, in two generations cut at fixed offsets
    sweep.py        which windows have been published as final, and which come next
    checkpoint.py   what a restart needs beside the rows, and what a seal hands out
    engine.py       the hot loop and the verbs: restore, load, remember, apply, seal
"""

from service.counting.checkpoint import Checkpoint, Counts, Publisher, Sealed
from service.counting.engine import Engine
from service.counting.rules import Grain, Rules

__all__ = ["Checkpoint", "Counts", "Engine", "Grain", "Publisher", "Rules", "Sealed"]
