"""The demo as people run it: it ends with 0, everything is exact, and nothing is left running."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.patience import Patience

MARK = "DEMO_TEST_MARK"
pytestmark = pytest.mark.broker


def start(output: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    """Start a demo; -> it, and the mark that every process it starts inherits."""
    mark = secrets.token_hex(8)
    demo = subprocess.Popen(
        [sys.executable, "-m", "service", "demo", "--output-dir", str(output), *options],
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return demo, mark


def marked(mark: str) -> list[str]:
    """Command lines of the processes that carry the mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def test_the_demo_is_exact_ends_with_0_and_leaves_nothing_running(tmp_path: Path) -> None:
    demo, mark = start(tmp_path, "--seconds", "10", "--rate", "2000")
    told, _ = demo.communicate()
    assert demo.returncode == 0, told
    assert "exact: followers 132,924 = 12,012 + 313,074 gained - 192,162 lost" in told
    assert "the page, live: http://127.0.0.1:" in told
    assert "raid: +26,344 in one hour" in told
    assert "the independent recomputation agrees with the table" in told
    assert "worker stopped by SIGTERM: exit code 0" in told
    assert (tmp_path / "channel.png").read_bytes().startswith(b"\x89PNG")
    assert marked(mark) == []


def test_a_demo_that_is_told_to_go_cleans_up(tmp_path: Path) -> None:
    demo, mark = start(tmp_path, "--seconds", "60")
    log, patience = tmp_path / "worker.log", Patience("the worker of the demo")
    while not (log.exists() and log.read_text()):
        assert demo.poll() is None, demo.communicate()[0]
        patience.look()
        time.sleep(0.1)
    demo.send_signal(signal.SIGTERM)
    told, _ = demo.communicate()
    assert demo.returncode == 130, told
    assert marked(mark) == []
