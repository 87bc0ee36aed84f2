"""`python -m verify.mutation` changes service/counting in every small way: a test must fail.

cosmic-ray mutates files in place, so each process works on a copy of the checkout. The sentences
run first; what survives them meets the properties. Mutations of `|` are left out: the engine has it
only in annotations.
"""

# ruff: noqa: T201 - a command line

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
HOME: Final = ROOT / "build" / "mutation"
SKIPPED: Final = ("ReplaceBinaryOperator_BitOr",)
SENTENCES: Final = (
    *("forget", "totals", "windows", "sweep", "restore", "time", "duplicates", "records", "rules"),
    *("tallies", "rejections", "schemas", "leaders"),
)
PROPERTIES: Final = ("properties", "decoding", "cloudevents")
TIMEOUT_S: Final = 240.0
"""A round takes 10 to 40 s, the machine's load with it. What ends here ran for ever."""
PYTEST: Final = "-m pytest -x -q -p no:cacheprovider -p no:xdist"


class Survivor(NamedTuple):
    """A mutation that no test noticed."""

    file: str
    line: int
    operator: str
    diff: str


def command(names: Sequence[str]) -> str:
    """The test command of these files of tests/unit/counting."""
    files = " ".join(f"tests/unit/counting/test_{name}.py" for name in names)
    return f"{sys.executable} {PYTEST} {files}"


def copy(number: int) -> Path:
    """A copy of the checkout for one process."""
    home = HOME / f"copy-{number}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for name in ("service", "tests", "verify", "scripts", "docs"):
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", home)
    return home


def cosmic_ray(home: Path, *arguments: str) -> None:
    """Run the tool in a copy."""
    tool = Path(sys.executable).parent / "cosmic-ray"
    environment = {**os.environ, "PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([str(tool), *arguments], cwd=home, env=environment, check=True)


def configure(home: Path, names: Sequence[str]) -> None:
    """Write the tool's configuration."""
    (home / "mutation.toml").write_text(
        "[cosmic-ray]\n"
        'module-path = "service/counting"\n'
        f"timeout = {TIMEOUT_S}\n"
        "excluded-modules = []\n"
        f'test-command = "{command(names)}"\n'
        '[cosmic-ray.distributor]\nname = "local"\n'
    )


def run(number: int, processes: int, most: int) -> list[Survivor]:
    """Test one process's share of the mutants, in two rounds. Return the survivors of both."""
    home = copy(number)
    session = home / "session.sqlite"
    configure(home, SENTENCES)
    cosmic_ray(home, "init", "mutation.toml", session.name)
    keep_share(session, number, processes, most)
    cosmic_ray(home, "exec", "mutation.toml", session.name)
    with closing(sqlite3.connect(session)) as data, data:
        data.execute("delete from work_results where test_outcome = 'SURVIVED'")
    configure(home, PROPERTIES)
    cosmic_ray(home, "exec", "mutation.toml", session.name)
    return survivors(session)


def keep_share(session: Path, number: int, processes: int, most: int) -> None:
    """Leave this process's part of the mutations in its session."""
    with closing(sqlite3.connect(session)) as data, data:
        jobs = data.execute(
            "select job_id, operator_name from mutation_specs"
            " order by module_path, start_pos_row, start_pos_col, operator_name, occurrence"
        ).fetchall()
        wanted = [job for job, operator in jobs if not any(one in operator for one in SKIPPED)]
        mine = set(wanted[:: max(1, len(wanted) // most)][number::processes])
        for table in ("mutation_specs", "work_items"):
            gone = [(job,) for job, _ in jobs if job not in mine]
            data.executemany(f"delete from {table} where job_id = ?", gone)  # noqa: S608


def survivors(session: Path) -> list[Survivor]:
    """What survived both rounds."""
    with closing(sqlite3.connect(session)) as data:
        found = data.execute(
            "select module_path, start_pos_row, operator_name, diff from mutation_specs"
            " join work_results using (job_id) where test_outcome = 'SURVIVED'"
        ).fetchall()
    return [Survivor(*row) for row in found]


def timed_out(session: Path) -> int:
    """Mutations whose verdict is that a test ran for ever."""
    with closing(sqlite3.connect(session)) as data:
        asked = "select count(*) from work_results where output = 'timeout'"
        return int(data.execute(asked).fetchone()[0])


def tried(session: Path) -> int:
    """Mutations with a verdict."""
    with closing(sqlite3.connect(session)) as data:
        return int(data.execute("select count(*) from work_results").fetchone()[0])


def main(arguments: Sequence[str]) -> int:
    """Mutate, print the survivors and the score; 1 when it is below the aim."""
    parser = argparse.ArgumentParser("verify.mutation", description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--most", type=int, default=10**9, help="about so many, evenly chosen")
    parser.add_argument("--aim", type=float, default=0.9)
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    with ThreadPoolExecutor(asked.processes) as pool:
        parts = [
            pool.submit(run, number, asked.processes, asked.most)
            for number in range(asked.processes)
        ]
        alive = sorted(survivor for part in parts for survivor in part.result())
    sessions = [home / "session.sqlite" for home in HOME.glob("copy-*")]
    total, forever = sum(map(tried, sessions)), sum(map(timed_out, sessions))
    for one in alive:
        print(f"SURVIVED {one.file}:{one.line} {one.operator}")
        print("\n".join(f"    {line}" for line in one.diff.splitlines() if line[:1] in "+-"))
    score = 1 - len(alive) / total
    print(
        f"{total - len(alive):,} of {total:,} mutations killed: {score:.1%} "
        f"({forever} of them by {TIMEOUT_S:.0f} s) in {time.monotonic() - began:.0f} s"
    )
    return 0 if score >= asked.aim else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
