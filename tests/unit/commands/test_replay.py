"""Replay: a hand-computed table, results as lines, and the real channel against its truth."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from service.cli import main
from service.commands.offline_engine import Offline, WindowsOf, record_of
from service.counting import Rules
from service.exit_codes import ExitCode

T0 = 1_767_225_600_000  # 2026-01-01T00:00:00Z
MINUTE = 60_000


def event(number: int, account: str, action: str, at_ms: int) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "account_id": account,
        "follower_id": f"f{number}",
        "action": action,
        "occurred_at": at_ms,
    }


# ada   [-- 00:00 --)[-- 00:01 --)   bob   [-- 00:00 --)
#          + +           -                     - -
BY_HAND = [
    event(1, "ada", "follow", T0 + 1_000),
    event(2, "bob", "unfollow", T0 + 2_000),
    event(3, "ada", "follow", T0 + 59_999),
    event(4, "ada", "unfollow", T0 + MINUTE),  # on the boundary: the later window
    event(4, "ada", "unfollow", T0 + MINUTE),  # again: a duplicate
    event(5, "bob", "unfollow", T0 + 3_000),
    event(6, "bob", "block", T0 + 4_000),  # rejected
]


def write(path: Path, events: list[dict[str, Any]]) -> Path:
    lines = "".join(json.dumps(one) + "\n" for one in events).encode()
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    return write(tmp_path / "by-hand.jsonl", BY_HAND)


def test_the_table_is_what_a_hand_computes(
    by_hand: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(by_hand), "--baseline", "ada=10"]) == 0
    told = capsys.readouterr().out
    rows = {line.split()[1]: line.split() for line in told.splitlines() if line.startswith("│")}
    assert rows["ada"][3::2][:4] == ["2", "1", "+1", "11"]
    assert rows["bob"][3::2][:3] == ["0", "2", "-2"]
    assert "8 records = 6 applied + 0 late + 1 duplicate + 1 rejected + 0 heartbeat" in told
    assert "rejected: 1 unknown_action" in told


def test_windows_are_final_after_a_close_and_open_without(by_hand: Path, tmp_path: Path) -> None:
    open_, closed = tmp_path / "open.jsonl", tmp_path / "closed.jsonl"
    assert main(["replay", str(by_hand), "--results", str(open_)]) == 0
    assert main(["replay", str(by_hand), "--results", str(closed), "--close"]) == 0
    assert not [one for one in results(open_) if one["topic"] == "windows"]
    minutes = {
        (one["key"], one["value"]["start_ms"]): (one["value"]["gained"], one["value"]["lost"])
        for one in results(closed)
        if one["topic"] == "windows" and one["value"]["grain"] == "1m"
    }
    assert minutes == {
        ("ada", T0): (2, 0),
        ("ada", T0 + MINUTE): (0, 1),
        ("bob", T0): (0, 2),
    }


def test_a_rejected_line_stands_in_the_results_with_its_reason(
    by_hand: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results.jsonl"
    assert main(["replay", str(by_hand), "--results", str(out)]) == 0
    (refused,) = [one for one in results(out) if one["topic"] == "rejected"]
    assert refused["value"]["action"] == "block"
    assert refused["headers"]["netfollowers-reason"] == "unknown_action"


def test_a_line_that_is_no_json_is_rejected_and_kept_byte_by_byte(tmp_path: Path) -> None:
    source, out = tmp_path / "broken.jsonl", tmp_path / "results.jsonl"
    source.write_bytes(b'{"account_id": "a\xff\n\n   \n')
    assert main(["replay", str(source), "--results", str(out)]) == ExitCode.WRONG
    (refused,) = results(out)
    assert refused["headers"]["netfollowers-reason"] == "not_json"
    assert refused["value_base64"] == "eyJhY2NvdW50X2lkIjogImH/"


def test_only_lines_with_a_log_time_are_clamped() -> None:
    future = event(1, "a", "follow", T0 + 3_600_000)
    shard = Offline(Rules())
    shard.feed([json.dumps({**future, "log_time_ms": T0}).encode()])
    assert shard.engine.watermark_ms == T0
    shard.feed([json.dumps({**future, "event_id": "e2"}).encode()])
    assert shard.engine.watermark_ms == T0 + 3_600_000


@pytest.mark.parametrize("line", [b"[]", b"{", b'{"account_id": 5}', b"\xff", b"[" * 100_000])
def test_any_line_makes_a_record(line: bytes) -> None:
    assert record_of(line, 3).key is None


def test_compressed_and_plain_files_come_to_the_same(
    by_hand: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = write(tmp_path / "by-hand.jsonl.gz", BY_HAND)
    told = []
    for name in (by_hand, packed):
        assert main(["replay", str(name)]) == 0
        told.append(
            capsys.readouterr().out.replace(".jsonl.gz", ".jsonl").splitlines()[:-1]
        )  # the last line has the speed
    assert told[0] == told[1]


def test_an_account_with_markup_and_control_characters_is_printed_harmlessly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "odd.jsonl", [event(1, "[red]x[/red]\x1b[2J", "follow", T0)])
    assert main(["replay", str(source)]) == 0
    told = capsys.readouterr().out
    assert "[red]x[/red]" in told
    assert "\x1b" not in told


def test_open_windows_are_drawn_too() -> None:
    windows = WindowsOf("ada", "1m")
    shard = Offline(Rules(), [windows])
    shard.feed([json.dumps(one).encode() for one in BY_HAND])
    assert windows.contents() == {}
    assert windows.contents(shard.row("ada")) == {T0: (2, 0), T0 + MINUTE: (0, 1)}


def test_the_real_channel_comes_to_its_truth_day_by_day(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    png = tmp_path / "channel.png"
    assert main(["replay", "--channel", "--plot", "--png", str(png)]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "exact: followers 132,924 = 12,012 + 313,074 gained - 192,162 lost" in told
    assert "2,642 daily finals" in told
    assert "raid: +26,344 in one hour" in told
    assert png.read_bytes().startswith(b"\x89PNG")
