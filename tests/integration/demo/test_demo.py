"""The demo as people run it: it ends with 0, everything is exact, and nothing is left running."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MARK = "DEMO_TEST_MARK"
LIVE = "s left | sent"
pytestmark = pytest.mark.broker


class Run:
    """A demo that prints into a file, and the mark that every process it starts inherits."""

    def __init__(self, home: Path, *options: str, environ: dict[str, str] | None = None) -> None:
        """Start it; files go to `home`."""
        self._mark = secrets.token_hex(8)
        self._said = home / "said.txt"
        command = [sys.executable, "-m", "service", "demo", "--output-dir", str(home), *options]
        with self._said.open("wb") as sink:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **(environ or {}), MARK: self._mark},
                stdout=sink,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self._said.read_text()

    def until(self, text: str) -> None:
        """Wait until it has printed something."""
        while text not in self.said:
            assert self.process.poll() is None, self.said
            time.sleep(0.05)

    def ended(self) -> int:
        """Wait until it has ended. Return exit code."""
        return self.process.wait()

    def leaves_nothing(self) -> bool:
        """Wait until no process carries the mark: the kernel ends a broker that was beginning."""
        while self.processes():
            time.sleep(0.05)
        return True

    def processes(self) -> dict[int, str]:
        """Those that carry the mark: pid and command line."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={self._mark}".encode() in (process / "environ").read_bytes():
                    line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(process.name)] = line
            except OSError:
                continue
        return found


@contextmanager
def demo(home: Path, *options: str, environ: dict[str, str] | None = None) -> Iterator[Run]:
    """Start one; all that it started is ended whatever happens."""
    run = Run(home, *options, environ=environ)
    try:
        yield run
    finally:
        for pid in run.processes():
            os.kill(pid, signal.SIGKILL)
        run.process.wait()


def without_java(home: Path) -> dict[str, str]:
    """Return an environment whose PATH has neither Java nor Maven."""
    empty = home / "path"
    empty.mkdir()
    return {"PATH": str(empty)}


def judge_whole(run: Run, home: Path) -> None:
    """Fail unless it was right from the beginning to the end."""
    assert run.ended() == 0, run.said
    said = run.said
    order = [
        "Ctrl-C ends it",
        "the page, live: http://127.0.0.1:",
        "1. live events",
        LIVE,
        "2. a real channel",
        "raid: +26,344 in one hour",
        "exact: followers 132,924 = 12,012 + 313,074 gained - 192,162 lost",
        "3. the check",
        "505,238 records produced, 505,238 counted",
        "all processes have ended",
    ]
    places = [said.find(text) for text in order]
    assert -1 not in places, (order[places.index(-1)], said)
    assert places == sorted(places), said
    assert said.count("the independent recomputation agrees with the table") == 2
    assert said.count("worker stopped by SIGTERM: exit code 0") == 2
    assert (home / "channel.png").read_bytes().startswith(b"\x89PNG")
    assert run.leaves_nothing()


def test_the_demo_is_exact_ends_with_0_and_leaves_nothing_running(
    kafka: object, tmp_path: Path
) -> None:
    assert kafka  # there is Java, so the demo takes a Kafka of its own
    with demo(tmp_path, "--seconds", "5", "--rate", "2000") as run:
        run.until(LIVE)
        assert re.search(r"sent [1-9].* applied=[1-9]", run.said), "events are counted at once"
        judge_whole(run, tmp_path)
        assert "exactly_once" in run.said


def test_without_java_the_demo_says_so_and_is_exact_all_the_same(
    tansu: object, tmp_path: Path
) -> None:
    assert tansu
    environ = without_java(tmp_path)
    with demo(tmp_path, "--seconds", "5", "--rate", "2000", environ=environ) as run:
        judge_whole(run, tmp_path)
        assert "NOT EXACTLY ONCE" in run.said


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("starting a broker", signal.SIGINT),
        ("starting a worker", signal.SIGINT),
        (LIVE, signal.SIGINT),
        (LIVE, signal.SIGTERM),
        ("the channel's worker", signal.SIGINT),
        ("the channel's page", signal.SIGINT),
    ],
)
def test_a_demo_that_is_told_to_go_cleans_up(
    tansu: object, tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    assert tansu
    with demo(tmp_path, "--seconds", "3", "--broker", "tansu") as run:
        run.until(moment)
        run.process.send_signal(number)
        assert run.ended() == 130, run.said
        assert "Traceback" not in run.said
        assert run.leaves_nothing()


@pytest.mark.parametrize(("command", "code"), [("broker", 3), ("worker", 70)])
def test_a_demo_whose_broker_or_worker_dies_says_so_and_cleans_up(
    tansu: object, tmp_path: Path, command: str, code: int
) -> None:
    assert tansu
    with demo(tmp_path, "--seconds", "600", "--broker", "tansu") as run:
        run.until(LIVE)
        (pid,) = [pid for pid, line in run.processes().items() if f" {command} " in f"{line} "]
        os.kill(pid, signal.SIGKILL)
        assert run.ended() == code, run.said
        assert re.search(r"tansu at \S+ has ended|the worker ended with -9", run.said)
        assert "Traceback" not in run.said
        assert run.leaves_nothing()


def test_a_demo_whose_output_is_closed_ends_and_cleans_up(tansu: object, tmp_path: Path) -> None:
    assert tansu
    ours, theirs = socket.socketpair()
    errors = tmp_path / "errors.txt"
    mark = secrets.token_hex(8)
    command = [sys.executable, "-m", "service", "demo", "--seconds", "600", "--broker", "tansu"]
    with errors.open("wb") as sink:
        process = subprocess.Popen(
            [*command, "--output-dir", str(tmp_path)],
            env={**os.environ, MARK: mark},
            stdout=theirs.fileno(),
            stderr=sink,
        )
    theirs.close()
    said = b""
    while LIVE.encode() not in said:
        said += ours.recv(4_096)
    ours.close()
    assert process.wait() == 1
    assert "Traceback" not in errors.read_text()
