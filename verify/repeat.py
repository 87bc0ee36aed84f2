"""Runs `make test` again and again, also beside a busy process: is it green each time?

    python -m verify.repeat --runs 6

Odd runs are alone. During even runs another process keeps one core busy. Each run is one entry of
build/test-repeat.json, written when it ends. Its output is build/test-repeat-N.txt. If it is
started again, it continues after the runs of the same commit. If the file was removed, or if there
are changes that are not committed, it begins with the first run. Exit code 0: every run ended with
0 and no test failed.
"""

# ruff: noqa: T201 - a command line

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from service.local.child_process import Child

ROOT: Final = Path(__file__).parents[1]
LOG: Final = ROOT / "build" / "test-repeat.json"
COMMAND: Final = ("make", "test")
_COUNTED: Final = re.compile(r"(\d+) (passed|failed|skipped|errors?|xfailed|xpassed|rerun)")
_CLOSING: Final = re.compile(r"^=+ .*(?:passed|failed|error|no tests ran).* in .*=+$", re.MULTILINE)
_BAD: Final = ("failed", "error", "errors", "rerun")
Run = dict[str, Any]


def commit(root: Path) -> str:
    """Return the commit that is tested. It ends with "+" if there are uncommitted changes.

    It is "" without git.
    """
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


@contextmanager
def busy_cores(number: int) -> Iterator[None]:
    """Keep this number of cores busy. The busy processes end with this one, even by `kill -9`."""
    command = (sys.executable, "-c", "while True: pass")
    busy = [Child(command, Path(os.devnull)) for _ in range(number)]
    try:
        yield
    finally:
        for one in busy:
            one.kill()


def counts(output: str) -> dict[str, int]:
    """Return the number of tests that passed, failed, ..., from the last closing line of pytest."""
    closing = _CLOSING.findall(output)
    return {what: int(number) for number, what in _COUNTED.findall(closing[-1] if closing else "")}


def run_once(command: Sequence[str], output: Path, what: str, *, number: int) -> Run:
    """Run the command and write what it prints to `output`. Return the entry of the log."""
    is_busy = number % 2 == 0
    began = time.time()
    environ = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    with output.open("wb") as sink, busy_cores(int(is_busy)):
        code = subprocess.run(
            command, cwd=ROOT, env=environ, stdout=sink, stderr=sink, check=False
        ).returncode
    return {
        "run": number,
        "commit": what,
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "seconds": round(time.time() - began),
        "busy": is_busy,
        "exit": code,
        "counts": counts(output.read_text(errors="replace")),
    }


def is_good(run: Run) -> bool:
    """Whether every test of it passed or was skipped, and some passed."""
    found = run["counts"]
    return run["exit"] == 0 and found.get("passed", 0) > 0 and not any(map(found.get, _BAD))


def done_before(log: Path, what: str) -> tuple[list[Run], list[Run]]:
    """Return the runs of other commits in the log, and those of this commit.

    Uncommitted changes have no runs.
    """
    runs: list[Run] = json.loads(log.read_text()) if log.exists() else []
    if not what or what.endswith("+"):
        return runs, []
    return [run for run in runs if run["commit"] != what], [
        run for run in runs if run["commit"] == what
    ]


def table(runs: Sequence[Run]) -> str:
    lines = ["run  commit    began                 seconds  beside it    result"]
    for run in runs:
        found = ", ".join(f"{number} {what}" for what, number in run["counts"].items())
        beside = "a busy core" if run["busy"] else "nothing"
        result = f"{'green' if is_good(run) else 'NOT GREEN'}: {found or 'no closing line'}"
        head = f"{run['run']:>3}  {run['commit']:<8}  {run['began']}  {run['seconds']:>7}"
        lines.append(f"{head}  {beside:<11}  {result}, exit code {run['exit']}")
    return "\n".join(lines)


def main(arguments: Sequence[str], *, log: Path = LOG, command: Sequence[str] = COMMAND) -> int:
    """Run it as often as asked for. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m verify.repeat", description=__doc__)
    parser.add_argument("--runs", type=int, default=6)
    most = parser.parse_args(arguments).runs
    log.parent.mkdir(parents=True, exist_ok=True)
    what = commit(ROOT)
    others, runs = done_before(log, what)
    while len(runs) < most:
        number = len(runs) + 1
        output = log.with_name(f"{log.stem}-{number}.txt")
        print(f"run {number} of {most}: {' '.join(command)}, printed to {output.name}", flush=True)
        runs.append(run_once(command, output, what, number=number))
        _write(log, [*others, *runs])
        print(table(runs[-1:]).splitlines()[1], flush=True)
    print(table(runs))
    return 0 if all(map(is_good, runs)) else 1


def _write(log: Path, runs: Sequence[Run]) -> None:
    aside = log.with_suffix(".tmp")
    aside.write_text(json.dumps(runs, indent=1) + "\n")
    aside.replace(log)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
