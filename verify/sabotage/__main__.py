"""python -m verify.sabotage: plant every bug, see each caught, print the kill list.

The engine's bugs are judged over random lives of an engine (engine_bugs.py), those of `netfollowers
rebuild` over lives of overwritten commits (rebuild_bugs.py), the shell's in the simulated world
(verify/simulation). 1 when one survives.
"""

# ruff: noqa: T201 - a command line

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from verify.sabotage import engine_bugs as engine
from verify.sabotage import rebuild_bugs as rebuild
from verify.simulation import planted_bugs as shell

ENGINE: Final = "engine"
REPLAY: Final = "engine, at least once"
SHELL: Final = "shell"
REBUILD: Final = "rebuild"


class Verdict(NamedTuple):
    """The result for a planted bug. `evidence` is None if nothing has shown it."""

    place: str
    name: str
    evidence: str | None
    seconds: float


def planted() -> list[tuple[str, int]]:
    """Every bug as (list, index): what crosses a process boundary."""
    lists = (
        (ENGINE, engine.BUGS),
        (REPLAY, engine.AT_LEAST_ONCE),
        (REBUILD, rebuild.BUGS),
        (SHELL, shell.BUGS),
    )
    return [(place, index) for place, bugs in lists for index in range(len(bugs))]


def judge(bug: tuple[str, int]) -> Verdict:
    """Plant one bug and look for it."""
    place, index = bug
    began = time.monotonic()
    if place == REBUILD:
        found = rebuild.caught_by(rebuild.BUGS[index])
        evidence = None if found is None else f"seed {found[0]}: {found[1]}"
        return Verdict(place, rebuild.BUGS[index].name, evidence, time.monotonic() - began)
    if place == SHELL:
        found = shell.caught_by(shell.BUGS[index])
        evidence = None if found is None else f"seed {found[0]}: {found[1]}"
        return Verdict(place, shell.BUGS[index].name, evidence, time.monotonic() - began)
    one = (engine.BUGS if place == ENGINE else engine.AT_LEAST_ONCE)[index]
    with tempfile.TemporaryDirectory() as home:
        sys.path.insert(0, home)
        try:
            module = engine.sabotaged(Path(home), one)
            is_caught = engine.is_caught(module, at_least_once=place == REPLAY)
        finally:
            sys.path.remove(home)
    evidence = "random lives differ from the model" if is_caught else None
    return Verdict(place, one.name, evidence, time.monotonic() - began)


def main(arguments: Sequence[str]) -> int:
    """Plant them all on some processes."""
    parser = argparse.ArgumentParser("verify.sabotage", description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args(arguments)
    verdicts = []
    with multiprocessing.Pool(asked.processes, maxtasksperchild=8) as pool:
        for one in pool.imap(judge, planted()):
            verdicts.append(one)
            said = f"caught   {one.evidence[:90]}" if one.evidence else "SURVIVED"
            print(f"{one.place:<22} {one.name:<52} {said}", flush=True)
    caught = sum(one.evidence is not None for one in verdicts)
    print(f"{caught} of {len(verdicts)} planted bugs caught")
    return 0 if caught == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
