"""The work of an event does not depend on how much waits: counted, so the machine cannot matter.

A backfill is the input that shows it: event time runs faster than the clock, and a row holds
hundreds of windows between two seals. Seen: 0.7 to 1.2 times; planted: 1.8 and 6.4 times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
BOUND: Final = 1.4


def grown(*arguments: str) -> dict[str, float]:
    """Return the cases in which an event is too much more work when more waits, with the factor."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("COV_")}
    command = [sys.executable, "-m", "verify.work", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, check=True)
    found = {case: large / small for case, (small, large) in json.loads(done.stdout).items()}
    return {case: factor for case, factor in found.items() if factor > BOUND}


def test_an_event_of_a_backfill_is_as_much_work_however_much_waits() -> None:
    assert not grown()


@pytest.mark.parametrize(
    ("plant", "case"),
    [
        ("grow", "few accounts, in order: lines, records between two seals"),
        ("slice", "many accounts, in order: bytes of rows, seals"),
    ],
)
def test_a_planted_quadratic_is_found(plant: str, case: str) -> None:
    assert grown("--plant", plant)[case] > 1.2 * BOUND
