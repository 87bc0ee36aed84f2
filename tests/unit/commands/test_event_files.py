"""Any file of events is read, or one line says why not: marks, gzip, arrays, cut files, pipes."""

from __future__ import annotations

import gzip
import json
import os
import threading
from pathlib import Path

import pytest

from service.cli import main
from service.commands.json_lines import REMEMBERED, EventFiles
from service.commands.offline_engine import NO_LOG_TIME, record_of
from service.errors import UsageError
from service.exit_codes import ExitCode

T0 = 1_767_225_600_000


def line(number: int, **changes: object) -> bytes:
    fields = {"event_id": f"e{number}", "account_id": "a", "follower_id": "f", "action": "follow"}
    return json.dumps({**fields, "occurred_at": T0 + number, **changes}).encode()


LINES = [line(number) for number in range(3)]
PLAIN = b"\n".join(LINES) + b"\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.rstrip(),
        PLAIN.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + PLAIN,
        b"\n\n" + PLAIN.replace(b"\n", b"\n  \n"),
        gzip.compress(PLAIN),
        gzip.compress(b"\xef\xbb\xbf" + PLAIN),
        gzip.compress(LINES[0] + b"\n") + gzip.compress(b"\n".join(LINES[1:])),
        b"[" + b",".join(LINES) + b"]",
        b"\xef\xbb\xbf [\n  " + b",\n  ".join(LINES) + b"\n]\n",
        gzip.compress(b"[" + b",".join(LINES) + b"]"),
    ],
    ids=[
        *("lines", "no last line end", "CRLF", "byte order mark", "blank lines", "gzip"),
        *("gzip with a mark", "two members", "array", "array with a mark", "array in gzip"),
    ],
)
@pytest.mark.parametrize("name", ["events.jsonl", "events.json.gz"])
def test_the_content_decides_how_a_file_is_read(
    tmp_path: Path, name: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert main(["replay", str(tmp_path / name)]) == ExitCode.OK
    assert "3 records = 3 applied" in capsys.readouterr().out


def test_a_pipe_is_read_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(gzip.compress(PLAIN),))
    writer.start()
    assert main(["replay", str(pipe)]) == ExitCode.OK
    writer.join()
    assert "3 records = 3 applied" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(PLAIN)[:-12], "its gzip data is cut or broken after line "),
        (gzip.compress(PLAIN)[:8], "its gzip data is cut or broken after line 0"),
        (b"\x1f\x8b\x08" + b"\xff" * 60, "its gzip data is cut or broken after line 0"),
        (PLAIN.decode().encode("utf-16"), "it is UTF-16 text; convert it: iconv"),
    ],
    ids=["cut", "cut in its head", "broken", "UTF-16"],
)
def test_a_broken_file_is_one_line_and_wrong_usage(
    tmp_path: Path, content: bytes, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_bytes(content)
    assert main(["replay", str(file)]) == ExitCode.USAGE
    [told] = capsys.readouterr().err.splitlines()
    assert f"{file}: {message}" in told


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="missing: no such file"):
        EventFiles([str(tmp_path / "missing")])
    with pytest.raises(UsageError, match="is a directory"):
        EventFiles([str(tmp_path)])


def test_the_first_refusals_are_told_with_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl.gz"
    first.write_bytes(b"\n".join([LINES[0], b"", b"hello", LINES[1]]) + b"\n")
    bad = [line(9, action="like"), *(b"{}" for _ in range(9))]
    second.write_bytes(gzip.compress(b"\n".join([LINES[2], *bad])))
    assert main(["replay", str(first), str(second), "--baseline", "a=5"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "the first 5 of 11 rejected records:" in told
    assert "  first.jsonl, line 3: not_json: JSON is malformed" in told
    assert '  second.jsonl.gz, line 2: unknown_action: "like"' in told
    assert "  second.jsonl.gz, line 5: missing_field: event_id" in told


def test_a_record_of_an_array_has_a_number_and_no_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "array.json"
    file.write_bytes(b"[" + b",".join([LINES[0], b"7", LINES[1]]) + b"]")
    assert main(["replay", str(file)]) == ExitCode.OK
    assert "  array.json, record 2: not_an_object" in capsys.readouterr().out


def test_lines_of_what_only_begins_like_an_array_keep_their_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_bytes(b"[{}]\n\n\nhello\n" + PLAIN)
    assert main(["replay", str(file)]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "  lines.jsonl, line 1: not_an_object" in told
    assert "  lines.jsonl, line 4: not_json" in told


def test_the_line_is_right_far_into_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "long.jsonl"
    lines = [line(number) for number in range(2 * REMEMBERED + 5)]
    lines[REMEMBERED] = lines[-1] = b"hello"
    lines.insert(3, b"")
    file.write_bytes(b"\n".join(lines))
    assert main(["replay", str(file)]) == ExitCode.OK
    told = capsys.readouterr().out
    for number in (REMEMBERED + 2, 2 * REMEMBERED + 6):
        assert f"long.jsonl, line {number}: not_json" in told


def test_a_file_of_which_everything_is_refused_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "capitals.jsonl"
    file.write_bytes(PLAIN.replace(b"event_id", b"EVENT_ID"))
    assert main(["replay", str(file), "--baseline", "a=5", "--close"]) == ExitCode.WRONG
    assert main(["replay", str(file), "--baseline", "a=5"]) == ExitCode.WRONG
    assert "names in capitals (ksqlDB?): EVENT_ID should be event_id" in capsys.readouterr().out
    file.write_bytes(b"")
    assert main(["replay", str(file)]) == ExitCode.OK


@pytest.mark.parametrize(
    ("log_time", "ms"),
    [("true", NO_LOG_TIME), ("7", 7), ("7.0", 7), ("7.5", NO_LOG_TIME), ('"7"', NO_LOG_TIME)],
)
def test_a_log_time_is_a_whole_number(log_time: str, ms: int) -> None:
    record = record_of(b'{"account_id": "a", "log_time_ms": %s}' % log_time.encode(), 0)
    assert record.timestamp == ms
    assert type(record.timestamp) is int
