"""The command line: what it parses, what its help says, how it ends."""

from __future__ import annotations

import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

import service.commands
from service.cli import COMMANDS, EXIT_CODES, build_parser, main
from service.commands import worker
from service.demo.group_progress import CatchUpTimeoutError
from service.errors import NetFollowersError
from service.exit_codes import ExitCode
from service.kafka.group_admin import UnknownMemberError
from service.kafka.topic_admin import TopicsError
from service.local.kafka_jars import KafkaJarsError
from service.runtime.journal import OpenRefusedError
from service.settings import Settings, SettingsError

NOWHERE = "127.0.0.1:1"
ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "operate" / "failures.md"
SLOW = {
    *("aiohttp", "aiokafka", "asyncio", "faust", "matplotlib", "msgspec", "rich"),
    *("service.app", "service.run", "service.contract.input_record", "service.counting"),
    "service.settings",
}
OWN_CODE = re.compile(r"EXIT_[A-Z]+: Final = \d|\bexit\(\d|_exit\(\d")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_examples_and_exit_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    told = capsys.readouterr().out
    assert left.value.code == 0
    assert f"netfollowers {command}" in told.split("examples:")[1]
    assert all(f"\n  {code.value} " in told for code in ExitCode)


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
    assert left.value.code == ExitCode.USAGE


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
    assert main(line.split()) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert named in told
    assert told.count("\n") == 1


def test_a_bad_setting_ends_with_2_and_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NETFOLLOWERS_WEB_PORT", "many")
    assert main(["worker"]) == ExitCode.USAGE
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
    assert main(line.split()) == ExitCode.BROKER
    told = capsys.readouterr().err
    assert NOWHERE.split(":", maxsplit=1)[0] in told
    assert told.count("\n") == 1


def test_python_m_service_is_the_same_command_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "service", "--help"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0
    assert "netfollowers demo" in ended.stdout


@pytest.mark.parametrize("line", ["--help", "generate --help", "--version"])
def test_help_imports_no_library_and_neither_settings_nor_the_engine(line: str) -> None:
    assert imported_by(line) & SLOW == set()


def test_a_library_that_a_command_works_with_is_seen_when_it_runs() -> None:
    assert imported_by("show") & SLOW == set(), "wrong usage is help"
    assert {"msgspec", "rich"} <= imported_by("replay - --top 1")


def imported_by(line: str) -> set[str]:
    """Run the command line in a process of its own; return the modules that it has imported."""
    script = """
import sys
from service.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("imported:", *sys.modules)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, *line.split()],
        input="",
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ended.stdout.rpartition("imported: ")[2].split())


@pytest.mark.parametrize("name", ["show", "rejected"])
def test_only_the_command_that_is_called_is_imported(name: str) -> None:
    others = {f"service.commands.{other}" for other in COMMANDS if other != name}

    assert f"service.commands.{name}" in (found := imported_by(f"{name} --help"))
    assert found & others == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_the_file_of_its_name_and_has_what_a_command_has(name: str) -> None:
    module = import_module(f"service.commands.{name}")

    assert name == module.NAME
    assert set(vars(module)) >= {"HELP", "DESCRIPTION", "EXAMPLES", "add_options", "run"}
    assert all(f"netfollowers {name}" in example for example in module.EXAMPLES)


def test_no_file_of_a_command_is_missing_in_the_list() -> None:
    files = Path(service.commands.__file__).parent.glob("*.py")
    written = {path.stem for path in files if "\nNAME: Final = " in path.read_text()}

    assert written - {*COMMANDS} == {"rejected_replay"}, "a part of `rejected`"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        *((kind("told"), code) for kind, code in EXIT_CODES.items()),
        (SettingsError("told"), ExitCode.USAGE),
        (TopicsError("told"), ExitCode.USAGE),
        (OpenRefusedError("told"), ExitCode.WRONG),
        (UnknownMemberError("told"), ExitCode.WRONG),
        (KafkaJarsError("told"), ExitCode.BROKER),
        (CatchUpTimeoutError("told"), ExitCode.INTERNAL),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_error_that_is_foreseen_is_one_line_and_its_exit_code(
    error: Exception,
    code: ExitCode,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(worker, "run", raising(error))

    assert main(["worker"]) == code
    assert capsys.readouterr().err == "netfollowers: told\n"


@pytest.mark.parametrize("error", [ValueError("told"), NetFollowersError("told")])
def test_an_error_that_nobody_foresaw_ends_with_70_and_a_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(worker, "run", raising(error))

    assert main(["worker"]) == ExitCode.INTERNAL
    assert "Traceback" in capsys.readouterr().err


def raising(error: Exception) -> Callable[[Settings, Namespace], ExitCode]:
    """Return the `run` of a command that fails."""

    def run(_settings: Settings, _options: Namespace) -> ExitCode:
        raise error

    return run


def test_the_page_of_exit_codes_is_the_codes() -> None:
    rows = [f"| {code.value} | `{code.name}` | {code.meaning} |" for code in ExitCode]

    assert "\n".join(["| code | name | meaning |", "|--:|---|---|", *rows]) in PAGE.read_text()


def test_no_other_file_has_exit_codes_of_its_own() -> None:
    files = [path for path in (ROOT / "service").glob("**/*.py") if path.stem != "exit_codes"]

    assert [path for path in files if OWN_CODE.search(path.read_text())] == []
