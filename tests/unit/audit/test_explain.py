"""`explain`: what made a number, and what did not; `certify`: what is in the hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.cli import main
from service.contract.input_record import LogRecord
from service.exit_codes import ExitCode
from tests.unit.audit.dump_builder import Dump
from tests.unit.audit.records import DAY, HOUR, MINUTE, T0, baseline, event, record

LOG = [
    record(baseline(0, 100), 0),
    record(event(1), 1),
    record(event(2, account="carol"), 2),
    record(event(1), 3),  # a duplicate of offset 1
    record(event(3 * MINUTE), 4),
    record(event(3, "unfollow"), 5),
    record(event(5, action="like"), 6),  # rejected
    record(event(4 * HOUR, account="carol"), 7),
    record(event(4, event_id="late"), 8),  # too late for its minute and its hour, not for its day
    record(event(6, account="carol", event_id="late"), 9),  # carol's, of alice's id
    record(event(DAY + HOUR, account="carol"), 10),
]


def dumped(directory: Path, log: list[Any] = LOG) -> Dump:
    """Count a small log, a seal per record."""
    dump = Dump(directory / "dump", flush=1)
    dump.write(LogRecord(*one) for one in log)
    return dump


@pytest.fixture
def dump(tmp_path: Path) -> Dump:
    """The small log, counted."""
    return dumped(tmp_path)


def explained(
    dump: Dump, capsys: pytest.CaptureFixture[str], *options: str, code: ExitCode = ExitCode.OK
) -> tuple[list[str], list[str]]:
    """Explain. Return each line without its times, single-spaced; what was said after them."""
    assert main(["explain", *options, "--files", str(dump.directory)]) == code
    told = capsys.readouterr().out.splitlines()[1:]
    lines = [one for one in told if one[:12].strip().isdecimal()]
    return [" ".join(f"{one[:12]} {one[64:]}".split()) for one in lines], told[len(lines) :]


def test_the_totals_are_explained_by_every_offset_that_made_them_and_every_one_refused(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, said = explained(dump, capsys, "alice")
    assert lines == [
        "0 baseline 0 100 followers here",
        "1 follow +1 1 bob",
        "3 follow 1 bob duplicate of offset 1",
        "4 follow +1 2 bob",
        "5 unfollow -1 1 bob",
        "6 - 1 rejected: unknown_action",
        "8 follow +1 2 bob late for 1m, 1h",
    ]
    assert said == [
        "partition 0, up to offset 11: 5 counted, 2 refused",
        "sum: gained 3, lost 1, net 2, followers 102",
        "published: gained 3, lost 1, followers 102 (the row on updates)",
        "they agree",
    ]


def test_a_window_is_explained_by_what_counted_in_it(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, said = explained(dump, capsys, "alice", "--window", "2020-09-14T00:00:00Z")
    assert [line.split()[0] for line in lines] == ["1", "3", "4", "5", "6", "8"]
    assert lines[-1] == "8 follow 1 bob late for 1m, 1h"
    assert said == [
        "partition 0, up to offset 11: 3 counted, 3 refused",
        "sum: gained 2, lost 1, net 1, revision 0",
        "published: gained 2, lost 1, revision 0 (the final window on windows)",
        "they agree",
    ]


def test_a_late_event_counts_in_the_grain_that_still_keeps_its_window(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, said = explained(dump, capsys, "alice", "--window", str(T0), "--grain", "1d")
    assert lines[-1] == "8 follow +1 2 bob late for 1m, 1h"
    assert said[1] == "sum: gained 3, lost 1, net 2, revision 0"
    assert said[-1] == "they agree"


def test_a_revision_is_explained_with_its_number(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    _, said = explained(dump, capsys, "alice", "--window", str(T0), "--grain", "1m")
    assert said[1:] == [
        "sum: gained 1, lost 1, net 0, revision 1",
        "published: gained 1, lost 1, revision 1 (the final window on windows)",
        "they agree",
    ]


def test_a_window_that_is_open_is_compared_with_what_the_row_holds(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("carol", "--window", str(T0 + DAY), "--grain", "1d")
    _, said = explained(dump, capsys, *options)
    where = "the window in the row on updates, which has no final result yet"
    assert said[2] == f"published: gained 1, lost 0, revision 0 ({where})"
    assert said[3] == "they agree"


def test_an_id_that_another_account_had_is_named_by_its_offset(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, _ = explained(dump, capsys, "carol")
    assert lines[2] == "9 follow 2 bob duplicate of offset 8"


def test_an_event_from_the_future_says_when_it_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump = dumped(tmp_path, [record(event(DAY), 0, log_at=HOUR)])
    lines, _ = explained(dump, capsys, "alice")
    assert f"stamped {T0 + DAY}, too far ahead: its log time counts" in lines[0]


@pytest.mark.parametrize(
    ("kind", "number", "options"),
    [("updates", 0, ()), ("windows", 0, ("--window", str(T0), "--grain", "1m"))],
)
def test_a_published_number_that_is_not_the_sum_ends_with_1(
    dump: Dump, capsys: pytest.CaptureFixture[str], kind: str, number: int, options: tuple[str, ...]
) -> None:
    dump.change(kind, number, gained=77, revision=9)
    _, said = explained(dump, capsys, "alice", *options, code=ExitCode.WRONG)
    assert said[-1] == "they DIFFER"


def test_an_account_without_any_record_ends_with_1(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    _, said = explained(dump, capsys, "nobody", code=ExitCode.WRONG)
    assert said[-1] == "the account has no record"


def test_a_log_that_no_longer_holds_all_records_ends_with_4(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    dump.cut(input=2)
    lines, said = explained(dump, capsys, "alice", code=ExitCode.INCOMPLETE)
    assert lines[0].startswith("3 ")
    assert "records older than the log may change this" in lines[0]
    assert said[-1].startswith("not compared: the log begins at offset 2")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--window", str(T0 + 1)), f"starts at {T0}"),
        (("--window", str(T0), "--grain", "7m"), "should be one of 1m, 1h, 1d"),
    ],
)
def test_a_window_that_there_cannot_be_ends_with_2(
    dump: Dump, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], named: str
) -> None:
    assert main(["explain", "alice", *options, "--files", str(dump.directory)]) == ExitCode.USAGE
    assert named in capsys.readouterr().err


# ---- certificates


def certificate(dump: Dump, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The hash of the dump's only partition."""
    main(["certify", *options, "--files", str(dump.directory)])
    return capsys.readouterr().out.split()[-1]


def test_the_hash_of_what_was_published_is_that_of_the_input(
    dump: Dump, capsys: pytest.CaptureFixture[str]
) -> None:
    assert certificate(dump, capsys) == certificate(dump, capsys, "--recompute")


@pytest.mark.parametrize("flush", [2, 3, 100])
def test_when_a_worker_flushed_is_not_in_the_hash(
    dump: Dump, capsys: pytest.CaptureFixture[str], tmp_path: Path, flush: int
) -> None:
    other = Dump(tmp_path / "other", flush=flush)
    other.write(LogRecord(*one) for one in LOG)
    assert len(other.values("windows")) < len(dump.values("windows"))
    assert certificate(other, capsys) == certificate(dump, capsys)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("updates", {"gained": 77}),
        ("updates", {"baseline": 1}),
        ("updates", {"offset": 1}),
        ("updates", {"windows": {}}),
        ("windows", {"gained": 77, "revision": 2}),
        ("windows", {"account_id": "other"}),
        ("late", {"more": 1}),
        ("rejected", {"more": 1}),
    ],
)
def test_whatever_is_changed_changes_the_hash(
    dump: Dump, capsys: pytest.CaptureFixture[str], kind: str, change: dict[str, Any]
) -> None:
    before = certificate(dump, capsys)
    dump.change(kind, 0, **change)
    assert certificate(dump, capsys) != before


@pytest.mark.parametrize("field", ["watermark_ms", "counts"])
def test_the_committed_watermark_and_counts_are_in_the_hash(
    dump: Dump, capsys: pytest.CaptureFixture[str], field: str
) -> None:
    before = certificate(dump, capsys)
    said = msgspec.json.decode((dump.directory / "snapshot.json").read_bytes())
    committed = said["partitions"][0]["committed"]
    metadata = msgspec.json.decode(committed["metadata"])
    metadata[field] = metadata["watermark_ms"] + 1 if field == "watermark_ms" else {"applied": 11}
    dump.commit(committed["position"], msgspec.json.encode(metadata).decode())
    assert certificate(dump, capsys) != before


def test_every_offset_has_its_hash(dump: Dump, capsys: pytest.CaptureFixture[str]) -> None:
    found = [certificate(dump, capsys, "--offset", str(offset)) for offset in range(12)]
    assert len(set(found)) == 12
    assert found[-1] == certificate(dump, capsys)


def test_an_offset_behind_the_log_ends_with_2(dump: Dump) -> None:
    files = ("--files", str(dump.directory))
    assert main(["certify", "--offset", "99", *files]) == ExitCode.USAGE


def test_an_event_that_a_baseline_contains_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = [
        record(event(0), 0),
        record(baseline(3 * MINUTE, 100), 1),
        record(event(MINUTE), 2),
        record(event(4 * MINUTE), 3),
    ]
    lines, said = explained(dumped(tmp_path, log), capsys, "alice")
    assert (
        lines[2] == "2 follow +1 2 bob before the time of the baseline, which already contains it"
    )
    assert lines[3] == "3 follow +1 3 bob"
    assert said[1] == "sum: gained 3, lost 0, net 3, followers 101"
    assert said[-1] == "they agree"
