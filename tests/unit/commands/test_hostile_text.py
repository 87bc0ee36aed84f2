"""Text from other programs on a terminal and in a filter's lines, and files that would be lost."""

from __future__ import annotations

import gzip
import io
import json
import shlex
import sys
from pathlib import Path

import pytest

from service.charts.printable import plain, plain_json
from service.cli import main
from service.commands.doctor_note import Note
from service.commands.output import check_outputs
from service.commands.refused_records import OURS, Refused
from service.commands.refused_resend import _corrected
from service.errors import UsageError
from service.exit_codes import ExitCode

LINE = json.dumps(
    {"event_id": "e", "account_id": "a", "follower_id": "f", "action": "follow",
     "occurred_at": 1_767_225_600_000}
) + "\n"  # fmt: skip
HOSTILE = "\x1b[31mRED\x1b]0;pwned\x07\x1b[2J\nFAKE 9:9\r\x9b1m\x85\u2028\u202e\x7f"

# ---- files that are read and written


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text(LINE)
    return path


@pytest.mark.parametrize("spelling", ["same", "dots", "symlink", "hardlink"])
@pytest.mark.parametrize("option", ["--results", "--png"])
def test_an_input_is_never_overwritten_by_whatever_name(
    spelling: str, option: str, events: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {
        "same": events, "dots": events.parent / ".." / events.parent.name / events.name,
        "symlink": events.parent / "link.png", "hardlink": events.parent / "hard.png",
    }[spelling]  # fmt: skip
    if spelling == "symlink":
        other.symlink_to(events)
    if spelling == "hardlink":
        other.hardlink_to(events)
    plot = ["--plot", "a"] if option == "--png" else []
    assert main(["replay", str(events), *plot, option, str(other)]) == ExitCode.USAGE
    assert events.read_text() == LINE
    assert "one file" in capsys.readouterr().err


def test_a_compressed_input_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(LINE.encode()))
    before = path.read_bytes()
    assert main(["replay", str(path), "--results", str(path)]) == ExitCode.USAGE
    assert path.read_bytes() == before


def test_two_outputs_are_two_files(events: Path) -> None:
    new = str(events.parent / "new.png")
    arguments = ["replay", str(events), "--plot", "a", "--png", new, "--results", new]
    assert main(arguments) == ExitCode.USAGE
    assert not Path(new).exists()


def test_what_standard_input_comes_from_is_not_overwritten(
    events: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with events.open() as source:
        monkeypatch.setattr(sys, "stdin", source)
        with pytest.raises(UsageError, match="one file"):
            check_outputs([str(events)], ["-"])
        check_outputs([str(events.parent / "other"), "-", None], ["-"])
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    check_outputs([str(events)], ["-"])


def test_an_output_beside_the_input_is_written(events: Path) -> None:
    results = events.parent / "results.jsonl"
    assert main(["replay", str(events), "--results", str(results)]) == ExitCode.OK
    assert results.read_text()
    assert main(["replay", str(events), "--results", str(results)]) == ExitCode.OK, "and again"


# ---- text from other programs


def test_a_strangers_text_is_one_line_without_control_characters() -> None:
    text = plain(HOSTILE + " é 😀 حساب")
    assert text.isprintable()
    assert text.endswith(" é 😀 حساب")
    assert "RED" in text
    assert len(text) == len(HOSTILE + " é 😀 حساب")


def test_json_stays_the_same_json() -> None:
    said = {"account_id": HOSTILE + "\U000e0001", "n": [1, None]}
    text = plain_json(json.dumps(said, ensure_ascii=False, separators=(",", ":")))
    assert text.isprintable()
    assert json.loads(text) == said


def test_a_note_of_the_doctor_cannot_be_two() -> None:
    note = str(Note("error", f"2 accounts are in more than one partition: {HOSTILE}", "do"))
    assert note.count("\n") == 1
    assert note.replace("\n", "").isprintable()


# ---- a filter's answers

IDENTITY = (
    "import json, sys\n"
    "for line in sys.stdin.buffer.read().split(b'\\n')[:-1]:\n"
    "    text = json.dumps(json.loads(line), ensure_ascii=False)\n"
    "    sys.stdout.buffer.write(text.encode() + %r)\n"
)


def refused(number: int, account: str) -> Refused:
    value = json.dumps({"account_id": account}, ensure_ascii=False).encode()
    labels = {f"{OURS}reason": "bad_time", f"{OURS}detail": account}
    return Refused(0, number, 0, account.encode(), value, [], labels)


def filtered(records: list[Refused], ending: bytes = b"\n") -> list[tuple[bytes | None, object]]:
    command = shlex.join([sys.executable, "-c", IDENTITY % ending])
    return [(one.key, one.value) for one in _corrected(records, command)]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_a_filters_lines_end_at_a_line_feed_and_nowhere_else(ending: bytes) -> None:
    odd = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
    records = [refused(number, f"a{one}b") for number, one in enumerate(odd)]
    assert filtered(records, ending) == [(one.key, one.value) for one in records]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("true", "0 lines for 1"),
        ("cat; echo", "2 lines for 1"),
        ("printf '\\377\\n'", "not JSON Lines"),
        ("printf '{\\n'", "not JSON Lines"),
        ("cat; exit 3", "ended with 3"),
    ],
)
def test_an_answer_that_is_none_sends_nothing(command: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        _corrected([refused(0, "a")], command)


def test_an_empty_answer_leaves_a_record_out() -> None:
    assert _corrected([refused(0, "a"), refused(1, "b")], "printf '\\nnull\\n'") == []
    assert _corrected([refused(0, "a")], "echo") == []
