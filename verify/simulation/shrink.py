"""From a failing scenario to a small one: fewest faults first, then the shortest logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from verify.simulation.scenario import Scenario


def shrink(scenario: Scenario, fails: Callable[[Scenario], bool], *, tries: int = 500) -> Scenario:
    """Return the smallest scenario that still fails, found within this number of tries."""
    left = tries

    def smaller(parts: Sequence[Any], build: Callable[[Sequence[Any]], Scenario]) -> Sequence[Any]:
        """Drop ever smaller chunks (delta debugging) while it still fails."""
        nonlocal left
        size = max(1, len(parts) // 2)
        while parts and left > 0:
            for first in range(0, len(parts), size):
                rest = [*parts[:first], *parts[first + size :]]
                left -= 1
                if fails(build(rest)):
                    parts = rest
                    break
            else:
                if size == 1:
                    break
                size = max(1, size // 2)
        return parts

    faults = smaller(scenario.faults, lambda rest: replace(scenario, faults=tuple(rest)))
    scenario = replace(scenario, faults=tuple(faults))
    for partition in range(len(scenario.logs)):
        build = partial(_with_log, scenario, partition)
        scenario = build(smaller(scenario.logs[partition], build))
    return scenario


def _with_log(scenario: Scenario, partition: int, log: Sequence[Any]) -> Scenario:
    logs = list(scenario.logs)
    logs[partition] = tuple(log)
    return replace(scenario, logs=tuple(logs))
