"""`make test-repeat` reports each run as it was. A stop loses no run, and no red run is lost."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from verify import repeat
from verify.repeat import Run, counts, is_good, main, table

GREEN = "===== 3 passed, 1 skipped in 0.10s ====="
RED = "===== 1 failed, 2 passed in 0.10s ====="


def saying(text: str, code: int = 0) -> tuple[str, ...]:
    """A command that prints a closing line and ends."""
    return (sys.executable, "-c", f"import sys; print({text!r}); sys.exit({code})")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of a commit without changes."""
    monkeypatch.setattr(repeat, "commit", lambda _: "abc1234")
    return tmp_path / "build" / "test-repeat.json"


def runs_of(log: Path) -> list[Run]:
    found: list[Run] = json.loads(log.read_text())
    return found


def test_every_second_run_has_a_busy_core_beside_it(log: Path) -> None:
    assert main(["--runs", "4"], log=log, command=saying(GREEN)) == 0
    assert [(run["run"], run["busy"]) for run in runs_of(log)] == [
        (1, False),
        (2, True),
        (3, False),
        (4, True),
    ]


def test_a_run_says_commit_exit_code_and_counts(log: Path) -> None:
    main(["--runs", "1"], log=log, command=saying(GREEN))
    (run,) = runs_of(log)
    assert (run["commit"], run["exit"]) == ("abc1234", 0)
    assert run["counts"] == {"passed": 3, "skipped": 1}
    assert GREEN in log.with_name("test-repeat-1.txt").read_text()


def test_it_goes_on_after_the_runs_of_the_same_commit(log: Path) -> None:
    main(["--runs", "2"], log=log, command=saying(GREEN))
    assert main(["--runs", "3"], log=log, command=saying(GREEN)) == 0
    assert [run["run"] for run in runs_of(log)] == [1, 2, 3]


def test_it_begins_anew_at_another_commit_and_with_changes_and_keeps_what_was(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for what in ("abc1234", "def5678", "def5678+", "def5678+"):
        monkeypatch.setattr(repeat, "commit", lambda _, what=what: what)
        main(["--runs", "1"], log=log, command=saying(GREEN))
    assert [run["commit"] for run in runs_of(log)] == ["abc1234", "def5678", "def5678+", "def5678+"]


def test_a_red_run_stays_red_when_it_goes_on(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", "1"], log=log, command=saying(RED, 1)) == 1
    assert main(["--runs", "2"], log=log, command=saying(GREEN)) == 1
    assert "NOT GREEN: 1 failed, 2 passed, exit code 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("closing", "code"),
    [
        (RED, 0),
        (GREEN, 2),
        ("===== 3 passed, 1 error in 0.10s =====", 0),
        ("===== 3 passed, 1 rerun in 0.10s =====", 0),
        ("===== no tests ran in 0.10s =====", 0),
        ("", 0),
    ],
)
def test_what_is_not_green(closing: str, code: int) -> None:
    assert not is_good({"exit": code, "counts": counts(closing)})


def test_the_last_closing_line_counts() -> None:
    assert counts(f"{RED}\nmore\n{GREEN}\nmake: done\n") == {"passed": 3, "skipped": 1}


def test_the_table_has_a_line_for_each_run(log: Path) -> None:
    main(["--runs", "2"], log=log, command=saying(GREEN))
    _, alone, beside = table(runs_of(log)).splitlines()
    assert "nothing" in alone
    assert "a busy core" in beside
