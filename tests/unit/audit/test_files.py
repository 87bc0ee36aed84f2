"""The audit of files: the same comparisons, what a cut log leaves, and how much is held."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from service.audit.checks import windows
from service.audit.checks.windows import FinalsCheck
from service.cli import main
from service.counting import Grain, Rules
from service.exit_codes import ExitCode
from tests.unit.audit.dump_builder import START_MS, Dump, synthetic

SHORT = Rules(
    grains=(Grain("10s", 10_000, 2_000, 20_000), Grain("1m", 60_000, 5_000, 120_000)),
    max_ahead_ms=1_000,
    dedup_generation=1_000,
)
EVENTS = 20_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Dump:
    """A log of 200 s, counted; not to be changed."""
    dump = Dump(tmp_path_factory.mktemp("whole") / "dump", SHORT)
    dump.write(synthetic(EVENTS))
    return dump


@pytest.fixture
def dump(tmp_path: Path) -> Dump:
    """A log of 100 s, counted, to be spoilt."""
    dump = Dump(tmp_path / "dump", SHORT)
    dump.write(synthetic(EVENTS // 2))
    return dump


def audit(dump: Dump, *options: str) -> int:
    """Run the command. Return its exit code."""
    return main(["audit", "--files", str(dump.directory), *options])


def test_what_was_counted_agrees(whole: Dump, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(whole, "--at-rest") == ExitCode.OK
    told = capsys.readouterr().out
    assert told.endswith("audit: all agrees\n")
    assert f"{EVENTS:,} input records" in told


@pytest.mark.parametrize(
    ("kind", "number", "change"),
    [
        ("updates", 0, {"gained": 10**6}),
        ("updates", -1, {"delete": True}),
        ("windows", 0, {"gained": 10**6}),
        ("windows", 50, {"start_ms": 0}),
        ("windows", 50, {"grain": "7m"}),
        ("windows", -1, {"revision": 99}),
        ("windows", 100, {"delete": True}),
        ("late", 3, {"event_id": "other"}),
        ("late", 3, {"delete": True}),
        ("rejected", -1, {"delete": True}),
        ("input", 77, {"action": "like"}),
        ("input", -1, {"occurred_at": 5}),
    ],
)
def test_one_changed_or_deleted_line_of_any_file_is_found(
    dump: Dump, kind: str, number: int, change: dict[str, Any]
) -> None:
    dump.change(kind, number, **change)
    assert audit(dump) == ExitCode.WRONG


def test_a_changed_watermark_is_found(dump: Dump) -> None:
    said = json.loads((dump.directory / "snapshot.json").read_text())
    committed = said["partitions"][0]["committed"]
    metadata = json.loads(committed["metadata"])
    metadata["watermark_ms"] += 1
    dump.commit(committed["position"], json.dumps(metadata))
    assert audit(dump) == ExitCode.WRONG


def test_an_unfinished_sweep_is_no_difference_but_is_said(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    said = json.loads((dump.directory / "snapshot.json").read_text())
    committed = said["partitions"][0]["committed"]
    metadata = json.loads(committed["metadata"])
    last = json.loads(dump.values("windows")[-1])
    metadata["sweep"]["closed_to_ms"] = last["end_ms"] + 1_000
    dump.change("windows", -1, delete=True)
    dump.commit(committed["position"], json.dumps(metadata))
    assert audit(dump) == ExitCode.INCOMPLETE
    assert "1 final windows that were not due yet" in capsys.readouterr().out
    assert audit(dump, "--at-rest") == ExitCode.WRONG


# ---- a cut log
#
#   gone |6500 ---- settling ----|8000 ---------- exact ----------> 20000


CUT = 6_500


def test_a_cut_input_says_precisely_what_was_not_checked(
    whole: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.cut(input=CUT)
    try:
        assert audit(whole) == ExitCode.INCOMPLETE
    finally:
        whole.cut()
    told = capsys.readouterr().out
    left = [line for line in told.splitlines() if line.startswith("NOT CHECKED")]
    assert len(left) == 5, told
    assert f"{EVENTS - CUT:,} input records" in told
    assert f"the log begins at offset {CUT}. The five counts are only known" in told
    assert "are known from offset 8105 on" in told
    assert "what 300 rows counted before the log began" in told
    assert "window results that may contain events older than the log" in told
    assert "late: " in told
    assert "rejected: " in told
    assert told.endswith("audit: all that could be checked agrees\n")


def found_after_cut(dump: Dump, capsys: pytest.CaptureFixture[str]) -> str:
    """Cut the input, audit. Return the one difference."""
    dump.cut(input=2_500)
    assert audit(dump) == ExitCode.WRONG
    told = capsys.readouterr().out
    lines = [line for line in told.splitlines() if line.startswith("MISMATCH")]
    assert len(lines) == 1, told
    return lines[0]


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("net", "net is"),
        ("offset", "offset: found"),
        ("account_id", "account_id: found"),
        ("last_event_ms", "but a later event has"),
    ],
)
def test_behind_a_cut_a_row_must_still_hold_together(
    dump: Dump, capsys: pytest.CaptureFixture[str], field: str, told: str
) -> None:
    change: dict[str, Any] = {field: 1}
    dump.change("updates", 0, **change)
    assert told in found_after_cut(dump, capsys)


def test_behind_a_cut_a_row_must_hold_what_was_counted_since(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    dump.change("updates", 0, gained=0, lost=0, net=0)
    assert "less than the log has" in found_after_cut(dump, capsys)


def test_behind_a_cut_whole_windows_are_still_compared(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    values = [json.loads(value) for value in dump.values("windows")]
    number = next(n for n, one in enumerate(values) if one["start_ms"] >= START_MS + 60_000)
    dump.change("windows", number, gained=99)
    assert "'gained': 99" in found_after_cut(dump, capsys)


def test_behind_a_cut_late_and_rejected_records_are_still_compared(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    dump.change("late", -1, delete=True)
    assert "late" in found_after_cut(dump, capsys)


def test_a_cut_beyond_all_ids_leaves_nothing_exact(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    dump.cut(input=9_500)
    assert audit(dump) == ExitCode.INCOMPLETE
    assert "are known at no offset" in capsys.readouterr().out


def test_cut_results_are_said_and_what_is_left_is_compared(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    dump.cut(windows=500, late=20, rejected=30)
    assert audit(dump) == ExitCode.INCOMPLETE
    told = capsys.readouterr().out
    assert "the topic begins at offset 500" in told
    assert "late: 20 records that the topic no longer holds" in told
    assert "rejected: 30 records that the topic no longer holds" in told

    dump.change("windows", -1, gained=99)
    assert audit(dump) == ExitCode.WRONG


@pytest.mark.parametrize("flush", [7, 300, 30_000])
def test_wherever_logs_are_cut_nothing_is_invented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flush: int
) -> None:
    dump = Dump(tmp_path / "dump", SHORT, flush=flush)
    dump.write(synthetic(EVENTS // 2))
    ends = {kind: len(dump.values(kind)) for kind in ("input", "windows", "late", "rejected")}
    random = Random(flush)
    for _ in range(5):
        dump.cut(**{kind: random.choice((0, random.randrange(end))) for kind, end in ends.items()})
        assert audit(dump) != ExitCode.WRONG, capsys.readouterr().out


# ---- memory


def most_windows(
    dump: Dump, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, int]:
    """Audit. Return most windows held at any time, windows that there were."""
    held = [0]
    forget = FinalsCheck.forget_settled

    def spy(check: FinalsCheck, log_time_ms: int) -> None:
        held.append(len(check._model.windows))
        forget(check, log_time_ms)

    monkeypatch.setattr(FinalsCheck, "forget_settled", spy)
    monkeypatch.setattr(windows, "SPARE_WINDOWS", 100)
    assert audit(dump) == ExitCode.OK
    told = capsys.readouterr().out.splitlines()
    final = next(line for line in told if line.endswith("final windows"))
    return max(held), int(final.split()[0].replace(",", ""))


def test_memory_grows_with_kept_windows_and_not_with_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held, there = {}, {}
    for events in (40_000, 120_000):
        dump = Dump(tmp_path / str(events), SHORT)
        dump.write(synthetic(events, accounts=100))
        held[events], there[events] = most_windows(dump, monkeypatch, capsys)
    assert there[120_000] > 2.9 * there[40_000] > 10_000
    assert held[120_000] < 1.2 * held[40_000]
    assert held[120_000] < there[120_000] / 3


# ---- the rest


def test_progress_is_a_line_now_and_then_where_no_person_is_watching(
    whole: Dump, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("service.commands.progress_bar.EVERY_S", 0.0)
    assert audit(whole) == ExitCode.OK
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "partition 0: 10,000 of 20,000 records (50%)",
        "partition 0: 20,000 of 20,000 records (100%)",
    ]


@pytest.mark.parametrize("options", [("--partition", "1"), ("--files", "nowhere")])
def test_what_is_not_there_ends_with_2_and_one_line(
    whole: Dump, capsys: pytest.CaptureFixture[str], options: tuple[str, str]
) -> None:
    assert audit(whole, *options) == ExitCode.USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_a_line_that_is_none_ends_with_2_and_names_the_file(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    (dump.directory / "late-0.jsonl.gz").write_bytes(b"not gzip")
    assert audit(dump) == ExitCode.USAGE
    assert "late-0.jsonl.gz" in capsys.readouterr().err


def test_the_judge_shares_no_code_with_what_it_judges() -> None:
    script = (
        "import pkgutil, sys, importlib, service.audit as judge\n"
        "for one in pkgutil.walk_packages(judge.__path__, 'service.audit.'):\n"
        "    importlib.import_module(one.name)\n"
        "print(sorted(n for n in sys.modules if n.startswith('service')"
        " and not n.startswith('service.audit')))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "['service']"


def test_a_log_made_twice_is_the_same() -> None:
    first, second = (list(islice(synthetic(500), 500)) for _ in range(2))
    assert first == second
