"""The command line: what it parses, what its help says, how it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from service import cli
from service.cli import Exit, build_parser, main

COMMANDS = tuple(cli._COMMANDS)
NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_examples_and_exit_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    told = capsys.readouterr().out
    assert left.value.code == 0
    assert f"netfollowers {command}" in told.split("examples:")[1]
    assert all(f"\n  {code.value} " in told for code in Exit)


@pytest.mark.parametrize(
    "line",
    [
        "worker",
        "topics create",
        "topics check",
        "generate --rate 200 --surges 8 --heartbeats",
        "generate --rate 0 --events 1000000 --skew 1.1 --duplicates 0.02 --late 0.01 --bad 0.01",
        "generate --seconds 5 --output -",
        "replay a.jsonl b.jsonl.gz --close --results r.jsonl --baseline a=5@1700000000000",
        "replay --channel --plot --png channel.png",
        "show acct-7 --json",
        "audit",
        "audit --partition 3 --at-rest --files dump",
        "audit --dump dump",
        "explain acct-7",
        "explain acct-7 --window 2024-05-01T10:00:00Z --grain 1h --partition 2",
        "explain acct-7 --window 1700000000000 --files dump",
        "certify --recompute --partition 0 --files dump",
        "certify --offset 1000",
        "demo --seconds 15",
    ],
)
def test_what_people_and_compose_files_type_is_parsed(line: str) -> None:
    arguments = build_parser().parse_args(line.split())
    assert arguments.command == line.partition(" ")[0]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "generate --bad 2",
        "replay --baseline five",
        "topics drop",
        "explain",
        "explain a --window noon",
        "explain a --window 2024-05-01T10:00:00",
        "audit --files a --dump b",
        "certify --offset -1",
    ],
)
def test_wrong_usage_ends_with_2(line: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert left.value.code == Exit.USAGE


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("replay", "--channel"),
        ("replay there-is-no-such-file.jsonl", "there-is-no-such-file.jsonl"),
        ("replay --channel --plot --grain 7m", "--grain 7m"),
        ("replay --channel --png x.png", "--plot"),
        ("generate --output x --bad 0.9 --late 0.9", "add up to more than 1"),
    ],
)
def test_options_that_do_not_go_together_end_with_2_and_one_line(
    line: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == Exit.USAGE
    told = capsys.readouterr().err
    assert named in told
    assert told.count("\n") == 1


def test_a_bad_setting_ends_with_2_and_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NETFOLLOWERS_WEB_PORT", "many")
    assert main(["worker"]) == Exit.USAGE
    told = capsys.readouterr().err
    assert "NETFOLLOWERS_WEB_PORT" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    "line", ["topics check", "show a", "audit", "explain a", "certify", "generate --events 1"]
)
def test_a_broker_that_is_not_there_ends_with_3_and_one_line(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NETFOLLOWERS_BROKERS", NOWHERE)
    assert main(line.split()) == Exit.BROKER
    told = capsys.readouterr().err
    assert NOWHERE.split(":", maxsplit=1)[0] in told
    assert told.count("\n") == 1


def test_python_m_service_is_the_same_command_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "service", "--help"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0
    assert "netfollowers demo" in ended.stdout


def test_help_loads_neither_the_broker_client_nor_what_draws() -> None:
    script = (
        "import sys; from service.cli import build_parser; build_parser().format_help(); "
        "print([m for m in ('aiokafka', 'faust', 'rich', 'matplotlib') if m in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"
