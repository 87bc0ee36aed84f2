"""SIGTERM ends a worker that has not reached its broker yet, also as process 1 of a container."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from service.exit_codes import ExitCode
from service.local.worker_process import ROOT
from tests.support.optional import skip, tool

PATIENCE_S = 600.0
"""For each step: a slow machine is no failure."""
WORKER = (sys.executable, "-m", "service", "worker")


def ended_by_sigterm(command: tuple[str, ...], log: Path) -> int:
    """Start the command with a broker that never answers; stop it when it has asked the broker."""
    with socket.create_server(("127.0.0.1", 0)) as mute, log.open("wb") as sink:
        mute.settimeout(PATIENCE_S)
        brokers = f"127.0.0.1:{mute.getsockname()[1]}"
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "NETFOLLOWERS_BROKERS": brokers, "NETFOLLOWERS_WEB_PORT": "0"},
            stdout=sink,
            stderr=sink,
        )
        try:
            with mute.accept()[0]:
                inside = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
                worker = int(inside) if command[0] != sys.executable else process.pid
                os.kill(worker, signal.SIGTERM)
                return process.wait(PATIENCE_S)
        finally:
            process.kill()
            process.wait()


def test_sigterm_ends_a_worker_that_waits_for_its_broker(tmp_path: Path) -> None:
    assert ended_by_sigterm(WORKER, tmp_path / "log") == ExitCode.OK
    assert "stopped before the start had ended" in (tmp_path / "log").read_text()


def test_sigterm_ends_it_also_as_process_1(tmp_path: Path) -> None:
    if os.geteuid():
        skip("only root may make a process 1 of its own")
    inside = (tool("unshare"), "--pid", "--fork", "--kill-child", *WORKER)
    assert ended_by_sigterm(inside, tmp_path / "log") == ExitCode.OK
    assert "stopped before the start had ended" in (tmp_path / "log").read_text()


def test_the_handler_is_there_before_the_imports() -> None:
    """The import of the worker is what takes long: here it never comes."""
    code = (
        "import builtins, os, signal, sys\n"
        "real = builtins.__import__\n"
        "def held(name, *more):\n"
        "    if name == 'service.run':\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        sys.exit('the signal did not end it')\n"
        "    return real(name, *more)\n"
        "builtins.__import__ = held\n"
        "sys.argv = ['netfollowers', 'worker']\n"
        "from service.cli import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
