"""The counting engine: takes raw records, gives counts and sealed checkpoints.

Pure and synchronous. Nothing in this package may know a broker, a clock, a log, a metric or the
environment. Time arrives in the records. `tests/unit/counting/test_purity.py` and `ruff.toml`
enforce the rule.

    rules.py        grains and the other settings that change results
    rows.py         one account's totals and windows, packed or awake
    seen_ids.py     the event ids seen, in two generations of fixed offsets
    sweep.py        which windows have been published as final, and which come next
    row_expiry.py   when rows end
    leaders.py      the accounts that gain and lose most
    checkpoint.py   what a restart needs besides the rows, and what a seal returns
    engine.py       the hot loop and the verbs: restore, load, remember, apply, seal
"""

from service.counting.checkpoint import Checkpoint, Counts, Publisher, Sealed
from service.counting.engine import Engine
from service.counting.rules import Grain, Rules

__all__ = ["Checkpoint", "Counts", "Engine", "Grain", "Publisher", "Rules", "Sealed"]
