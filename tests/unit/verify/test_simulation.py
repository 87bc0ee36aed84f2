"""The world as it should be: every seed exact, every fault real, every run repeatable."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from service.counting import engine
from verify.simulation.checker import verdict
from verify.simulation.faults import Kind
from verify.simulation.planted_bugs import BUGS, Bug, caught_by, sabotaged
from verify.simulation.run import run
from verify.simulation.scenario import Scenario
from verify.simulation.shrink import shrink
from verify.simulation.world import Outcome

CHUNK = 50
ROOT = Path(__file__).parents[3]


def visible(outcome: Outcome) -> list[object]:
    """Everything that can be read in the end, and everything that happened."""
    records = {tp: log.visible() for tp, log in outcome.broker.logs.items()}
    return [records, outcome.committed, outcome.deaths, outcome.ledger.lines, outcome.seconds]


def test_a_run_leaves_production_as_it_was() -> None:
    before = engine.SLICE_WINDOWS
    run(Scenario.of(0))
    assert before == engine.SLICE_WINDOWS == 20_000


@pytest.mark.parametrize("chunk", range(4))
def test_no_number_is_ever_wrong(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        outcome = run(Scenario.of(seed))
        assert not verdict(outcome), f"make simulate SEEDS=1 START={seed}"


def test_every_kind_of_fault_strikes_a_shard_that_counts() -> None:
    effective: Counter[Kind] = Counter()
    for seed in range(100):
        outcome = run(Scenario.of(seed))
        verdict(outcome)  # counts those of the log
        effective += outcome.ledger.effective
    assert [kind.value for kind in Kind if effective[kind] < 5] == []


def test_without_faults_no_life_ends_before_it_is_stopped() -> None:
    for seed in range(20):
        outcome = run(Scenario.of(seed).without_faults())
        assert not verdict(outcome)
        assert not outcome.deaths


def test_a_seed_is_always_the_same_run() -> None:
    first, second = (visible(run(Scenario.of(5))) for _ in range(2))
    assert first == second
    assert visible(run(Scenario.of(6))) != first


def test_a_run_does_not_depend_on_how_strings_are_hashed() -> None:
    code = "from tests.unit.verify.test_simulation import *; import hashlib; "
    code += "print(hashlib.sha256(repr(visible(run(Scenario.of(5)))).encode()).hexdigest())"
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_of_the_shell_is_caught(bug: Bug) -> None:
    assert caught_by(bug)


def test_a_copy_without_a_bug_is_not_caught() -> None:
    with sabotaged(None) as house:
        for seed in range(30):
            assert not verdict(run(Scenario.of(seed), house))


def test_a_failing_seed_shrinks_to_few_faults_and_records() -> None:
    bug = next(one for one in BUGS if one.name == "offsets outside the transaction")
    with sabotaged(bug) as house:

        def fails(scenario: Scenario) -> bool:
            return bool(verdict(run(scenario, house)))

        failing = [one for one in map(Scenario.of, range(12)) if fails(one)]
        first = min(failing, key=lambda one: sum(map(len, one.logs)))
        small = shrink(first, fails, tries=100)
        assert fails(small)
        assert len(small.faults) <= 3 < len(first.faults)
        assert sum(map(len, small.logs)) < sum(map(len, first.logs)) * 0.75
        assert fails(Scenario.load(small.dump()))
    assert not verdict(run(small)), "the service itself survives it"


def test_a_scenario_survives_its_file() -> None:
    scenario = Scenario.of(11)
    assert Scenario.load(scenario.dump()) == scenario
